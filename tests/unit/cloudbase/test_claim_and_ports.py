"""One platform for one data folder and one port, and what the second one is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cloudbase.claim import Claim, token
from cloudbase.errors import FolderTaken, Misused, PortTaken
from cloudbase.listening import bound, listen
from cloudbase.occupant import who_listens
from cloudbase.opening import open_all
from cloudbase.place import find
from cloudbase.settings import Address, Settings

FREE = Address("127.0.0.1", 0)


def test_a_second_claim_is_told_who_holds_the_folder_and_what_to_do(tmp_path: Path) -> None:
    with Claim(tmp_path) as claim:
        claim.announce(Address("127.0.0.1", 9080), Address("127.0.0.1", 9081))
        assert str(find(data=str(tmp_path)).admin) == "127.0.0.1:9081"
        with pytest.raises(FolderTaken, match=f"in use by the platform with pid {os.getpid()}, which listens on 127") as caught:
            Claim(tmp_path)
        assert "--data DIR" in caught.value.next_step
    Claim(tmp_path).release()


def test_a_claim_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    program = "import os, sys, pathlib, cloudbase.claim as c; k = c.Claim(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)]).returncode == -9
    Claim(tmp_path).release()


def test_a_data_folder_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misused, match="cannot work in the data folder"):
        Claim(tmp_path / "file")


def test_the_token_is_made_once_and_only_for_its_user(tmp_path: Path) -> None:
    made = token(tmp_path)
    assert len(made) >= 32
    assert token(tmp_path) == made
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_port_zero_takes_a_free_one() -> None:
    with listen(FREE, "--listen") as one, listen(FREE, "--listen") as two:
        assert bound(one).port != bound(two).port


def test_a_taken_port_says_by_whom_and_how_to_choose_another() -> None:
    with listen(FREE, "--listen") as sock:
        taken = bound(sock)
        with pytest.raises(PortTaken) as caught:
            listen(taken, "--listen")
        assert caught.value.message.startswith(f"{taken} is taken by pid {os.getpid()} (")
        assert "choose another port with --listen (--listen 127.0.0.1:0 takes a free one)" in caught.value.next_step


def test_a_port_taken_on_every_address_is_taken_here_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock, pytest.raises(PortTaken):
        listen(Address("127.0.0.1", sock.getsockname()[1]), "--listen")


def test_who_listens_is_another_process_when_nobody_can_be_found(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text("  sl  local_address rem_address   st\n")
    assert who_listens(80, tmp_path) == "another process (of another user, or in another container)"


def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(Misused, match="--listen: cannot listen on 203"):
        listen(Address("203.0.113.1", 0), "--listen")


def test_everything_that_is_taken_is_told_at_once_with_one_command_that_avoids_it(tmp_path: Path) -> None:
    first = open_all(Settings(listen=FREE, admin=FREE, data=tmp_path / "data"))
    try:
        traffic, admin = bound(first.traffic), bound(first.admin)
        with pytest.raises(PortTaken) as caught:
            open_all(Settings(listen=traffic, admin=admin, data=tmp_path / "data"))
        for what in (f"{traffic} is taken by pid", f"{admin} is taken by pid", "data is in use by"):
            assert what in caught.value.message
        assert "`cloudbase dev --listen 127.0.0.1:" in caught.value.next_step
        assert f"--data {tmp_path / 'data-2'}`" in caught.value.next_step
        assert "CLOUDBASE_ADMIN=127.0.0.1:" in caught.value.next_step
    finally:
        first.close()


def test_what_is_free_is_given_back_when_something_else_is_taken(tmp_path: Path) -> None:
    with listen(FREE, "") as sock:
        with pytest.raises(PortTaken):
            open_all(Settings(listen=FREE, admin=bound(sock), data=tmp_path / "data"))
        Claim(tmp_path / "data").release()
