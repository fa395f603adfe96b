// An Express application is exported as it is: `module.exports = app`, without app.listen().
// To keep this example free of downloads, `express` below is a dozen lines; put `require('express')` in its place.
const express = require('./tiny-express.js');

const app = express();

app.use((req, res, next) => {
  res.setHeader('x-powered-by', 'tiny-express');
  next();
});

app.get('/', (req, res) => res.json({ hello: 'express' }));
app.get('/users/:id', (req, res) => res.json({ user: req.params.id }));
app.get('/broken', () => {
  throw new Error('this text stays in the log');
});

module.exports = app;
