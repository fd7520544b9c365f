"""What is known after an HTTP call, against a partner that misbehaves for real."""

import socket
from datetime import datetime, timezone

import pytest
from health_connector.lib import http_answer, http_client, transport
from health_connector.lib.http_client import Destination
from health_connector.lib.transport import Outgoing
from partner_stub import PartnerStub

UID = "0123456789abcdef0123456789abcdef"
BODY = b'{"order": "A-1"}'


@pytest.fixture
def partner():
    with PartnerStub(delay=0.6) as stub:
        yield stub


def outgoing(**changes):
    return Outgoing(**{"uid": UID, "body": BODY, **changes})


def send(partner, fault="ok", tries=1, **changes):
    partner.faults.append(fault)
    values = {"url": f"{partner.url}/in", "connect": 1.0, "read": 0.3, **changes}
    return http_client.post(Destination(**values), outgoing(tries=tries))


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [
        ("ok", "delivered", "http.200"),
        ("created", "delivered", "http.201"),
        ("400", "rejected", "http.400"),
        ("404", "rejected", "http.404"),
        ("409", "rejected", "http.409"),
        ("422", "rejected", "http.422"),
        ("401", "auth", "http.401"),
        ("429", "throttled", "http.429"),
        ("429-date", "throttled", "http.429"),
        ("503", "not_delivered", "http.503"),
        ("503-later", "throttled", "http.503"),
        ("500", "unknown", "http.500"),
        ("502", "unknown", "http.502"),
        ("slow", "unknown", "http.readtimeout"),
        ("reset", "unknown", "http.connection"),
        ("lost", "unknown", "http.connection"),
        ("half-close", "unknown", "http.cut_off.chunkedencoding"),
        ("garbage", "unknown", "http.connection"),
        ("elsewhere", "rejected", "http.redirect"),
    ],
)
def test_each_answer_by_its_name(partner, fault, outcome, code):
    sent = send(partner, fault)
    assert (sent.outcome, sent.code) == (outcome, code)
    assert partner.keys() == [UID]


def test_a_message_carries_its_key_and_type_and_our_credential(partner):
    kind = "text/csv"
    destination = Destination(f"{partner.url}/a/b", bearer="s3cret")
    message = outgoing(content_type=kind, charset="utf-8")
    assert http_client.post(destination, message).outcome == "delivered"
    received = partner.received[0]
    assert received["body"] == BODY
    assert received["headers"]["idempotency-key"] == UID
    assert received["headers"]["content-type"] == "text/csv; charset=utf-8"
    assert received["headers"]["authorization"] == "Bearer s3cret"
    assert received["headers"]["path"] == "/a/b"
    assert "s3cret" not in repr(destination)


def test_the_wait_asked_for_is_told(partner):
    assert send(partner, "429").retry_after == 7
    assert 40 < send(partner, "429-date").retry_after <= 60
    assert send(partner, "429").failure.retry_after == 7


def test_nobody_there_is_known_not_to_be_a_delivery():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/", "http://no-such-host.invalid/"):
            sent = http_client.post(Destination(url, 1.0, 1.0), outgoing())
            assert sent.outcome == transport.NOT_DELIVERED


def test_a_partner_without_a_valid_certificate_gets_nothing(partner):
    url = partner.url.replace("http://", "https://")
    sent = http_client.post(Destination(url, 1.0, 1.0), outgoing())
    assert (sent.outcome, sent.code) == ("not_delivered", "http.ssl")
    assert partner.received == []


def test_a_conflict_is_with_ourselves_only_when_the_partner_honours_keys(partner):
    assert send(partner, "409", tries=2).outcome == "rejected"
    assert send(partner, "409", tries=1, repeat_safe=True).outcome == "rejected"
    assert send(partner, "409", tries=2, repeat_safe=True).outcome == "delivered"


def test_a_late_answer_is_not_the_next_ones(partner):
    assert send(partner, "slow").outcome == "unknown"
    assert send(partner, "422", read=2.0).outcome == "rejected"


def test_an_answer_nobody_asked_for_is_not_the_next_ones(partner):
    assert send(partner, "twice").outcome == "delivered"
    assert send(partner, "422").outcome == "rejected"


def test_connections_are_kept(partner, monkeypatch):
    made = []
    connect = http_client._PlainConnection.connect
    monkeypatch.setattr(
        http_client._PlainConnection,
        "connect",
        lambda self: made.append(1) or connect(self),
    )
    for _number in range(3):
        assert send(partner).outcome == "delivered"
    assert len(made) == 1


def test_a_long_answer_is_not_kept(partner):
    sent = send(partner, max_answer=3)
    assert (sent.outcome, sent.answer) == ("delivered", b"")


def test_a_partner_can_be_asked_for_a_key(partner):
    asked = Destination(f"{partner.url}/known/{{key}}")
    assert http_client.look_up(asked, UID) == "not_delivered"
    send(partner, "reset")
    assert http_client.look_up(asked, UID) == "delivered"
    gone = Destination("http://127.0.0.1:1/{key}", 0.5, 0.5)
    assert http_client.look_up(gone, UID) == "unknown"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("99999999999999999999", 86400.0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_in_both_forms(text, seconds):
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert http_answer.retry_after({"Retry-After": text}, now) == seconds


def test_every_status_has_an_outcome():
    for status in range(100, 600):
        assert http_answer.classify(status) in transport.OUTCOMES
    for status in range(500, 600):
        assert http_answer.classify(status) != transport.DELIVERED
