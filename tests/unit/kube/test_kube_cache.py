"""kube.cache: whatever comes, the deltas told add up to what is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.cache import Cache, Delta
from kube.codec import Broken, Key, Page, WatchEvent
from kube.model import ObjectMeta, Service

NAMES = st.sampled_from("abcd")


def made(name: str, version: int, uid: int = 0) -> Service:
    return Service(ObjectMeta(name=name, namespace="n", uid=f"{name}{uid}", resource_version=str(version)))


def key(name: str) -> Key:
    return Key("n", name)


def listed(cache: Cache[Service], items: list[Service], version: str = "9", size: int = 2) -> list[Delta[Service]]:
    cache.begin()
    for start in range(0, len(items) or 1, size):
        cache.page(Page(items[start : start + size], version, "more"))
    return cache.finish()


class Truth:
    """A small API server's state with its history, driven by Hypothesis."""

    def __init__(self) -> None:
        self.version = 0
        self.uid = 0
        self.objects: dict[str, Service] = {}
        self.events: list[WatchEvent[Service]] = []

    def put(self, name: str) -> None:
        self.version += 1
        known = self.objects.get(name)
        if known is None:
            self.uid += 1
        uid = known.metadata.uid if known else f"{name}{self.uid}"
        new = Service(ObjectMeta(name=name, namespace="n", uid=uid, resource_version=str(self.version)))
        self.objects[name] = new
        self.events.append(WatchEvent("MODIFIED" if known else "ADDED", new))

    def delete(self, name: str) -> None:
        if name in self.objects:
            self.version += 1
            old = self.objects.pop(name)
            meta = ObjectMeta(name=name, namespace="n", uid=old.metadata.uid, resource_version=str(self.version))
            self.events.append(WatchEvent("DELETED", Service(meta)))

    def bookmark(self) -> None:
        self.version += 1
        self.events.append(WatchEvent("BOOKMARK", Service(ObjectMeta(resource_version=str(self.version)))))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES),
        st.tuples(st.just("delete"), NAMES),
        st.tuples(st.just("bookmark"), st.just("")),
        st.tuples(st.just("sync"), st.just("")),  # the watch catches up
        st.tuples(st.just("relist"), st.just("")),  # the watch was away: what it missed is never shown
        st.tuples(st.just("again"), st.just("")),  # the last event is shown twice
    ),
    max_size=60,
)


class Watcher:
    """Follows the truth by lists and events, and rebuilds it from the deltas alone."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.cache: Cache[Service] = Cache()
        self.mirror: dict[Key, Service] = {}

    def relist(self) -> None:
        self.truth.events.clear()
        for delta in listed(self.cache, list(self.truth.objects.values()), str(self.truth.version)):
            self.hear(delta)

    def sync(self) -> None:
        for event in self.truth.events:
            self.hear(self.cache.apply(event))
        self.truth.events.clear()

    def hear(self, delta: Delta[Service] | None) -> None:
        if delta is None:
            return
        assert self.mirror.get(delta.key) is delta.old
        assert (delta.kind == "added") == (delta.old is None) and (delta.kind == "deleted") == (delta.new is None)
        if delta.new is None:
            del self.mirror[delta.key]
            return
        assert delta.old is None or (delta.old.metadata.uid == delta.new.metadata.uid and delta.old != delta.new)
        self.mirror[delta.key] = delta.new


@given(STEPS)
def test_deltas_follow_from_each_other_and_add_up_to_the_truth(steps: list[tuple[str, str]]) -> None:
    truth = Truth()
    watcher = Watcher(truth)
    actions = {"put": truth.put, "delete": truth.delete, "bookmark": lambda _: truth.bookmark()}
    actions |= {"sync": lambda _: watcher.sync(), "relist": lambda _: watcher.relist()}
    actions["again"] = lambda _: truth.events.extend(truth.events[-1:])
    watcher.relist()
    for action, name in steps:
        actions[action](name)
    watcher.sync()
    assert watcher.mirror == watcher.cache.objects == {key(name): item for name, item in truth.objects.items()}
    assert watcher.cache.resource_version == str(truth.version)


def test_a_relist_keeps_the_object_it_has_in_the_same_version() -> None:
    cache: Cache[Service] = Cache()
    first = made("a", 1)
    listed(cache, [first])
    assert listed(cache, [made("a", 1)]) == []
    assert cache.objects[key("a")] is first


def test_an_object_deleted_and_made_anew_while_away_is_a_deletion_and_an_addition() -> None:
    cache: Cache[Service] = Cache()
    old, new = made("a", 1, uid=1), made("a", 5, uid=2)
    listed(cache, [old])
    assert listed(cache, [new]) == [Delta("deleted", key("a"), old, None), Delta("added", key("a"), None, new)]


def test_a_list_that_is_not_finished_changes_nothing_and_can_be_begun_again() -> None:
    cache: Cache[Service] = Cache()
    listed(cache, [made("a", 1)], "1")
    cache.begin()
    cache.page(Page([made("b", 2)], "2", "more"))
    assert list(cache.objects) == [key("a")] and cache.resource_version == "1"
    assert [delta.kind for delta in listed(cache, [made("a", 1), made("c", 3)], "3")] == ["added"]
    assert set(cache.objects) == {key("a"), key("c")}


def test_an_event_moves_the_version_even_when_it_changes_nothing() -> None:
    cache: Cache[Service] = Cache()
    listed(cache, [], "1")
    assert cache.apply(WatchEvent("DELETED", made("unknown", 7))) is None
    assert cache.resource_version == "7"


def test_an_object_that_cannot_be_decoded_keeps_its_last_good_state_over_events_and_lists() -> None:
    cache: Cache[Service] = Cache()
    good = made("a", 1)
    listed(cache, [good])
    broken = Broken(key("a"), "2", "ports: not a list")
    assert cache.apply(WatchEvent("MODIFIED", broken=broken)) is None
    assert (cache.objects[key("a")], cache.resource_version, cache.broken) == (good, "2", {key("a"): "ports: not a list"})
    cache.begin()
    cache.page(Page([], "3", broken=[broken]))
    assert cache.finish() == []
    assert cache.objects == {key("a"): good}
    assert cache.apply(WatchEvent("MODIFIED", made("a", 4))) is not None and cache.broken == {}
    cache.apply(WatchEvent("MODIFIED", broken=broken))
    deleted = cache.apply(WatchEvent("DELETED", broken=broken))
    assert deleted is not None and deleted.kind == "deleted" and cache.objects == {} and cache.broken == {}


def test_wrong_order_of_calls_is_refused() -> None:
    cache: Cache[Service] = Cache()
    with pytest.raises(RuntimeError, match="before begin"):
        cache.page(Page([], "1"))
    with pytest.raises(RuntimeError, match="before begin"):
        cache.finish()
    with pytest.raises(ValueError, match="ERROR event without an object"):
        cache.apply(WatchEvent("ERROR"))
