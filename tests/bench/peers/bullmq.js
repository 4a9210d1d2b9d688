// BullMQ: add URL MODE COUNT STEPS | work URL MODE CONCURRENCY.   Modes: wide, chain, flow.
//
// Set for speed as its documentation recommends: bulk adding, a high concurrency per process and several processes,
// finished jobs removed at once. Its crash safety (locks, stalled check) stays on, as ours does.
'use strict';

const { FlowProducer, Queue, Worker } = require('bullmq');
const { PAYLOAD, address, worker, counted, inChunks } = require(process.env.BENCH_COMMON);

const [, , verb, url, mode, number, steps] = process.argv;
const connection = { ...address(url), maxRetriesPerRequest: null };
const opts = { removeOnComplete: true, removeOnFail: true };
const NAME = 'bench';

// The last step is the root; each waits for its one child.
function chain(left) {
  const node = { name: 's', queueName: NAME, data: { p: PAYLOAD }, opts };
  if (left > 1) node.children = [chain(left - 1)];
  return node;
}

async function add(count) {
  const queue = new Queue(NAME, { connection });
  await queue.waitUntilReady();
  const began = process.hrtime.bigint();
  if (mode === 'flow') {
    const flows = new FlowProducer({ connection });
    await inChunks(count, 50, (from, n) => flows.addBulk(Array.from({ length: n }, () => chain(Number(steps)))));
    await flows.close();
  } else {
    const left = mode === 'chain' ? Number(steps) : 1;
    const job = () => ({ name: 's', data: { p: PAYLOAD, left }, opts });
    await inChunks(count, 1000, (from, n) => queue.addBulk(Array.from({ length: n }, job)));
  }
  console.log(JSON.stringify({ ms: Number(process.hrtime.bigint() - began) / 1e6 }));
  await queue.close();
}

async function work(concurrency) {
  const counter = { done: 0, at: 0 };
  const queue = new Queue(NAME, { connection });
  const step = async (job) => {
    if (mode === 'chain' && job.data.left > 1) {
      await queue.add('s', { p: PAYLOAD, left: job.data.left - 1 }, opts);
    }
  };
  const one = new Worker(NAME, step, { connection, concurrency, autorun: false });
  one.on('completed', () => counted(counter));
  await Promise.all([queue.waitUntilReady(), one.waitUntilReady()]);
  worker(() => void one.run(), counter);
}

if (verb === 'add') add(Number(number));
else work(Number(number));
