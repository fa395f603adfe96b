"""A round between routers: what may follow what, and nobody is passed over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.kube.peers.rounds import Ask, Round, agreed, answered, decode, encode, over, refused

ASK = Ask(("*", "default", "hello"), "default", "hello", "shut", (("pod-0", "10.0.0.1:80"),))
MEMBERS = ("asker", "b", "c")
STEPS = st.lists(st.sampled_from(["b", "c", "refuse", "agree", "gone", "kept"]), max_size=12)


def test_a_round_is_agreed_when_all_other_members_have_nothing_there() -> None:
    one = Round("1", "asker", ASK)
    assert agreed(one, MEMBERS) is None and agreed(one, ["asker"]) is not None
    one = answered(one, "b") or one
    assert answered(one, "b") is None and agreed(one, MEMBERS) is None
    one = answered(one, "c") or one
    end = agreed(one, MEMBERS) or one
    assert end.state == "agreed" and refused(end) is None and answered(end, "d") is None
    assert (over(end, False) or end).state == "kept" and refused(over(end, True) or end) is None
    assert agreed(one, (*MEMBERS, "newcomer")) is None


def after(one: Round, step: str) -> Round | None:
    if step == "refuse":
        return refused(one)
    if step == "agree":
        return agreed(one, MEMBERS)
    return over(one, step == "gone") if step in ("gone", "kept") else answered(one, step)


@given(STEPS)
def test_who_refused_in_time_is_never_overruled_and_who_is_late_changes_nothing(steps: list[str]) -> None:
    one = Round("1", "asker", ASK)
    history: list[str] = []
    for step in steps:
        change = after(one, step)
        if change is not None:
            history.append(step)
            one = change
        assert decode(encode(one)) == one
    if "agree" in history:
        assert "refuse" not in history and {"b", "c"} <= set(history[: history.index("agree")])
    if "refuse" in history:
        assert one.state == "refused" and history[-1] == "refuse"


def test_what_another_version_wrote_is_no_round() -> None:
    assert decode(b"") is None and decode(b"\xc1") is None and decode(b"\x93\x01\x02\x03") is None
    assert Round("17", "asker", ASK).register == "round:17"
