// A request listener: the form of node:http itself.
module.exports = (req, res) => {
  const name = new URL(req.url, 'http://localhost').searchParams.get('name') ?? 'world';
  console.log(`saying hello to ${name}`);
  res.setHeader('content-type', 'text/plain; charset=utf-8');
  res.end(`Hello, ${name}!\n`);
};
