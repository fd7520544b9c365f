"""When a shadow and the live flow count as the same."""

import pytest
from health_connector.lib.shadow import LiveSide, ShadowSide, compare


def test_a_shadow_without_live_flow_is_alone():
    assert compare(ShadowSide("done"), None) == ("alone", "")


@pytest.mark.parametrize("state", ["pending", "processing", "waiting", "unknown"])
def test_it_waits_for_the_live_flow_to_end(state):
    assert compare(ShadowSide("done"), LiveSide(state)) == ("waiting", "")


def test_the_same_understanding_is_the_same():
    assert compare(ShadowSide("done", "", "h"), LiveSide("done", "", "h"))[0] == "same"


def test_whoever_comes_second_finds_the_work_done():
    assert compare(ShadowSide("ignored", "", "h"), LiveSide("done", "", "h")) == (
        "same",
        "",
    )
    assert compare(ShadowSide("done", "", "h"), LiveSide("ignored"))[0] == "same"


def test_different_documents_differ():
    live = LiveSide("done", "", "h2")
    assert compare(ShadowSide("done", "", "h1"), live) == ("differs", "document")


def test_success_and_failure_differ():
    assert compare(ShadowSide("failed", "x"), LiveSide("done")) == (
        "differs",
        "outcome",
    )
    assert compare(ShadowSide("done"), LiveSide("parked", "x")) == (
        "differs",
        "outcome",
    )


def test_failures_are_compared_by_cause():
    assert compare(ShadowSide("failed", "x"), LiveSide("parked", "x"))[0] == "same"
    assert compare(ShadowSide("failed", "x"), LiveSide("parked", "y")) == (
        "differs",
        "cause",
    )
