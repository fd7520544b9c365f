"""What counts as a change to the business."""

from health_connector.lib.verdict import Verdict, business_changes, canonical_bytes


def test_only_what_was_added_counts():
    before = {"res_partner": 4}
    after = {"res_partner": 6, "account_move": 1}
    assert business_changes(before, after) == 3


def test_the_framework_and_its_company_do_not_count():
    after = dict.fromkeys(
        (
            "health_message",
            "health_payload",
            "health_attempt",
            "health_binding",
            "health_exception",
            "mail_message",
            "bus_bus",
            "queue_job",
            "ir_cron_trigger",
        ),
        7,
    )
    assert business_changes({}, after) == 0
    assert business_changes({}, {**after, "health_lab_order": 1}) == 1


def test_the_order_of_members_does_not_make_another_document():
    assert canonical_bytes({"a": 1, "b": {"c": 2, "d": 3}}) == canonical_bytes(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert canonical_bytes({"a": 1}) != canonical_bytes({"a": "1"})


def test_what_changes_nothing():
    assert Verdict("ignored", "lab.stale").changes_nothing
    assert Verdict("done").changes_nothing
    assert not Verdict("done", changes=1).changes_nothing
    assert not Verdict("failed", "lab.order_unknown").changes_nothing
