"""The board in Redis (or Valkey): a sorted set of leases, a stream of batches for each member, registers, and a stream of words.

All keys hold the server's run id, so that a server that was restarted, restored or promoted begins anew, whatever it kept: what
it kept may be older than what members know. All have one hash tag, and all expire. The clock is the server's (TIME). Needs the
extra `redis`; nothing here is imported before a URL is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError

from router.kube.peers.ports import Arrived, Away, Beat, Session, Swap

PATIENCE: Final = 1.0  # seconds for a connection or an answer
LISTEN: Final = 1.0  # seconds that one look for words waits
KEPT: Final = 70  # batches of one member: a minute's windows, and some
FORGET: Final = 600  # seconds until keys that nobody changes are gone
WORDS: Final = 1000  # about so many are kept

# Times are in milliseconds in here. KEYS: leases, beginning, our batches; ARGV: member, lease, keep, forget, past, batch...
_BEAT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], now, 'NX')
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[5])
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
for n = 6, #ARGV do
  redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[3], '*', 'b', ARGV[n])
end
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {
  now, now - redis.call('GET', KEYS[2]), (ends and tonumber(ends) > now) and 0 or 1,
  redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf'), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now),
}
"""

# KEYS: register, leases, words; ARGV: before, after, word, forget, how many words are kept, "1" = only among these, member...
_SWAP: Final = """
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return {0, now} end
if ARGV[6] == '1' then
  local time = redis.call('TIME')
  local among = {}
  for n = 7, #ARGV do among[ARGV[n]] = true end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. (time[1] * 1000 + math.floor(time[2] / 1000)), '+inf')) do
    if not among[member] then return {0, now} end
  end
end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4]) end
if ARGV[3] ~= '' then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'w', ARGV[3])
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
return {1, ARGV[2]}
"""


class RedisExchange:
    """As router.kube.peers.ports.Exchange. `url` as redis-py's: redis://[[user]:password@]host[:port][/db], rediss://, unix://.

    `name` tells apart the sets of routers that use one server. Raises ValueError for a URL that cannot be one.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        _client(url, PATIENCE, _unchecked)

    async def open(self, member: str) -> Session:
        """As Exchange.open."""
        session = RedisSession(self._url, self._name, member)
        try:
            await session.begin()
        except BaseException:
            await session.close()
            raise
        return session


class RedisSession:
    """As router.kube.peers.ports.Session."""

    def __init__(self, url: str, name: str, member: str) -> None:
        self.epoch = ""
        self._name = name
        self._member = member
        self._redis = _client(url, PATIENCE, self._greet)
        self._ears = _client(url, LISTEN + PATIENCE, self._greet)
        self._heard: bytes | str = "0-0"
        self._beat = self._redis.register_script(_BEAT)
        self._swap = self._redis.register_script(_SWAP)

    async def begin(self) -> None:
        """Connect, and learn where words are up to now. Raises Away."""
        for client in (self._redis, self._ears):
            await _answer(client.ping)  # from here on we know the epoch, and with it the keys
        last = await _answer(lambda: self._ears.xrevrange(self._key("words"), count=1))
        self._heard = last[0][0] if last else "0-0"

    async def beat(self, lease: float, batches: Sequence[bytes], after: Mapping[str, str] | None) -> Beat:
        """As Session.beat."""
        after = after or {}

        async def work() -> list[Any]:
            keys = [self._key("leases"), self._key("began"), self._key("batches", self._member)]
            given: list[str | int | bytes] = [self._member, round(lease * 1000), KEPT, FORGET * 1000, KEPT * 1000, *batches]
            async with self._redis.pipeline(transaction=False) as pipe:
                await self._beat(keys, given, pipe)
                if after:
                    pipe.xread({self._key("batches", member): mark or "0-0" for member, mark in after.items()})
                return list(await pipe.execute())

        (now, age, joined, members, past), *streams = await _answer(work)
        names = {self._key("batches", member): member for member in after}
        return Beat(
            now / 1000, frozenset(member.decode() for member in members), frozenset(member.decode() for member in past),
            age / 1000, bool(joined),
            [
                Arrived(names[stream.decode()], mark.decode(), (now - int(mark.partition(b"-")[0])) / 1000, fields[b"b"])
                for stream, entries in (streams[0] if streams else ())
                for mark, fields in entries
            ],
        )  # fmt: skip

    async def read(self, register: str) -> bytes:
        """As Session.read."""
        found = await _answer(lambda: self._redis.get(self._key("register", register)))
        return bytes(found or b"")

    async def swap(
        self, register: str, before: bytes, after: bytes, word: bytes = b"", among: frozenset[str] | None = None
    ) -> Swap:
        """As Session.swap."""
        keys = [self._key("register", register), self._key("leases"), self._key("words")]
        given: list[str | int | bytes] = [before, after, word, FORGET * 1000, WORDS, int(among is not None), *sorted(among or ())]
        done, content = await _answer(lambda: self._swap(keys, given))
        return Swap(bool(done), content)

    async def listen(self) -> list[bytes]:
        """As Session.listen."""
        streams: dict[Any, Any] = {self._key("words"): self._heard}
        found = await _answer(lambda: self._ears.xread(streams, block=round(LISTEN * 1000)))
        if not found:
            return []
        entries = found[0][1]
        self._heard = entries[-1][0]
        return [fields[b"w"] for _, fields in entries]

    async def leave(self) -> None:
        """As Session.leave."""

        async def work() -> None:
            seconds, _ = await self._redis.time()
            await self._redis.zadd(self._key("leases"), {self._member: seconds * 1000})

        await _answer(work)

    async def close(self) -> None:
        """As Session.close."""
        for client in (self._redis, self._ears):
            try:
                async with asyncio.timeout(PATIENCE):
                    await client.aclose()
            except (RedisError, OSError, TimeoutError):
                pass  # it is gone anyway

    def _key(self, *what: str) -> str:
        return ":".join((f"{{cloudbase-router:{self._name}}}", self.epoch, *what))

    async def _greet(self, connection: AbstractConnection) -> None:
        """On every connection, also one that redis-py makes anew by itself: is it the server that we know?"""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        lines = bytes(await connection.read_response(disable_decoding=True)).splitlines()
        found = next((line[7:].decode() for line in lines if line.startswith(b"run_id:")), "")
        if self.epoch and found != self.epoch:
            raise RedisError("the server began anew")
        self.epoch = found


async def _unchecked(connection: AbstractConnection) -> None:
    await connection.on_connect()


def _client(url: str, patience: float, greet: Callable[[AbstractConnection], Awaitable[None]]) -> Redis:
    pool: ConnectionPool = ConnectionPool.from_url(
        url, socket_timeout=patience, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0), protocol=2,
        redis_connect_func=greet, health_check_interval=0,
    )  # fmt: skip
    return Redis.from_pool(pool)


async def _answer(ask: Callable[[], Awaitable[Any]]) -> Any:
    before = _cancellations()
    try:
        async with asyncio.timeout(2 * PATIENCE + LISTEN):
            return await ask()
    except BusyLoadingError as error:
        raise Away(str(error), refused=True) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise Away(str(error) or "no answer in time", refused=_refused(error)) from error
    finally:
        if _cancellations() > before:
            raise asyncio.CancelledError


def _cancellations() -> int:
    """How many were asked for of this task.

    One may get lost on the way: redis-py sends by `asyncio.wait_for`, which before Python 3.12 gives its result where both come
    at once, and the task would go on as if nobody had ended it.
    """
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def _refused(error: BaseException | None) -> bool:
    """Somewhere in its causes a connection was refused, by every address of the host that was tried."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False
