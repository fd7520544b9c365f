"""Patient data of a payload stands nowhere in the clear (G8).

A result with unmistakable markers goes through every path (applied, parked, refused,
conflict, fault); then the whole database is dumped and all logs are searched.
"""

from __future__ import annotations

import os
import subprocess

import requests
from live import MllpPeer, ack_code, bearer_key, drained, logs, query, wait_for

NAME = "ZZFAMILYNAMEZZ"
IDENTIFIER = "ZZ77IDENTZZ"
VALUE = "ZZVALUEZZ"
MARKERS = (NAME, IDENTIFIER, VALUE)


def message(control: str, order: str, patient: str = IDENTIFIER) -> bytes:
    return (
        f"MSH|^~\\&|NORTHLAB|NL|ODOO|HUB|20261101080000||ORU^R01^ORU_R01|{control}|P|"
        f"2.5.1\rPID|1||{patient}^^^HEALTHGROUP^MR||{NAME}^A||19500101|F\r"
        f"ORC|RE|{order}|F-{order}\rOBR|1|{order}|F-{order}|58410-2^CBC^LN|||20261101\r"
        f"OBX|1|ST|718-7^HGB^LN||{VALUE}|g/dL||N|||F\rNTE|1||{VALUE} {NAME}\r"
    ).encode()


def send_everything() -> None:
    """Each way a message can take."""
    with MllpPeer() as peer:
        assert ack_code(peer.ask(message("SEC1", "LAB-000002", "MRN100002"))) == "AA"
        assert ack_code(peer.ask(message("SEC2", "LAB-000002"))) == "AA"
        assert ack_code(peer.ask(message("SEC3", "NO-SUCH-ORDER"))) == "AA"
        assert ack_code(peer.ask(message("SEC3", "OTHER-CONTENT"))) == "AE"
        assert ack_code(peer.ask(message("SEC4", "A").replace(b"ORU^R01", b""))) == "AR"
        assert ack_code(peer.ask(message("SEC5", "A").replace(b"F\rNTE", b"F\rnte")))
    headers = {"Authorization": f"Bearer {bearer_key('northlab')}"}
    address = f"{os.environ['HEALTH_URL']}/health/in/northlab-oru-http"
    for body in (message("SEC6", "LAB-000003"), b"not hl7 " + NAME.encode()):
        requests.post(address, data=body, headers=headers, timeout=30)
    requests.post(address, data=message("SEC7", "A"), timeout=30)
    wait_for(drained, 60)


def test_a_dump_and_the_logs_hold_no_patient_data() -> None:
    send_everything()
    stored = query(
        "SELECT count(*) FROM health_message WHERE external_ref LIKE 'SEC%%'"
    )
    assert stored[0][0] >= 5
    dump = subprocess.run(
        ["pg_dump", f"--dbname={os.environ['HEALTH_PG_DSN']}"],
        check=True,
        capture_output=True,
    ).stdout
    assert b"SEC1" in dump, "the dump must hold the envelopes, or it proves nothing"
    text = logs()
    for marker in MARKERS:
        assert marker.encode() not in dump, f"{marker} stands in the database"
        # bytea columns are dumped as hexadecimal digits
        assert marker.encode().hex().encode() not in dump
        assert marker not in text, f"{marker} stands in a log"


def test_the_listener_and_jobs_carry_ids_only() -> None:
    rows = query(
        """SELECT args::text || kwargs::text || COALESCE(exc_info, '')
             FROM queue_job WHERE model_name LIKE 'health.%%'"""
    )
    assert rows
    for (text,) in rows:
        for marker in MARKERS:
            assert marker not in text
