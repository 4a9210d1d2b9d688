// What both Node peers share: how they are told what to do, and how they tell how far they are. See peers.py.
'use strict';

const PAYLOAD = 'x'.repeat(80); // with its keys about 100 bytes of JSON, as an import of ours brings for all its steps

function address(url) {
  const at = new URL(url);
  return { host: at.hostname, port: Number(at.port) };
}

// READY; waits for one line (GO); then "COUNT MILLISECONDS" whenever the count has moved, looked at every 10 ms.
function worker(begin, counter) {
  process.stdout.write('READY\n');
  process.stdin.once('data', () => {
    begin();
    let told = 0;
    setInterval(() => {
      if (counter.done === told) return;
      told = counter.done;
      process.stdout.write(`${told} ${counter.at}\n`);
    }, 10);
  });
}

function counted(counter) {
  counter.done++;
  counter.at = Date.now();
}

async function inChunks(total, size, add) {
  const waiting = new Set();
  for (let from = 0; from < total; from += size) {
    const one = add(from, Math.min(size, total - from)).finally(() => waiting.delete(one));
    waiting.add(one);
    if (waiting.size >= 4) await Promise.race(waiting);
  }
  await Promise.all(waiting);
}

module.exports = { PAYLOAD, address, worker, counted, inChunks };
