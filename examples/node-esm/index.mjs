// An ES module: the default export is a request listener, a named `handler` would be called with an event.
import { randomUUID } from 'node:crypto';

const instance = randomUUID();

export default async function (req, res) {
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ instance, url: req.url }));
}
