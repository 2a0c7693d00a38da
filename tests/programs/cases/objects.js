// Objects, buffers outside the collected heap, workers, compression and a child process.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { createHash } = require('crypto');
const { gzipSync, gunzipSync } = require('zlib');
const { execFileSync } = require('child_process');

function work(seed) {
  const map = new Map();
  for (let i = 0; i < 50000; ++i) map.set('key' + ((i * seed) % 9973), Buffer.alloc(i % 300, i % 256));
  const hash = createHash('sha256');
  for (const [key, value] of map) hash.update(key).update(value);
  return hash.digest('hex').slice(0, 16);
}

if (!isMainThread) {
  parentPort.postMessage(work(workerData));
} else {
  console.log(work(7));
  const text = JSON.stringify(Array.from({ length: 20000 }, (_, i) => ({ i, name: 'n' + i })));
  console.log(gunzipSync(gzipSync(text)).toString() === text, text.length);
  console.log(execFileSync('/bin/echo', ['child']).toString().trim());
  const start = (seed) => new Promise((resolve, reject) => {
    new Worker(__filename, { workerData: seed }).on('message', resolve).on('error', reject);
  });
  Promise.all([11, 13, 17].map(start)).then((found) => console.log(found.join(' ')));
}
