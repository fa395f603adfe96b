// Server-sent events: each one leaves when it is written. ?count=3&every=1000 (milliseconds)
const { setTimeout: sleep } = require('node:timers/promises');

module.exports = async (req, res) => {
  const query = new URL(req.url, 'http://localhost').searchParams;
  const count = Number(query.get('count') ?? 3);
  const every = Number(query.get('every') ?? 1000);
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (let i = 1; i <= count && !res.closed; i++) {
    res.write(`id: ${i}\ndata: ${new Date().toISOString()}\n\n`);
    if (i < count) await sleep(every);
  }
  res.end();
};
