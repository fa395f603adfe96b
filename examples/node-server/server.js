// A program that listens by itself, on $PORT; it would run anywhere else in the same way.
const http = require('node:http');

const server = http.createServer((req, res) => res.end(`served by a program: ${req.method} ${req.url}\n`));

server.listen(process.env.PORT ?? 8080, process.env.HOST, () => console.log('listening', server.address()));
