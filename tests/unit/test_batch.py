"""Files and batches."""

from pathlib import Path

import pytest
from health_connector_hl7.lib.batch import check, split
from health_connector_hl7.lib.errors import Er7Error

SAMPLES = Path(__file__).parents[1] / "samples" / "hl7v2"
FHS, BHS = b"FHS|^~\\&|LAB|MAIN\r", b"BHS|^~\\&|LAB|MAIN\r"
ONE, TWO = b"MSH|^~\\&|A\rPID|1\r", b"MSH|^~\\&|B\rPID|2\r"


def sample(name):
    return (SAMPLES / f"{name}.hl7").read_bytes()


def refusal(function, *args):
    with pytest.raises(Er7Error) as caught:
        function(*args)
    return caught.value


def test_a_file_with_a_batch():
    batch = split(sample("batch_ok"))
    assert [raw.split(b"|")[9] for raw in batch.messages] == [b"B0", b"B1", b"B2"]
    assert (batch.declared_count, batch.declared_batches) == (3, 1)
    assert batch.is_batch and batch.has_trailer
    check(batch)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r"])
def test_messages_keep_their_bytes(end):
    one, two = ONE.replace(b"\r", end), TWO.replace(b"\r", end)
    head, tail = BHS.replace(b"\r", end), b"BTS|2" + end
    assert split(b"\xef\xbb\xbf" + head + one + two + tail).messages == [one, two]


def test_a_single_message_is_no_batch():
    batch = split(ONE)
    assert (batch.messages, batch.is_batch, batch.declared_count) == (
        [ONE],
        False,
        None,
    )
    check(batch)


def test_messages_in_a_row_are_a_batch_that_promises_nothing():
    batch = split(ONE + TWO)
    assert (batch.messages, batch.is_batch) == ([ONE, TWO], True)
    check(batch)


def test_a_trailer_without_its_header_counts():
    assert split(ONE + b"BTS|1\r").declared_count == 1
    assert refusal(check, split(ONE + b"BTS|2\r")).code == "er7.batch_count"


def test_a_header_without_its_trailer_is_an_incomplete_batch():
    batch = split(sample("batch_no_trailer"))
    assert len(batch.messages) == 3
    assert refusal(check, batch).code == "er7.batch_trailer"
    check(batch, trailer_required=False)
    assert refusal(check, split(FHS + BHS + ONE + b"FTS|1")).code == "er7.batch_trailer"


def test_a_wrong_count_is_told_with_both_numbers():
    error = refusal(check, split(sample("batch_bad_count")))
    assert (error.code, error.ack, error.location) == (
        "er7.batch_count",
        "AE",
        "BTS^^1",
    )
    assert (error.params["declared"], error.params["counted"]) == (9, 3)


def test_the_counts_of_several_batches_cannot_make_up_for_each_other():
    raw = FHS + BHS + ONE + b"BTS|2\r" + BHS + ONE + TWO + b"BTS|1\rFTS|2"
    batch = split(raw)
    assert batch.declared_count == len(batch.messages) == 3
    assert refusal(check, batch).code == "er7.batch_count"
    check(split(raw.replace(b"BTS|2", b"BTS|1", 1).replace(b"BTS|1\rF", b"BTS|2\rF")))


def test_the_number_of_batches_is_checked():
    assert refusal(check, split(FHS + BHS + ONE + b"BTS|1\rFTS|2")).location == "FTS^^1"
    check(split(FHS + ONE + TWO + b"FTS|1"))


@pytest.mark.parametrize("count", [b"", b"|", b"|many", b"|99999999999"])
def test_a_trailer_that_says_no_number_promises_nothing(count):
    batch = split(BHS + ONE + b"BTS" + count)
    assert batch.declared_count is None
    check(batch)


def test_an_empty_batch():
    batch = split(BHS + b"BTS|0")
    assert (batch.messages, batch.declared_count) == ([], 0)
    check(batch)


@pytest.mark.parametrize(
    "raw",
    [
        b"PID|1\r" + ONE,
        b"hello",
        BHS + b"PID|1\r" + ONE,
        BHS + BHS + ONE,
        BHS + FHS + ONE,
        FHS + FHS + ONE,
        ONE + FHS,
        FHS + ONE + b"FTS|1\r" + TWO,
        BHS + ONE + b"BTS|1\rPID|1\r",
        b"BTSX|1",
    ],
)
def test_segments_in_a_wrong_place_are_refused(raw):
    error = refusal(split, raw)
    assert (error.code, error.error_class) == ("er7.batch_structure", "contract")


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"\xef\xbb\xbf"])
def test_nothing_is_refused(raw):
    assert refusal(split, raw).code == "er7.empty"
