"""Settings by flag, environment and file: which wins, and what is said of a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudbase.errors import Misused
from cloudbase.settings import Address, Settings, address, read, router


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    settings = read({"data": str(tmp_path)}, {})
    assert settings == Settings(data=tmp_path)
    assert (str(settings.listen), str(settings.admin)) == ("127.0.0.1:8080", "127.0.0.1:8081")


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('listen = "127.0.0.1:1"\nadmin = "127.0.0.1:1"\nlog-format = "json"\nstop-grace = 3\n')
    environ = {"CLOUDBASE_LISTEN": "127.0.0.1:2", "CLOUDBASE_ADMIN": "127.0.0.1:2"}
    settings = read({"listen": "127.0.0.1:3", "admin": None}, environ, file)
    assert (settings.listen.port, settings.admin.port, settings.log_format, settings.stop_grace) == (3, 2, "json", 3.0)


def test_the_data_folders_own_file_is_read_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('listen = "127.0.0.1:5"\n')
    assert read({}, {"CLOUDBASE_DATA": str(tmp_path)}).listen.port == 5


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ({"listen": "8080"}, {}, "--listen must be HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:8080, was '8080'"),
        ({}, {"CLOUDBASE_LISTEN": "x:99999"}, "CLOUDBASE_LISTEN must be HOST:PORT"),
        ({"admin": "0.0.0.0:8081"}, {}, "--admin must be a loopback address"),
        ({}, {"CLOUDBASE_ADMIN": "example.com:1"}, "CLOUDBASE_ADMIN must be a loopback address"),
        ({}, {"CLOUDBASE_LOG_FORMAT": "xml"}, "CLOUDBASE_LOG_FORMAT must be one of auto, human, json, was 'xml'"),
        ({"stop_grace": "-1"}, {}, "--stop-grace must be a number of seconds from 0 to 86400, was '-1'"),
        ({"stop_grace": "nan"}, {}, "--stop-grace must be a number"),
    ],
)
def test_a_bad_value_is_told_with_its_place_and_what_it_must_be(
    flags: dict[str, str], environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(Misused) as caught:
        read({"data": str(tmp_path)} | flags, environ)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lissen = 1", "there is no setting 'lissen'"),
        ("listen = 8080", "listen must be HOST:PORT"),
        ("listen =", "cannot read the settings file"),
        ('data = "elsewhere"', "there is no setting 'data'"),  # it stands in the data folder already
        ("stop-grace = true", "stop-grace must be a number of seconds"),
    ],
)
def test_a_bad_settings_file_is_told_with_its_path(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(Misused, match=r"settings\.toml") as caught:
        read({"data": str(tmp_path)}, {})
    assert said in caught.value.message


def test_an_address_is_read_and_written_in_every_form() -> None:
    assert address("[::1]:80") == Address("::1", 80)
    assert str(Address("::1", 80)) == "[::1]:80"
    assert address(":0") == Address("127.0.0.1", 0)
    with pytest.raises(ValueError, match="brackets"):
        address("::1:80")


def test_the_data_planes_limits_come_from_its_own_variables_and_bad_ones_are_told() -> None:
    assert router({"ROUTER_HEAD_SIZE": "2048"}).head_size == 2048
    with pytest.raises(Misused, match="ROUTER_HEAD_SIZE must be at least 1024, was 7"):
        router({"ROUTER_HEAD_SIZE": "7"})
