// The shape of an Express application: a function (req, res) that carries use, get, handle and listen.
const http = require('node:http');

module.exports = () => {
  const layers = [];
  const app = (req, res) => app.handle(req, res);

  app.use = (layer) => layers.push(layer);
  app.get = (path, handler) => {
    const names = [];
    const pattern = new RegExp(`^${path.replace(/:(\w+)/g, (_, name) => (names.push(name), '([^/]+)'))}/?$`);
    app.use((req, res, next) => {
      const found = req.method === 'GET' && pattern.exec(req.url.split('?', 1)[0]);
      if (!found) return next();
      req.params = Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(found[i + 1])]));
      return handler(req, res);
    });
  };
  app.handle = (req, res) => {
    res.json = (value) => {
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify(value));
    };
    const step = (i) => {
      if (i < layers.length) return layers[i](req, res, () => step(i + 1));
      res.statusCode = 404;
      return res.end('Not Found\n');
    };
    step(0);
  };
  app.listen = (...args) => http.createServer(app).listen(...args);
  return app;
};
