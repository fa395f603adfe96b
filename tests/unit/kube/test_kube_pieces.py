"""kube's small pure parts: codec, errors, resources, backoff, occurrences, access."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.access import BadAccess, InCluster
from kube.backoff import Backoff
from kube.cache import Cache
from kube.codec import Key, codec
from kube.errors import AlreadyExists, ApplyConflict, Attempt, Cause, Conflict, Gone, Status, StatusDetails, refusal
from kube.model import EndpointSlice, Service
from kube.occurrence import BURST, REFILL, REPORT_INTERVAL, SERIES_AGE, Correlator, Occurrence, Regarding
from kube.reflector import Pace
from kube.resource import DEPLOYMENTS, NAMESPACES, SERVICES
from loadtest.informer_server import service, slice_of

SLICE = b"""{"type":"MODIFIED","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"hello-x",
"namespace":"shop","uid":"u","resourceVersion":"7","labels":{"kubernetes.io/service-name":"hello"},"managedFields":[{"manager":"x"}]},
"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.7"],"conditions":{"ready":true,"serving":true,"terminating":false},
"targetRef":{"kind":"Pod","name":"hello-1","uid":"p"},"nodeName":"n"}],"ports":[{"name":"","port":8080,"protocol":"TCP"}]}}"""


def test_a_watch_line_becomes_an_event_with_its_struct() -> None:
    event = codec(EndpointSlice).event(SLICE)
    assert event.type == "MODIFIED" and event.object is not None and event.object.endpoints is not None
    [endpoint] = event.object.endpoints
    assert (endpoint.addresses, endpoint.conditions.ready, endpoint.target_ref.name if endpoint.target_ref else "") == (
        ("10.0.0.7",),
        True,
        "hello-1",
    )


def test_an_empty_slice_comes_with_null() -> None:
    line = b'{"type":"ADDED","object":{"metadata":{"name":"a","creationTimestamp":null},"endpoints":null,"ports":null}}'
    event = codec(EndpointSlice).event(line)
    assert event.object is not None and event.object.endpoints is None


@pytest.mark.parametrize("start", [b'{"type":"ERROR","object":', b'{ "object": {}, "type": "ERROR", "object":'])
def test_an_error_event_is_a_status_in_whatever_spelling(start: bytes) -> None:
    event = codec(Service).event(start + b'{"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"old"}}')
    assert event.error == Status(message="old", reason="Expired", code=410)


def test_what_is_no_event_raises() -> None:
    with pytest.raises(msgspec.DecodeError):
        codec(Service).event(b'{"type":"ADDED","object":')
    with pytest.raises(msgspec.DecodeError):
        codec(Service).event(b'{"kind":"Status"}')


def test_a_page_with_one_item_that_does_not_fit_has_all_the_others() -> None:
    page = codec(Service).page(
        b'{"metadata":{"resourceVersion":"9","continue":"c"},"items":[{"metadata":{"name":"good","namespace":"n"}},'
        b'{"metadata":{"name":"bad","namespace":"n","resourceVersion":"3"},"spec":{"ports":7}}]}'
    )
    assert [item.metadata.name for item in page.items] == ["good"]
    assert (page.broken[0].key, page.broken[0].resource_version) == (Key("n", "bad"), "3")
    assert "ports" in page.broken[0].message and page.continue_token == "c"


def test_the_last_applied_configuration_is_not_kept() -> None:
    body = b'{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}","mine":"1"}}}'
    assert codec(Service).decode(body).metadata.annotations == {"mine": "1"}


def test_paths() -> None:
    assert SERVICES.path() == "/api/v1/services"
    assert SERVICES.path("shop", "hello") == "/api/v1/namespaces/shop/services/hello"
    assert DEPLOYMENTS.path("shop", "a/b", "scale") == "/apis/apps/v1/namespaces/shop/deployments/a%2Fb/scale"
    assert NAMESPACES.path("ignored", "shop") == "/api/v1/namespaces/shop"
    with pytest.raises(ValueError, match="a namespace is needed"):
        SERVICES.path(name="hello")


def test_errors_are_typed_by_status_and_reason() -> None:
    attempt = Attempt("patch", "services", "shop/hello")
    assert type(refusal(attempt, 409, Status(reason="AlreadyExists"))) is AlreadyExists
    assert type(refusal(attempt, 409, Status(reason="Conflict"))) is Conflict
    cause = Cause("FieldManagerConflict", 'conflict with "kubectl"', ".spec.replicas")
    conflict = refusal(attempt, 409, Status(reason="Conflict", details=StatusDetails(causes=(cause,))))
    assert type(conflict) is ApplyConflict and '.spec.replicas (conflict with "kubectl")' in str(conflict)
    assert type(refusal(attempt, 410, Status())) is Gone
    assert str(refusal(attempt, 418, Status(message="teapot"))).startswith("patch services shop/hello: 418 teapot; ")


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_stay_below_the_limit_and_are_at_least_half_of_it(failures: int, chance: float) -> None:
    backoff = Backoff(first=0.25, limit=10.0)
    wait = backoff.wait(failures, lambda: chance)
    whole = min(10.0, 0.25 * 2.0 ** min(failures - 1, 50))
    assert whole / 2 <= wait <= whole


@given(st.floats(2, 300))
def test_a_healthy_watch_ends_before_it_counts_as_silent(silence: float) -> None:
    assert 1 <= Pace(silence=silence).lasting() < silence


ABOUT = Regarding("v1", "Service", "shop", "hello", "u")


def occurrence(note: str = "n", about: Regarding = ABOUT) -> Occurrence:
    return Occurrence(about, "Warning", "Bad", "Routing", note)


def test_repetitions_count_in_a_series_and_are_reported_now_and_then() -> None:
    correlator = Correlator()
    writes = [correlator.see(occurrence(), float(second), f"e{second}") for second in range(int(2 * REPORT_INTERVAL))]
    written = [(write.name, write.count) for write in writes if write]
    assert written == [("e0", 1), ("e0", 2), ("e0", 2 + int(REPORT_INTERVAL))]


def test_after_a_long_pause_the_same_thing_is_a_new_event() -> None:
    correlator = Correlator()
    correlator.see(occurrence(), 0.0, "first")
    again = correlator.see(occurrence(), SERIES_AGE + 1, "second")
    assert again is not None and (again.name, again.count) == ("second", 1)


def test_the_budget_of_one_object_refills_slowly_and_is_no_others() -> None:
    correlator = Correlator()
    first = [correlator.see(occurrence(str(number)), 0.0, "e") for number in range(BURST + 5)]
    assert sum(write is not None for write in first) == BURST and correlator.dropped == 5
    assert correlator.see(occurrence("x", Regarding("v1", "Service", "shop", "other")), 0.0, "e") is not None
    assert correlator.see(occurrence("y"), REFILL - 1, "e") is None
    assert correlator.see(occurrence("z"), 2 * REFILL, "e") is not None


def test_memory_of_occurrences_is_bounded() -> None:
    correlator = Correlator()
    for number in range(5000):
        correlator.see(occurrence("n", Regarding("v1", "Service", "shop", str(number))), 0.0, "e")
    assert len(correlator._series) == len(correlator._budgets) == 2048


def test_outside_a_pod_the_message_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BadAccess, match="KUBERNETES_SERVICE_HOST"):
        InCluster({})
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(BadAccess, match="automountServiceAccountToken"):
        InCluster(environ, tmp_path)
    (tmp_path / "namespace").write_text("shop")
    (tmp_path / "token").write_text("t")
    with pytest.raises(BadAccess, match=r"ca\.crt"):
        InCluster(environ, tmp_path)


def test_the_token_is_kept_while_its_file_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InCluster, "tls", lambda self: None)
    for name in ("namespace", "token"):
        (tmp_path / name).write_text(name)
    access = InCluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert access.server == "https://[fd00::1]:443"
    assert asyncio.run(access.authorization()) == "Bearer token"
    (tmp_path / "token").unlink()
    access.rejected()
    assert asyncio.run(access.authorization()) == "Bearer token"


def test_cached_objects_take_at_most_4_kib_each() -> None:
    """A Service and an EndpointSlice with five endpoints, as a real API server sends them."""
    lines = [
        json.dumps({"type": "ADDED", "object": make(number)}).encode() for make in (service, slice_of) for number in range(200)
    ]
    cache: Cache[Any] = Cache()
    cache.begin()
    cache.finish()
    decoders = [codec(Service)] * 200 + [codec(EndpointSlice)] * 200
    tracemalloc.start()
    for decoder, line in zip(decoders, lines, strict=True):
        cache.apply(decoder.event(line))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(cache.objects) == 400
    assert kept / 400 <= 4096, f"{kept / 400 / 1024:.2f} KiB"


@pytest.mark.parametrize("module", ["cache", "election", "occurrence", "wire", "backoff"])
def test_pure_modules_bring_no_loop_and_no_socket(module: str) -> None:
    program = f"import sys, kube.{module}; sys.exit(bool({{'asyncio', 'socket', 'ssl'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
