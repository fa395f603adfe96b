"""The far end of a loopback connection is found in the kernel's table by its two ports."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from loadtest.owner import far_inodes, owners

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 22 1 0 20 4 30 10 -1
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 33 1 0 20 4 30 10 -1
   3: 0100007F:1F90 0100007F:C351 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
"""


def test_only_established_connections_have_a_far_end() -> None:
    assert far_inodes(TABLE) == {(0x1F90, 0xC350): 22, (0xC350, 0x1F90): 33}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_accepted_connection_belongs_to_the_process_that_accepted_it_and_a_waiting_one_to_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as connection:
        assert owners([connection], [os.getpid()]) == {}

        accepted, _ = listener.accept()
        with accepted:
            assert owners([connection], [os.getpid()]) == {connection: os.getpid()}
