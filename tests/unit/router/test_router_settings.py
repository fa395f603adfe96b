"""Settings: where they come from, and what is said when one is bad. And what a worker does not import."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from router.__main__ import parse, static_route
from router.listening import room_for_clients
from router.model import Endpoint, RouteKey
from router.networks import membership
from router.options import BadSetting
from router.settings import Settings, load


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text('head_size = 2000\nhead_fields = 20\ntarget_size = 200\ntrusted = ["10.0.0.0/8"]\n')
    settings = load({"head_size": "4000"}, {"ROUTER_HEAD_SIZE": "3000", "ROUTER_HEAD_FIELDS": "30"}, str(file))
    assert (settings.head_size, settings.head_fields, settings.target_size, settings.tries) == (4000, 30, 200, Settings().tries)
    assert settings.trusted == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"ROUTER_HEAD_SIZE": "12"}, "ROUTER_HEAD_SIZE must be at least 1024, was 12"),
        ({"ROUTER_TRIES": "many"}, "ROUTER_TRIES must be a whole number, was 'many'"),
        ({"ROUTER_CONNECT_TIMEOUT": "nan"}, "ROUTER_CONNECT_TIMEOUT must be at least 0.01, was nan"),
        ({"ROUTER_TRUSTED": "10.0.0.0/8, nowhere"}, "ROUTER_TRUSTED must list networks like \"10.0.0.0/8\", was 'nowhere'"),
        ({"ROUTER_LISTEN": "8080"}, 'listen: "8080" is not an address'),
        ({"ROUTER_TLS_KEY": "k.pem"}, "tls_certificate and tls_key must both be set"),
        ({"ROUTER_ACCESS_LOG": "2"}, "access_log must be at most 1, was 2"),
        (
            {"ROUTER_VIA": "our router"},
            "via must be a name like \"cloudbase\", of letters, digits and any of -._~, was 'our router'",
        ),
        ({"ROUTER_CONFIG": "/nowhere.toml"}, "the settings file /nowhere.toml cannot be read"),
    ],
)
def test_a_bad_setting_is_named_with_what_it_must_be(environ: dict[str, str], words: str) -> None:
    with pytest.raises(BadSetting) as caught:
        load({}, environ)
    assert words in str(caught.value)


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text("heat_size = 2000\n")
    with pytest.raises(BadSetting, match="there is no setting 'heat_size'"):
        load({}, {}, str(file))


def test_routes_come_from_flags_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    file.write_text('"shop.team" = "10.0.0.1:80, unix:/run/x.sock"\n')
    _, routes = parse(["--route", "hello=127.0.0.1:9000", "--routes", str(file)])
    assert [route.key for route in routes] == [RouteKey("*", "default", "hello"), RouteKey("*", "team", "shop")]
    assert routes[1].backends[0].endpoints == (Endpoint("10.0.0.1:80"), Endpoint("unix:/run/x.sock"))
    with pytest.raises(BadSetting):
        static_route("hello=nowhere")


def test_networks_hold_addresses_of_both_families() -> None:
    inside = membership(("10.0.0.0/8", "fd00::/8"))
    assert inside("10.1.2.3") and inside("fd00::1") and inside("::ffff:10.1.2.3")
    assert not inside("11.0.0.1") and not inside("::1") and not inside("unix")


@pytest.mark.skipif(sys.platform != "linux", reason="macOS names a limit that it does not grant")
def test_a_router_may_have_as_many_connections_as_the_system_allows() -> None:
    program = (
        "import resource; from router.listening import allow_connections; kind = resource.RLIMIT_NOFILE; "
        "most = resource.getrlimit(kind)[1]; resource.setrlimit(kind, (64, most)); allow_connections(); "
        "assert resource.getrlimit(kind) == (most, most), resource.getrlimit(kind)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("descriptors", "clients"),
    [(resource.RLIM_INFINITY, 1 << 20), (1 << 20, 524_224), (20_000, 9_936), (1024, 448), (256, 112), (2, 1)],
)
def test_every_client_may_have_a_descriptor_for_its_way_to_a_function_and_some_are_left(
    descriptors: int, clients: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, resource.RLIM_INFINITY))
    assert room_for_clients() == clients


def test_a_worker_imports_no_framework_no_client_and_no_kubernetes() -> None:
    code = "import sys, router.__main__; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"starlette", "uvicorn", "httpx", "httpx2", "kubernetes", "prometheus_client", "redis", "click", "rich", "uvloop"}
    assert not heavy & set(found)
