"""An ASGI application with a lifespan; Starlette, FastAPI, Litestar and Django's asgi.py go the same way."""

import asyncio

ready = {"since": None}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["path"] == "/events":
        await events(send)
    else:
        await count(scope, receive, send)


async def lifespan(receive, send):
    await receive()
    ready["since"] = "startup"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("shutting down")
    await send({"type": "lifespan.shutdown.complete"})


async def events(send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(3):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body"})


async def count(scope, receive, send):
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = f"{scope['method']} {scope['path']} with {size} bytes, ready since {ready['since']}\n".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
