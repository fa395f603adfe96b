"""The data plane where there is no epoll (macOS): the same requests over the poller on the selectors module."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.settings import Settings
from router.wire.poller import Loop, SelectorPoller
from tests.integration.router import router_world
from tests.integration.router.router_world import World
from tests.integration.router.test_clients_connections import (  # noqa: F401 - collected here once more, with this module's world
    test_a_router_without_free_descriptors_leaves_clients_in_the_backlog_and_does_not_spin,
    test_a_tunnel_outlives_every_other_connection_of_a_drain_and_ends_in_order,
    test_whoever_waits_in_the_backlog_when_the_listener_closes_is_answered,
)
from tests.integration.router.test_cold_path import (  # noqa: F401
    test_waiters_go_in_the_order_of_their_arrival,
    test_waiters_of_a_deleted_function_get_404,
)
from tests.integration.router.test_faults_of_functions import (  # noqa: F401
    test_a_fin_behind_a_request_is_answered_unless_the_owner_cancels_on_it,
    test_a_function_learns_that_its_client_is_gone,
    test_a_get_that_got_no_byte_of_an_answer_is_sent_again,
    test_an_idle_connection_that_the_function_closed_is_not_used,
    test_another_replica_is_tried_when_one_refuses,
)
from tests.integration.router.test_warm_path import (  # noqa: F401
    test_a_chunked_response_is_streamed_as_it_comes,
    test_a_slow_client_pauses_the_function_and_costs_no_memory,
    test_a_websocket_tunnel_carries_bytes_both_ways_until_both_sides_end,
    test_bodies_by_length_arrive_whole_in_both_directions,
    test_pipelined_requests_are_answered_in_order,
)


@pytest.fixture
def world(worlds: Callable[[Settings], World], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(router_world, "new_event_loop", lambda: Loop(SelectorPoller()))
    made = worlds(Settings())
    assert isinstance(made.plane.poller, SelectorPoller)
    return made
