"""An async function: waits without holding a thread. A generator's pieces are sent as they come."""

import asyncio


async def handler(request):
    if request.path == "/stream":
        return count(int(request.query.get("to", "3")))
    if request.event is not None:
        print("event", request.event["id"], request.event.get("data"))
        return None
    await asyncio.sleep(0.01)
    return {"method": request.method, "path": request.path, "body": request.text}, 200, {"x-form": "async"}


async def count(last):
    for number in range(1, last + 1):
        yield f"{number}\n"
        await asyncio.sleep(0.05)
