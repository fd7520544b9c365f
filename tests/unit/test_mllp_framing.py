"""Cutting a stream of bytes into messages."""

from health_connector_hl7.lib.mllp import HEAD, Deframer, wrap
from hypothesis import given, settings, strategies as st

ONE = b"MSH|^~\\&|A\rPID|1\r"
TWO = b"MSH|^~\\&|B\rPID|2\r"
CONTENT = st.binary(max_size=60).map(
    lambda raw: raw.replace(b"\x0b", b"").replace(b"\x1c", b"")
)


def cut(*reads: bytes, **options) -> list[bytes]:
    deframer = Deframer(**options)
    return [message for read in reads for message in deframer.feed(read)]


def test_wrap_puts_the_frame_bytes_around():
    assert wrap(ONE) == b"\x0b" + ONE + b"\x1c\r"


def test_one_read_one_frame():
    assert cut(wrap(ONE)) == [ONE]


def test_a_frame_byte_by_byte():
    assert cut(*(bytes([byte]) for byte in wrap(ONE))) == [ONE]


def test_several_frames_in_one_read():
    assert cut(wrap(ONE) + wrap(TWO) + wrap(ONE)) == [ONE, TWO, ONE]


def test_the_rest_of_a_read_is_the_start_of_the_next_frame():
    stream = wrap(ONE) + wrap(TWO)
    assert cut(stream[:25], stream[25:]) == [ONE, TWO]


def test_junk_before_a_frame_is_dropped_and_counted():
    deframer = Deframer()
    assert deframer.feed(b"hello" + wrap(ONE) + b"\r\n" + wrap(TWO)) == [ONE, TWO]
    assert deframer.junk == 5


def test_line_ends_between_frames_are_nothing_unusual():
    deframer = Deframer()
    deframer.feed(b"\r\n\r\n" + wrap(ONE) + b"\n")
    assert deframer.junk == 0


def test_the_cr_after_the_end_byte_may_be_missing_before_the_next_frame():
    assert cut(b"\x0b" + ONE + b"\x1c" + wrap(TWO)) == [ONE, TWO]


def test_the_cr_may_be_missing_at_all():
    deframer = Deframer()
    assert deframer.feed(b"\x0b" + ONE + b"\x1c") == []
    assert deframer.ending
    assert deframer.end_grace() == ONE
    assert not deframer.inside
    assert deframer.feed(b"\r" + wrap(TWO)) == [TWO]
    assert deframer.junk == 0


def test_the_cr_may_come_late():
    deframer = Deframer()
    deframer.feed(b"\x0b" + ONE + b"\x1c")
    assert deframer.feed(b"\r") == [ONE]
    assert deframer.end_grace() is None


def test_an_end_byte_inside_a_message_never_cuts_it():
    message = b"MSH|^~\\&|A\rOBX|1|TX|a\x1cb\r"
    assert cut(wrap(message)) == [message]
    half = wrap(message).index(b"\x1cb") + 1
    assert cut(wrap(message)[:half], wrap(message)[half:]) == [message]


def test_a_sender_that_starts_again_is_heard_from_the_second_start():
    deframer = Deframer()
    assert deframer.feed(b"\x0bMSH|^~\\&|A\rPI" + wrap(TWO)) == [TWO]
    assert deframer.restarts == 1


def test_a_start_byte_inside_a_message_is_content():
    message = b"MSH|^~\\&|A\rOBX|1|TX|a\x0bb\r"
    assert cut(wrap(message)) == [message]


def test_a_frame_may_be_as_large_as_agreed():
    assert cut(wrap(b"x" * 100), max_size=100) == [b"x" * 100]
    large = wrap(b"x" * 5000)
    assert cut(large[:3000], large[3000:], max_size=5000) == [b"x" * 5000]


def test_a_frame_that_grows_too_large_is_not_kept():
    deframer = Deframer(max_size=10_000)
    assert deframer.feed(wrap(ONE) + b"\x0b" + b"y" * 9_000) == [ONE]
    assert deframer.head is None
    assert deframer.feed(b"y" * 9_000) == []
    assert deframer.head == b"y" * HEAD
    assert deframer.buffered == 0
    assert deframer.feed(wrap(ONE)) == []


def test_a_whole_frame_that_is_too_large_is_not_passed_on():
    deframer = Deframer(max_size=10)
    assert deframer.feed(wrap(b"z" * 11)) == []
    assert deframer.head == b"z" * 11


def test_an_empty_frame_is_a_message_without_content():
    assert cut(wrap(b"")) == [b""]


@given(messages=st.lists(CONTENT, max_size=6), data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_cuts_of_the_network_make_no_difference(messages, data):
    stream = b"".join(map(wrap, messages))
    deframer, got, at = Deframer(), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, 40))
        got += deframer.feed(stream[at : at + step])
        at += step
    assert got == messages
    assert deframer.junk == 0


@given(st.lists(st.binary(max_size=80), max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_taken_and_little_is_kept(reads):
    deframer = Deframer(max_size=64)
    for read in reads:
        deframer.feed(read)
        assert deframer.buffered <= 64
