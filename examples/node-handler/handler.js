// A handler: it is given an event and returns the answer. The same form takes CloudEvents.
exports.handler = async (event, context) => {
  if (event.specversion) {
    console.log(`event ${event.id} of type ${event.type}`, event.data);
    return undefined; // 204: done
  }
  if (event.method === 'DELETE') return { statusCode: 405, headers: { allow: 'GET, POST' }, body: 'not that\n' };
  return { method: event.method, path: event.path, query: event.query, body: event.body ?? null, function: context.functionName };
};
