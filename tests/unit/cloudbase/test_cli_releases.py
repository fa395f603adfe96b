"""Commands on what a function runs, and which platform of a cluster they mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudbase import manifest
from cloudbase.commands import update
from cloudbase.forward import Target
from cloudbase.place import ACCOUNT, PLATFORM, Cluster, Place, elsewhere
from cloudbase.settings import ADMIN, LISTEN
from tests.unit.cloudbase.fake_management_api import TOKEN, FakeApi, Run


@pytest.fixture
def hello(api: FakeApi, run: Run, home: Path) -> FakeApi:
    """A function that is there."""
    (home / "hello").mkdir()
    (home / "hello" / "index.js").write_text("")
    assert run("deploy", "hello").exit_code == 0
    api.seen.clear()
    return api


def test_a_rollback_names_who_has_the_traffic_then(hello: FakeApi, run: Run) -> None:
    assert "hello: hello-00001 has the traffic" in run("rollback", "hello").stderr
    assert "hello: hello-00003 has the traffic" in run("rollback", "hello", "--to", "hello-00003").stderr
    assert "hello: hello-00002 has the traffic" in run("rollback", "hello", "--to", "newest").stderr
    assert "hello: the newest gets the traffic" in run("rollback", "hello", "--to", "newest", "--no-wait").stderr
    assert run("rollback", "nobody").exit_code == 5


def test_revisions_are_a_table_or_json(hello: FakeApi, run: Run) -> None:
    assert "hello has no revision yet" in run("revisions", "hello").stderr
    hello.revisions = [
        {"name": "hello-00002", "percent": 100, "provenAt": "2026-01-01T00:00:00Z", "createdAt": "", "artifact": "sha256:b"},
        {"name": "hello-00001", "percent": 0, "provenAt": "", "createdAt": "", "artifact": "sha256:a"},
    ]
    lines = run("revisions", "hello").stdout.splitlines()
    assert lines[0].split() == ["REVISION", "TRAFFIC", "PROVEN", "AGE", "ARTIFACT"]
    assert lines[1].split() == ["hello-00002", "100", "%", "yes", "sha256:b"]
    assert lines[2].split() == ["hello-00001", "-", "never", "ready", "sha256:a"]
    assert '"items"' in run("revisions", "hello", "-o", "json").stdout


def test_an_update_changes_what_is_named_and_nothing_else(hello: FakeApi, run: Run) -> None:
    hello.views["hello"]["spec"] |= {"source": "sha256:a", "env": {"A": "1", "B": "2"}, "scaling": {"min": 0, "max": 4}}
    hello.seen.clear()
    done = run("update", "hello", "-e", "C=3", "--unset", "A", "--min", "2")
    assert (done.exit_code, done.stdout, "Updated hello: ready" in done.stderr) == (0, "http://127.0.0.1:8080/fn/hello\n", True)
    spec = hello.views["hello"]["spec"]
    assert (spec["env"], spec["scaling"]) == ({"B": "2", "C": "3"}, {"min": 2, "max": 4})
    assert (spec["runtime"], spec["source"]) == ("node", "sha256:a")
    assert [request.method for request in hello.seen] == ["GET", "PUT", "GET", "GET"]
    hello.views["hello"]["spec"] = {"image": "shop:1"}
    assert run("update", "hello", "--image", "shop:2", "--no-wait").exit_code == 0
    assert hello.views["hello"]["spec"]["image"] == "shop:2"


def test_an_update_is_made_of_what_others_wrote_meanwhile(hello: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "PAUSE", 0.0)
    hello.others = [{"A": "1"}, {"B": "2"}]
    assert run("update", "hello", "-e", "C=3", "--no-wait").exit_code == 0
    assert hello.views["hello"]["spec"]["env"] == {"A": "1", "B": "2", "C": "3"}
    hello.others = [{"A": str(number)} for number in range(update.TRIES)]
    done = run("update", "hello", "-e", "C=4", "--no-wait")
    assert (done.exit_code, "Error: It was changed meanwhile." in done.stderr) == (4, True)
    assert hello.views["hello"]["spec"]["env"]["C"] == "3"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["hello"], 2, "nothing is to be changed"),
        (["hello", "--unset", "NO"], 2, "there is no variable NO to take away\nNext: it has: none"),
        (["hello", "--image", "shop:2"], 2, "it is built from source, not run from an image"),
        (["hello", "-e", "A"], 2, "--env 'A' is not NAME=VALUE"),
        (["nobody", "--min", "1"], 5, 'There is no function "nobody"'),
    ],
)
def test_an_update_that_makes_no_sense_changes_nothing(
    hello: FakeApi, run: Run, arguments: list[str], code: int, said: str
) -> None:
    done = run("update", *arguments)
    assert done.exit_code == code
    assert said in done.stderr
    assert "PUT" not in [request.method for request in hello.seen]


def test_settings_without_a_folder_are_not_taken_for_a_release(hello: FakeApi, run: Run) -> None:
    (Path.cwd() / "hello").rename(Path.cwd() / "elsewhere")
    done = run("deploy", "hello", "--min", "2")
    assert (done.exit_code, "`cloudbase update NAME`" in done.stderr, hello.seen) == (2, True, [])


def test_events_are_lines_or_json(hello: FakeApi, run: Run) -> None:
    hello.events = [
        {"time": "T1", "type": "Build", "status": "", "reason": "Started", "message": ""},
        {"time": "T2", "type": "Built", "status": "True", "reason": "Built", "message": "artifact a"},
    ]
    lines = "T1 Build Started\nT2 Built True Built: artifact a\n"
    assert run("events", "hello").stdout == run("events", "hello", "-f").stdout == lines
    assert json.loads(run("events", "hello", "-o", "json").stdout.splitlines()[1])["message"] == "artifact a"
    hello.events = []
    assert "nothing is known to have happened to hello" in run("events", "hello").stderr
    assert run("events", "nobody").exit_code == 5


def test_a_redeployment_is_asked_for_and_followed(hello: FakeApi, run: Run) -> None:
    done = run("redeploy", "hello")
    assert (done.exit_code, "Redeployed hello" in done.stderr) == (0, True)
    assert [request.url.path.rpartition("/")[2] for request in hello.seen] == ["redeploy", "events", "hello"]


def test_what_is_built_waits_and_is_released_by_its_name(api: FakeApi, run: Run, home: Path) -> None:
    (home / "app").mkdir()
    (home / "app" / "index.js").write_text("")
    api.outcome = {"ready": False, "reason": "Unreleased"}
    built = run("build", "app", "--name", "shop")
    assert "shop: built: `cloudbase deploy shop` releases it" in built.stderr
    assert api.views["shop"]["spec"]["deploy"] == "manual"
    assert "Built" in run("list").stdout
    api.outcome = {"ready": True, "reason": "Ready", "replicas": 1}
    released = run("deploy", "shop")
    assert (released.exit_code, "Released shop: ready" in released.stderr) == (0, True)
    missing = run("deploy", "neither")
    assert (missing.exit_code, "neither a folder nor a function neither" in missing.stderr) == (5, True)


def test_a_deployment_says_that_pinned_traffic_stays_where_it_is(hello: FakeApi, run: Run) -> None:
    words = "The traffic stays on hello-00001, as `traffic` says: `cloudbase rollback hello --to newest`"
    assert "traffic stays" not in run("deploy", "hello").stderr
    hello.views["hello"]["spec"]["traffic"] = [{"revision": "hello-00001", "percent": 90}, {"percent": 10}]
    (Path.cwd() / "hello").rename(Path.cwd() / "elsewhere")  # from here on `hello` is the function's name
    assert "traffic stays" not in run("deploy", "hello").stderr
    hello.views["hello"]["spec"]["traffic"] = [{"revision": "hello-00001", "percent": 100}]
    assert words in run("deploy", "hello").stderr


def test_a_server_and_a_namespace_are_called_as_they_are_given(api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("list", "--server", "http://controller.cloudbase:8081/", "--namespace", "shop", "--token", TOKEN)
    [request] = api.seen
    assert str(request.url) == "http://controller.cloudbase:8081/api/v1/functions?namespace=shop"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    monkeypatch.setenv("CLOUDBASE_SERVER", "https://c")
    run("list", "--token", TOKEN)
    assert str(api.seen[-1].url) == "https://c/api/v1/functions"


def test_a_cluster_is_meant_by_a_context_or_a_namespace_and_not_beside_a_folder(run: Run, home: Path) -> None:
    assert elsewhere(None, None, None, None) is None
    found = elsewhere(None, "prod", "shop", None)
    assert found is not None and found.cluster is not None
    assert (found.cluster.context, found.cluster.platform, found.cluster.account) == ("prod", PLATFORM, ACCOUNT)
    assert found.where == "the context prod" and "cloudbase-system" in found.start_hint
    assert run("list", "--data", str(home), "--context", "prod").exit_code == 2
    assert run("list", "--server", "controller:8081").exit_code == 2
    nowhere = run("list", "--context", "prod")
    assert nowhere.exit_code == 3 and "Next: name a kubeconfig by KUBECONFIG" in nowhere.stderr


def test_the_way_to_a_pod_is_a_websocket_of_the_api_server() -> None:
    target = Target("https://api.example:6443", None, "", "Bearer t", "cloudbase-system", "controller-1", 8081)
    assert target.url == (
        "wss://api.example:6443/api/v1/namespaces/cloudbase-system/pods/controller-1/portforward?ports=8081"
    )  # fmt: skip
    place = Place(ADMIN, LISTEN, "", cluster=Cluster("k"), trouble=lambda: "pod is gone")
    assert place.start_hint.endswith(": pod is gone")


def test_an_image_or_a_repository_is_sent_as_settings_alone(api: FakeApi, run: Run, home: Path) -> None:
    run("deploy", "--image", "ghcr.io/some/thing:1", "--min", "1")
    request = api.seen[0]
    assert (request.url.path, request.headers["content-type"]) == ("/api/v1/functions/thing", "application/json")
    assert json.loads(request.content) == {"spec": {"image": "ghcr.io/some/thing:1", "scaling": {"min": 1}}}
    api.seen.clear()
    (home / "cloudbase.toml").write_text('name = "far"\nruntime = "node"\n[git]\nurl = "https://example.com/r.git"\n')
    run("deploy")
    assert json.loads(api.seen[0].content) == {"spec": {"runtime": "node", "git": {"url": "https://example.com/r.git"}}}
    assert "image" in run("list").stdout and "image ghcr.io/some/thing:1" in run("describe", "thing").stdout


def test_a_dockerfile_tells_the_runtime_where_nothing_else_does(home: Path) -> None:
    (home / "Dockerfile").write_text("FROM scratch")
    assert manifest.detect(home) == "dockerfile"
    (home / "index.js").write_text("")
    assert manifest.detect(home) == "node"
    (home / "main.py").write_text("")
    assert manifest.detect(home) == "dockerfile"
