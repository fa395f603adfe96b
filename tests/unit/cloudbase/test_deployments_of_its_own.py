"""What the platform deploys by itself: the sample where nobody else has its name, and folders that can be watched."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cloudbase import inside, sample
from cloudbase.client import Client
from cloudbase.errors import Misused
from cloudbase.place import Place
from cloudbase.settings import address
from tests.unit.cloudbase.fake_management_api import TOKEN, FakeApi, view

NODE, PYTHON = sample.EXAMPLES / sample.NODE, sample.EXAMPLES / sample.PYTHON
PLACE = Place(address(":8081"), address(":8080"), TOKEN)


@pytest.fixture
def platform(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    monkeypatch.setattr(inside, "Client", lambda place: Client(place, api.transport))
    monkeypatch.setattr(sample, "choose", lambda: sample.Sample(PYTHON, "runs on Python"))
    return api


def deployments(api: FakeApi) -> int:
    return sum(request.method == "PUT" for request in api.seen)


def test_the_sample_is_deployed_where_there_is_no_hello(platform: FakeApi) -> None:
    asyncio.run(inside.deploy_sample(PLACE))
    assert (deployments(platform), platform.views["hello"]["spec"]["runtime"]) == (1, "python")


def test_a_hello_of_the_users_own_is_left_alone(platform: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    platform.views["hello"] = view("hello", {"runtime": "node", "source": "sha256:" + "0" * 64})
    asyncio.run(inside.deploy_sample(PLACE))
    assert deployments(platform) == 0
    assert "a function of your own has this name" in caplog.text


def test_the_sample_that_is_there_keeps_what_was_set_for_it(platform: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    platform.views["hello"] = view("hello", {"runtime": "python", "source": sample.source(PYTHON), "timeout": 5})
    asyncio.run(inside.deploy_sample(PLACE))
    assert deployments(platform) == 0
    assert "answers at http://127.0.0.1:8080/fn/hello" in caplog.text


def test_the_other_runtimes_sample_is_replaced(platform: FakeApi) -> None:
    platform.views["hello"] = view("hello", {"runtime": "node", "source": sample.source(NODE)})
    asyncio.run(inside.deploy_sample(PLACE))
    assert deployments(platform) == 1


def test_a_folder_to_watch_has_to_be_there_and_two_must_not_be_one_function(tmp_path: Path) -> None:
    with pytest.raises(Misused, match="nowhere is not there"):
        inside.expect_watchable([tmp_path / "nowhere"])
    one, other, broken = tmp_path / "a" / "same", tmp_path / "b" / "same", tmp_path / "broken"
    for folder in (one, other, broken):
        folder.mkdir(parents=True)
    (broken / "cloudbase.toml").write_text("name =")  # may be mended while it is watched
    inside.expect_watchable([one, broken])
    with pytest.raises(Misused, match="both the function same"):
        inside.expect_watchable([one, broken, other])
    (other / "cloudbase.toml").write_text('name = "another"')
    inside.expect_watchable([one, broken, other])
