"""Which platform a command finds by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudbase.errors import Misused, NoPlatform
from cloudbase.place import find


def test_the_nearest_data_folder_upward_gives_address_and_token(home: Path) -> None:
    state = {"pid": 1, "listen": "127.0.0.1:9080", "admin": "127.0.0.1:9081"}
    (home.parent / ".cloudbase" / "lock").write_text(json.dumps(state))
    place = find(start=home)
    assert (str(place.admin), str(place.listen), place.token) == ("127.0.0.1:9081", "127.0.0.1:9080", "let-me-in")


def test_options_come_before_the_environment_before_the_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDBASE_TOKEN", "from-environment")
    monkeypatch.setenv("CLOUDBASE_ADMIN", "127.0.0.1:7001")
    assert (find(start=home).token, find(start=home).admin.port) == ("from-environment", 7001)
    stated = find(token="from-option", admin="127.0.0.1:7002", start=home)
    assert (stated.token, stated.admin.port) == ("from-option", 7002)


def test_a_lock_file_that_makes_no_sense_counts_as_absent(home: Path) -> None:
    (home.parent / ".cloudbase" / "lock").write_text("{")
    assert str(find(start=home).admin) == "127.0.0.1:8081"


def test_a_data_folder_that_was_named_must_be_there(home: Path) -> None:
    with pytest.raises(NoPlatform, match="there is no data folder nowhere") as caught:
        find(data="nowhere", start=home)
    assert caught.value.next_step == "start a platform with `cloudbase dev --data nowhere`"


def test_an_address_that_makes_no_sense_is_told(home: Path) -> None:
    with pytest.raises(Misused, match="must be HOST:PORT"):
        find(admin="8081", start=home)
