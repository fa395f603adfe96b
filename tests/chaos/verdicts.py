"""What must hold: of each answer, of each client when all is over, of what is left, and of what was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.meters import ACCEPTED, BUCKETS, CLASSES, CLOSED, GONE, LATENCY, OPENED, RECEIVED, SENT, read_functions, read_worker
from tests.chaos.asking import ONCE, Ask
from tests.chaos.hearing import Got

if TYPE_CHECKING:
    from tests.chaos.clients import Near
    from tests.chaos.world import World

CONDITIONS = frozenset(("rough", "slow", "limit", "cold"))  # of a run, which excuse nothing
UNSURE = frozenset(
    ("cold", "limit", "routes", "refused", "black hole", "idle end")
)  # a request may wait, and a FIN takes it away


def check(world: World, got: Got) -> None:
    """A whole answer came: it is the function's answer to this request, or ours with a reason."""
    ask = got.ask
    if got.ours:
        assert _excused(world, got), f"{got.status} to {ask.tag!r} without a reason: {got.body!r}"
        return
    assert ask.function != b"nobody" and not ask.bad, "an answer to what reaches no function"
    number = int(got.body[:8] or got.number)
    if 0 < len(got.body) < 8 and "broken" in world.faults:  # a body that ends with its connection, early
        return
    if not number:  # nothing in it says whose it is
        assert not got.body and (ask.method == b"HEAD" or got.status in (204, 304) or "broken" in world.faults)
        return
    answer = world.answers.get(number)
    assert answer is not None, "an answer of nobody"
    assert answer.ask is ask, f"the answer to {answer.ask.tag!r} for {ask.tag!r}"
    assert number not in world.given, "one answer to two requests"
    world.given.add(number)
    assert got.status == answer.status
    if answer.closing and not answer.whole:
        assert answer.body.startswith(got.body)
    else:
        assert answer.body == got.body, f"{len(got.body)} of {len(answer.body)} bytes, taken for the whole answer"


def _excused(world: World, got: Got) -> bool:
    """May the router say so?"""
    status, ask = got.status, got.ask
    if ask.function == b"nobody" or ask.bad:
        return status == (400 if ask.bad else 404) or ("time" in world.faults and status == 408)
    return (
        ("routes" in world.faults and status in (404, 413, 503, 504))
        or ("time" in world.faults and status in (408, 502, 504))
        or (status == 502 and (world.unreachable or _harmed(world, ask)))
        or (status == 504 and (world.silent or world.unreachable))
        or (status == 503 and world.limit and (world.silent or world.unreachable))  # who waits, would wait for too long
    )


def _harmed(world: World, ask: Ask) -> bool:
    """Did a function let this request down?"""
    for far in world.fars:
        world.harmed |= far.let_down()
    return ask.tag in world.harmed or b"" in world.harmed


def judge(world: World, near: Near) -> None:
    """All is over for this client: it got an answer to all that it asked, unless something excuses that it did not."""
    for ask in near.asks:
        if ask.method in ONCE:
            seen = world.seen.get(ask.tag, 0)
            assert seen <= ask.sent, f"{ask.tag!r} was sent {ask.sent} times and read {seen} times"
    _judge_tunnel(world, near)
    if "time" in world.faults or (near.left and (near.cut != "fin" or not near.tidy or world.faults & UNSURE)):
        return
    got, asks = near.got, near.asks[: near.place] if near.left else near.asks
    if got and not got[-1].whole:
        assert _harmed(world, got[-1].ask) or _reset_for_another(world, near), f"a broken answer to {got[-1].ask.tag!r}"
    elif len(got) < len(asks):
        sock = near.sock
        assert _ended_early(world, near), (
            f"{near.name}: {len(got)} answers to {len(asks)} requests, {near.place} sent; "
            f"closed {sock.closed} ended {sock.ended} reset {sock.was_reset}"
        )


def _ended_early(world: World, near: Near) -> bool:
    """The last answer may have been the last, or one behind it broke off."""
    if world.memory.clients.draining:
        return True
    last = near.got[-1] if near.got else None
    if last and last.last and (last.ours or last.ask.final or last.ask.tag in world.early):
        return True
    return _reset_for_another(world, near)


def _reset_for_another(world: World, near: Near) -> bool:
    """A RST told of an answer that broke off, and destroyed what was on its way before it."""
    return near.sock.was_reset and any(_harmed(world, ask) for ask in near.asks[len(near.got) : near.place + 1])


def _judge_tunnel(world: World, near: Near) -> None:
    if near.hearing.tunnel is None:
        return
    tag = near.got[-1].ask.tag
    said = world.spoken.get(tag, b"")
    assert said.startswith(near.hearing.tunnel), "a tunnel brought what no function said"
    if not world.faults - CONDITIONS:
        assert near.hearing.tunnel == said, "a tunnel lost what the function said"
        asked = world.tunnels.get(tag, b"")
        asked = asked[: len(asked) - len(near.to_tunnel or b"")]
        assert world.heard.get(tag, b"") == asked, "a tunnel lost what the client said"


def nothing_is_left(world: World) -> None:
    """All peers are gone and time went by: no request, no connection, nothing to be sent."""
    memory = world.memory
    assert memory.present() == (0, 0), f"in flight and waiting: {memory.present()}"
    assert not memory.board.backing_off and not memory.board.cold and not memory.board._going
    assert not memory.clients.open, "a client's connection is never closed"
    assert not memory.pool.open_now, "a function's connection is never closed"
    assert not memory.poller.watched, "a descriptor is watched for ever"
    assert not any(outbox for outbox, _ in memory.poller.outboxes), "something is never sent"
    assert all(one.sock.closed for one in (*world.nears, *world.fars)), "a descriptor is never closed"


def counts_agree(world: World) -> None:
    """The meters say what the peers saw; without faults, to the byte."""
    rows = list(read_functions(world.memory.book).values())
    worker = read_worker(world.memory.book)
    assert worker[ACCEPTED] == worker[GONE] == len(world.nears)
    assert all(row[OPENED] == row[CLOSED] for row in rows) or "routes" in world.faults
    if world.faults - CONDITIONS:
        return
    got = [one for near in world.nears for one in near.got if one.ask.function != b"nobody"]
    for n, name in enumerate(CLASSES):
        counted = sum(sum(row[LATENCY + n * BUCKETS : LATENCY + (n + 1) * BUCKETS]) for row in rows)
        assert counted == sum(one.status // 100 == n for one in got), f"{counted} answers of class {name}"
    if not any(one.status == 101 for one in got):
        assert sum(row[RECEIVED] for row in rows) == sum(len(one.ask.body) for one in got), "bytes of requests"
        assert sum(row[SENT] for row in rows) == sum(len(one.body) for one in got), "bytes of answers"
