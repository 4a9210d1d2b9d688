// bee-queue: add URL MODE COUNT STEPS | work URL MODE CONCURRENCY.   Modes: wide, chain.
//
// Set for speed as its documentation recommends: no events, no stored jobs, finished jobs removed, saveAll() for many.
'use strict';

const Queue = require('bee-queue');
const { PAYLOAD, address, worker, counted, inChunks } = require(process.env.BENCH_COMMON);

const [, , verb, url, mode, number, steps] = process.argv;
const fast = { getEvents: false, sendEvents: false, storeJobs: false, removeOnSuccess: true, removeOnFailure: true };
const NAME = 'bench';

async function add(count) {
  const queue = new Queue(NAME, { redis: address(url), isWorker: false, ...fast });
  await queue.ready();
  const began = process.hrtime.bigint();
  const left = mode === 'chain' ? Number(steps) : 1;
  const job = () => queue.createJob({ p: PAYLOAD, left });
  await inChunks(count, 1000, (from, n) => queue.saveAll(Array.from({ length: n }, job)));
  console.log(JSON.stringify({ ms: Number(process.hrtime.bigint() - began) / 1e6 }));
  await queue.close();
}

async function work(concurrency) {
  const counter = { done: 0, at: 0 };
  const queue = new Queue(NAME, { redis: address(url), ...fast });
  await queue.ready();
  queue.on('succeeded', () => counted(counter)); // told by this process to itself, when Redis has answered
  worker(
    () =>
      queue.process(concurrency, async (job) => {
        if (mode === 'chain' && job.data.left > 1) {
          await queue.createJob({ p: PAYLOAD, left: job.data.left - 1 }).save();
        }
      }),
    counter,
  );
}

if (verb === 'add') add(Number(number));
else work(Number(number));
