"""Every sample message over the wire: its answer at the door.

What is wrong deeper inside (an unknown order, a bad date) is stored and
acknowledged; staff see it after processing.
"""

import json
import socket
from pathlib import Path

import pytest
from health_connector_hl7.lib.door import Flow
from health_connector_hl7.lib.mllp import wrap
from loopback import Loopback, Peer

ROOT = Path(__file__).resolve().parent.parent.parent
OWN = ROOT / "tests" / "samples" / "hl7v2"
SHARED = ROOT.parent / "shared" / "data" / "hl7v2"

#: samples that the door answers otherwise than with one AA
AT_THE_DOOR = {
    "no_msh": ["AR"],
    "http_get": ["AR"],
    "msh_short": ["AR"],
    "msh_no_control_id": ["AR"],
    "msh_no_type": ["AR"],
    "msh_processing_T": ["AR"],
    "charset_utf16le": ["AR"],
    "charset_latin1_undeclared": ["AE"],
    "msh_only": ["AE"],
    "batch_ok": ["AA", "AA", "AA"],
    "batch_bad_count": ["AE", "AE", "AE"],
    "batch_no_trailer": ["AE", "AE", "AE"],
    "mllp_framed_two_in_one": ["AA", "AA"],
    "empty": [],
    "mllp_no_end_block": [],
    "ack_aa": [],
    "ack_ae": [],
    "ack_wrong_control_id": [],
    "ack_no_msa": [],
    "ack_v21_style": [],
    # responses: application answers themselves, in original mode
    "orl_o22_ok": [],
    "orr_o02_ok": [],
}


def exchange(port: int, raw: bytes) -> list[str]:
    """All verdicts (MSA-1) on one message or one ready-made stream."""
    found: list[str] = []
    with Peer(port) as peer:
        peer.send(raw if raw.startswith(b"\x0b") else wrap(raw))
        peer.socket.shutdown(socket.SHUT_WR)
        while (answer := peer.receive()) is not None:
            lines = answer.split(b"\r")
            found += [line[4:6].decode() for line in lines if line[:3] == b"MSA"]
    return found


@pytest.fixture(scope="module")
def production():
    with Loopback([Flow("any", production=True)]) as loopback:
        yield loopback


def names() -> list[str]:
    manifest = json.loads((OWN / "manifest.json").read_text())
    return [entry["file"].removesuffix(".hl7") for entry in manifest]


@pytest.mark.parametrize("name", names())
def test_own_samples(production, name):
    production.store.forget()
    raw = (OWN / f"{name}.hl7").read_bytes()
    assert exchange(production.port, raw) == AT_THE_DOOR.get(name, ["AA"])


def test_two_frames_in_one_stream_are_two_messages(production):
    production.store.forget()
    exchange(production.port, (OWN / "mllp_framed_two_in_one.hl7").read_bytes())
    assert [unit.external_ref for unit in production.store.units] == ["B0", "B1"]


def test_the_second_try_of_a_sender_is_the_one_that_counts(production):
    production.store.forget()
    exchange(production.port, (OWN / "mllp_nested_start.hl7").read_bytes())
    [unit] = production.store.units
    assert unit.external_ref == "B1"
    assert unit.raw.startswith(b"MSH|") and unit.raw.count(b"MSH|") == 1


def corpus() -> list[Path]:
    found = sorted(SHARED.rglob("*.hl7")) + sorted(SHARED.rglob("*.txt"))
    return [path for path in found if path.parent.name != "own-edge"]


def test_a_larger_corpus_is_answered_and_kept_byte_for_byte(record_property):
    """Runs over all that is there: the larger corpus lies beside the project on some
    machines only; without it this checks the samples of the project once more."""
    paths = corpus() or sorted(OWN.glob("*.hl7"))
    record_property("corpus", f"{len(paths)} files of {paths[0].parent.parent.name}")
    accepted = 0
    with Loopback() as listener:
        for path in paths:
            raw = path.read_bytes()
            before = len(listener.store.units)
            answers = exchange(listener.port, raw)
            kept = [unit.raw for unit in listener.store.units[before:]]
            assert all(text in raw for text in kept)
            assert answers.count("AA") + answers.count("CA") <= 1 + raw.count(b"MSH")
            accepted += bool(kept)
        counts = listener.server.counts
        assert not counts["hl7.bug"] and not counts["store.failed"]
    assert accepted > len(paths) * 0.6
