"""Properties of every message and every value, and of ten thousand mutations."""

import random
from collections import Counter
from functools import lru_cache
from pathlib import Path

from health_connector_hl7.lib import batch, msh, query
from health_connector_hl7.lib.datetime_hl7 import parse_timestamp
from health_connector_hl7.lib.er7 import NULL, Er7Error, parse
from health_connector_hl7.lib.escape import escape, unescape
from health_connector_hl7.lib.msh import Delimiters
from hypothesis import given, settings, strategies as st

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "samples" / "hl7v2"
CORPUS = ROOT.parent / "shared" / "data" / "hl7v2"  # larger, not everywhere
EXACTLY = settings(deadline=None, derandomize=True, database=None, max_examples=200)
MUTATIONS = 10_000
SEED = 20261122

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
HL7_TEXT = st.text(st.sampled_from('|^~\\&#FSTREXHNZCM.br0A9 \r\n"é検'))
DELIMITERS = st.lists(
    st.sampled_from(PUNCTUATION), min_size=5, max_size=6, unique=True
).map(lambda chars: Delimiters(*chars))
NUMBER = st.integers(1, 6)
EXPRESSIONS = (
    "PID-5-1",
    "PID-3(*)-4-1",
    "OBX(*)-5(*)",
    "ORC-2-1|OBR-2-1",
    "ORDER_OBSERVATION(*)/./NTE(*)-3",
    "OBSERVATION(*)",
)


@EXACTLY
@given(st.one_of(TEXT, HL7_TEXT), DELIMITERS)
def test_what_is_escaped_is_read_back_exactly(text, delimiters):
    wire = escape(text, delimiters)
    assert unescape(wire, delimiters) == text
    assert not set("\r\n" + "".join(delimiters[:3]) + delimiters[4]) & set(wire)


@EXACTLY
@given(HL7_TEXT, DELIMITERS)
def test_reading_any_wire_text_never_fails(text, delimiters):
    unescape(text, delimiters)


@EXACTLY
@given(st.one_of(TEXT, HL7_TEXT), DELIMITERS, NUMBER, NUMBER, NUMBER, NUMBER)
def test_a_value_is_read_back_where_it_was_written(
    text, delimiters, field, component, subcomponent, repetition
):
    header = f"MSH{delimiters.field}{''.join(delimiters[1:])}{delimiters.field}LAB"
    message = parse(f"{header}\rPID\rNTE{delimiters.field}kept".encode())
    place = (field, component, subcomponent, repetition)
    message.segment("PID").set(text, *place)
    again = parse(message.render())
    assert again.segment("PID").get(*place) == (text or None)
    assert again.segment("NTE").text == f"NTE{delimiters.field}kept"
    if repetition > 1:
        assert again.segment("PID").get(field, component, subcomponent) is None


@EXACTLY
@given(st.lists(st.text(st.sampled_from('A1|^~&\\"" ')), min_size=1, max_size=8))
def test_reading_writes_nothing(lines):
    raw = "\r".join(["MSH|^~\\&|", *(f"Z{n}A|{line}" for n, line in enumerate(lines))])
    message = parse(raw.encode())
    message.values()
    for segment in message:
        for number in range(1, 5):
            segment.get(number, 1)
    assert message.render() == raw.encode()


@EXACTLY
@given(st.lists(st.text(st.sampled_from("A1|^~&\\")), min_size=1, max_size=8))
def test_all_values_are_those_read_one_by_one(lines):
    raw = "\r".join(["MSH|^~\\&|", *(f"Z{n}A|{line}" for n, line in enumerate(lines))])
    for segment in list(parse(raw))[1:]:
        for number, value in enumerate(segment.values()[1:], 1):
            for repetition, occurrence in enumerate(as_list(value), 1):
                for component, part in enumerate(as_list(occurrence), 1):
                    for subcomponent, leaf in enumerate(as_list(part), 1):
                        place = (number, component, subcomponent, repetition)
                        assert segment.get(*place) == (leaf or None)


@EXACTLY
@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_typed_error(text):
    outcome(parse_timestamp, text, "Europe/Berlin")


@EXACTLY
@given(st.text(st.sampled_from("PIDOBX(*)12-0|/. ORDER_"), max_size=30))
def test_any_expression_is_compiled_or_refused(text):
    outcome(query.compile, text)


def as_list(value):
    return value if isinstance(value, list) else [value]


def outcome(function, *args):
    """The result, or the code of a typed error; anything else fails the test."""
    try:
        return function(*args)
    except Er7Error as error:
        assert error.ack in ("AR", "AE")
        assert error.hl7_code.isdigit() and error.code.startswith("er7.")
        return error.code


@lru_cache(maxsize=1)
def seeds():
    paths = [*SAMPLES.glob("*.hl7"), *CORPUS.glob("*/*.hl7")]
    files = [path.read_bytes() for path in sorted(paths)]
    return [raw for raw in files if len(raw) < 10_000]


def mutated(rng):
    """A sample with one to five slips: bytes changed, put in, lost, doubled, cut."""
    raw = bytearray(rng.choice(seeds()))
    for _ in range(rng.randint(1, 5)):
        at, length = rng.randrange(len(raw) + 1), rng.randint(1, 40)
        kind = rng.randrange(6)
        if kind == 0 and at < len(raw):
            raw[at] = rng.randrange(256)
        elif kind == 1:
            raw[at:at] = bytes(
                rng.choices(b"|^~\\&\r\n\0\x0b\x1cMSHBTX1.", k=length % 5)
            )
        elif kind == 2:
            del raw[at : at + length]
        elif kind == 3:
            raw[at:at] = raw[at : at + length]
        elif kind == 4:
            raw[at:at] = raw[at : at + 1] * length
        else:
            del raw[at + rng.randrange(len(raw) + 1) :]
    return bytes(raw)


def check_mutation(raw):
    """Every entry of the library on one input; returns the outcome of the parse."""
    outcome(batch.split, raw)
    header = outcome(msh.peek, raw)
    if not isinstance(header, str):
        outcome(msh.check, header)
        outcome(msh.order_key, raw, "ORC-2-1|OBR-2-1|PID-3(2)-1-1", header)
    message = outcome(parse, raw)
    if isinstance(message, str):
        return message
    assert message.render() == raw
    message.values()
    assert len(list(message.root)) == len(message.segments)
    for expression in EXPRESSIONS:
        query.compile(expression)(message)
    return "read" if change_survives(message) else "cannot write"


def change_survives(message):
    """Write a difficult value into the last segment; all others keep their text."""
    before = [segment.text for segment in message][:-1]
    try:
        message.segments[-1].set("a|b^c\r~", 3, 2)
        again = parse(message.render())
    except Er7Error as error:
        assert error.code in ("er7.value", "er7.charset")
        return False
    assert again.segments[-1].get(3, 2) == "a|b^c\r~"
    assert [segment.text for segment in again][:-1] == before
    return True


def test_ten_thousand_mutations_are_read_or_refused():
    rng = random.Random(SEED)
    outcomes = Counter(check_mutation(mutated(rng)) for _ in range(MUTATIONS))
    assert outcomes["read"] > MUTATIONS / 4, "the mutations are too wild to test much"
    assert len(outcomes) > 6, outcomes


def test_null_is_written_and_read():
    message = parse("MSH|^~\\&|\rPID|1")
    message.segment("PID").set(NULL, 5, 2)
    assert parse(message.render()).segment("PID").get(5, 2) is NULL
