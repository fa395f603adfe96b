"""The fake API server itself: routes requests to verbs, serves lists in pages and watches with bookmarks, and commits faults."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress

from kube.access import Given
from kube.fake.faults import Call, Faults, Refusal
from kube.fake.http import Asked, Channel
from kube.fake.rest import Refused, Rest, Target
from kube.fake.selector import Test, fields_match, labels_match
from kube.fake.store import Change, Compacted, Manifest, Store

VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
CLUSTER_WIDE = {
    "namespaces", "nodes", "customresourcedefinitions", "validatingwebhookconfigurations", "mutatingwebhookconfigurations",
    "tokenreviews", "subjectaccessreviews",
}  # fmt: skip
DISCONNECTS = (ConnectionError, asyncio.IncompleteReadError, TimeoutError)


class ApiServer:
    """Listens on loopback while it is entered: `async with ApiServer() as server: Client(server.access())`."""

    def __init__(self, bookmark_interval: float = 1.0) -> None:
        self.store = Store()
        self.faults = Faults()
        self.calls: list[Call] = []
        self._rest = Rest(self.store)
        self._bookmark_interval = bookmark_interval  # seconds
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], Channel] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def access(self, token: str = "", namespace: str = "default") -> Given:
        return Given(self.url, token, namespace)

    async def __aenter__(self) -> ApiServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, after a stop on the same port as before; what is stored stays."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=1 << 22)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and reset those that are open, as when the process dies."""
        if self._listener is not None:
            self._listener.close()
        self.reset_connections()
        tasks = list(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset_connections(self) -> None:
        for channel in self._serving.values():
            channel.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel, task = Channel(reader, writer), asyncio.current_task()
        assert task is not None
        self._serving[task] = channel
        try:
            while (asked := await channel.receive()) is not None:
                await self._thaw()
                await self._handle(channel, asked)
        except (*DISCONNECTS, asyncio.CancelledError):
            pass  # the client went away, or we are being stopped: nobody is left to tell
        finally:
            del self._serving[task]
            writer.transport.abort()

    async def _thaw(self) -> None:
        while self.faults.silent:  # noqa: ASYNC110 - a plain attribute is what tests want to set
            await asyncio.sleep(0.01)
        if self.faults.delay:
            await asyncio.sleep(self.faults.delay)

    async def _handle(self, channel: Channel, asked: Asked) -> None:
        target, verb = _target(asked), _verb(asked)
        title = target.title if target else "/".join(asked.path)
        try:
            if target is None:
                raise Refused(404, "NotFound", f"the server could not find {title}")
            self._admit(asked, verb, target)
            if verb == "watch":
                self._note(asked, verb, target, 200)
                await self._watch(channel, asked, target)
                return
            body = self._list(asked, target) if verb == "list" else self._act(asked, verb, target)
            status = 201 if verb == "create" else 200
            self._note(asked, verb, target, status)
            await channel.answer(status, body)
        except Refused as refused:
            self._note(asked, verb, target, refused.code)
            await channel.answer(refused.code, refused.status(), int(refused.details.get("retryAfterSeconds", 0)))

    def _note(self, asked: Asked, verb: str, target: Target | None, status: int) -> None:
        title, namespace, name = (target.title, target.namespace, target.name) if target else ("/".join(asked.path), "", "")
        self.calls.append(Call(verb, title, namespace, name, status, asked.fields.get("user-agent", ""), asked.query))

    def _admit(self, asked: Asked, verb: str, target: Target) -> None:
        faults = self.faults
        if faults.tokens is not None and asked.fields.get("authorization", "").removeprefix("Bearer ") not in faults.tokens:
            raise Refused(401, "Unauthorized", "Unauthorized")
        if faults.allows is not None and not faults.allows(verb, target.title, target.namespace):
            raise Refused(403, "Forbidden", f'{target.title} is forbidden: User "test" cannot {verb} it')
        refusal = faults.refusal(verb, target.title)
        if refusal is not None:
            raise _as_refused(refusal)

    def _act(self, asked: Asked, verb: str, target: Target) -> Manifest:
        body = json.loads(asked.body) if asked.body else {}
        if verb == "get":
            return self._rest.get(target)
        if verb == "create":
            return self._rest.create(target, body, asked.query)
        if verb == "update":
            return self._rest.update(target, body, asked.query)
        if verb == "delete":
            return self._rest.delete(target, body)
        content_type = asked.fields.get("content-type", "")
        if content_type == "application/apply-patch+yaml":
            return self._rest.apply(target, body, asked.query)
        if content_type == "application/merge-patch+json":
            return self._rest.merge(target, body, asked.query)
        raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {content_type}")

    # --- lists ---

    def _list(self, asked: Asked, target: Target) -> Manifest:
        token = _decode_token(asked.query.get("continue", ""))
        try:
            revision, items = self.store.snapshot(target.collection, token.get("rv"))
        except Compacted:
            message = "The provided continue parameter is too old to display a consistent list result"
            raise Refused(410, "Expired", message) from None
        test = _selector(asked, target)
        start = token.get("start", 0)
        limit = int(asked.query.get("limit", "0")) or len(items)
        chosen: list[Manifest] = []
        position = start
        while position < len(items) and len(chosen) < limit:
            if test(items[position]):
                chosen.append(items[position])
            position += 1
        rest = {"rv": revision, "start": position}
        more = {"continue": _encode_token(rest)} if position < len(items) else {}
        return {
            "kind": "List",
            "apiVersion": target.api_version,
            "metadata": {"resourceVersion": str(revision), **more},
            "items": chosen,
        }

    # --- watches ---

    async def _watch(self, channel: Channel, asked: Asked, target: Target) -> None:
        queue: asyncio.Queue[Change] = asyncio.Queue()
        forget = self.store.listen(queue.put_nowait)
        stop = asyncio.create_task(channel.gone())
        stream = asyncio.create_task(self._stream(channel, asked, target, queue))
        try:
            await asyncio.wait({stop, stream}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forget()
            stop.cancel()
            stream.cancel()
            await asyncio.gather(stop, stream, return_exceptions=True)
        if not stream.cancelled() and stream.exception() is not None:
            raise stream.exception() or AssertionError
        if stream.cancelled():
            raise ConnectionAbortedError

    async def _stream(self, channel: Channel, asked: Asked, target: Target, queue: asyncio.Queue[Change]) -> None:
        test = _selector(asked, target)
        version = asked.query.get("resourceVersion", "")
        try:
            past = self.store.changes(int(version)) if version not in ("", "0") else None
        except Compacted:
            await self._say_gone(channel)
            return
        present = [] if past is not None else [item for item in self.store.all(target.collection) if test(item)]
        await channel.begin_stream()
        events: list[Manifest] = [{"type": "ADDED", "object": item} for item in present]
        events += [event for change in past or [] if (event := _event(change, target, test))]
        for event in events:
            await self._send(channel, event)
        with suppress(TimeoutError):
            async with asyncio.timeout(float(asked.query.get("timeoutSeconds", "1800"))):
                await self._follow(channel, target, test, queue)
        await self._send(channel, self._bookmark(target))
        await channel.end_stream()

    async def _follow(self, channel: Channel, target: Target, test: Test, queue: asyncio.Queue[Change]) -> None:
        while True:
            try:
                async with asyncio.timeout(self._bookmark_interval):
                    change = await queue.get()
            except TimeoutError:
                await self._send(channel, self._bookmark(target))
                continue
            event = _event(change, target, test)
            if event:
                await self._send(channel, event)

    async def _send(self, channel: Channel, event: Manifest) -> None:
        await self._thaw()
        await channel.send_line(event)
        if self.faults.reset_watch_after and event["type"] != "BOOKMARK":
            self.faults.reset_watch_after -= 1
            if not self.faults.reset_watch_after:
                channel.reset()
                raise ConnectionResetError

    def _bookmark(self, target: Target) -> Manifest:
        return {
            "type": "BOOKMARK",
            "object": {"metadata": {"resourceVersion": str(self.store.revision), "creationTimestamp": None}},
        }

    async def _say_gone(self, channel: Channel) -> None:
        gone = Refused(410, "Expired", f"too old resource version, the oldest is {self.store.compacted}")
        if self.faults.gone_as == "status":
            raise gone
        await channel.begin_stream()
        await channel.send_line({"type": "ERROR", "object": gone.status()})
        await channel.end_stream()


def _verb(asked: Asked) -> str:
    if asked.method == "GET" and asked.query.get("watch") in ("1", "true"):
        return "watch"
    target = _target(asked)
    if asked.method == "GET" and target is not None and not target.name:
        return "list"
    return VERBS.get(asked.method, asked.method.lower())


def _target(asked: Asked) -> Target | None:
    """/api/v1/… and /apis/GROUP/VERSION/…, then [namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE]]."""
    path = asked.path
    if path[:1] == ["api"] and len(path) > 2:
        group, version, rest = "", path[1], path[2:]
    elif path[:1] == ["apis"] and len(path) > 3:
        group, version, rest = path[1], path[2], path[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", ""][:3]
    api_version = f"{group}/{version}" if group else version
    return Target(api_version, (group, plural), "" if plural in CLUSTER_WIDE else namespace, name, subresource)


def _encode_token(content: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _decode_token(token: str) -> dict[str, int]:
    return dict(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))) if token else {}


def _selector(asked: Asked, target: Target) -> Test:
    on_labels = labels_match(asked.query.get("labelSelector", ""))
    on_fields = fields_match(asked.query.get("fieldSelector", ""))
    namespace = target.namespace
    return lambda item: (not namespace or item["metadata"].get("namespace") == namespace) and on_labels(item) and on_fields(item)


def _event(change: Change, target: Target, test: Test) -> Manifest | None:
    """As this watch sees the change: an object that leaves its selector is deleted, one that enters is added."""
    if change.collection != target.collection:
        return None
    before = change.old is not None and test(change.old)
    if change.new is not None and test(change.new):
        return {"type": "MODIFIED" if before else "ADDED", "object": change.new}
    if not before or change.old is None:
        return None
    last = {**change.old, "metadata": {**change.old["metadata"], "resourceVersion": str(change.revision)}}
    return {"type": "DELETED", "object": last}


def _as_refused(refusal: Refusal) -> Refused:
    reason = refusal.reason or REASONS.get(refusal.status, "Unknown")
    details = {"retryAfterSeconds": refusal.retry_after} if refusal.retry_after else {}
    return Refused(refusal.status, reason, "refused on purpose", **details)
