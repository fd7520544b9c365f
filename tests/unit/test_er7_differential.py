"""The same reading as python-hl7 and hl7apy, leaf by leaf, on every message there is.

Always over the own samples, and over the larger corpus of real projects when it lies
beside the checkout (``../shared/data/hl7v2``). Whatever differs must be in one of the
tables below with its reason; an unexpected difference fails, and so does one that is
no longer there.
"""

import logging
import operator
import re
from collections import Counter, defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path

import hl7
import pytest
from health_connector_hl7.lib import batch
from health_connector_hl7.lib.er7 import Er7Error, parse
from health_connector_hl7.lib.escape import unescape
from health_connector_hl7.lib.segment import Segment
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "data" / "hl7v2"
FOLDERS = {"own": ROOT / "tests" / "samples" / "hl7v2"}
if CORPUS.is_dir():
    THIRD_PARTY = ("hl7apy", "linuxforhealth", "microsoft-fhir-converter", "python-hl7")
    FOLDERS |= {name: CORPUS / name for name in THIRD_PARTY}
logging.getLogger("hl7apy").setLevel(logging.CRITICAL)


def messages(folder):
    """Name, text for the peers and our reading of every message we accept."""
    return read_folder(folder)[0]


def refusals(folder):
    return read_folder(folder)[1]


@cache
def read_folder(folder):
    read, refused = [], {}
    for path in sorted(FOLDERS[folder].glob("*.hl7")):
        try:
            for number, raw in enumerate(batch.split(path.read_bytes()).messages):
                message = parse(raw)
                text = re.sub(r"[\r\n]+", "\r", raw.decode(message.codec))
                name = f"{path.stem}#{number}" if number else path.stem
                read.append((name, text.removeprefix("\ufeff"), message))
        except Er7Error as error:
            refused[path.stem] = error.code
    return read, refused


def our_leaves(message):
    """Every non-empty value by its place."""
    for position, fields in enumerate(message.values()):
        for field, value in enumerate(fields):
            if field and (position or field > 2):
                yield from leaves(value, (position, field))


def leaves(value, place):
    for repetition, occurrence in enumerate(as_list(value), 1):
        for component, part in enumerate(as_list(occurrence), 1):
            for subcomponent, leaf in enumerate(as_list(part), 1):
                if leaf:
                    yield (*place, repetition, component, subcomponent), leaf


def as_list(value):
    return value if isinstance(value, list) else [value]


# -- python-hl7 -----------------------------------------------------------------

STRIPPED = "python-hl7 strips blanks at the end of the last segment; we keep the value"
DOUBLED = "escape character doubled in MSH-2: python-hl7 takes it as subcomponent too"
PYTHON_HL7 = {
    "own": {("segment_space_pad", "OBX", 14): STRIPPED},
    "linuxforhealth": {
        ("VXU_V04_VXU_V04__IssueFixTest_1", "OBX", 14): STRIPPED,
        ("VXU_V04_VXU_V04__SegmentUtilTest_77", "OBX", 13): STRIPPED,
        ("sample_unix", "AL1", 5): DOUBLED,
        ("sample_unix", "OBX", 17): DOUBLED,
        ("sample_win", "AL1", 5): DOUBLED,
        ("sample_win", "MSH", 24): DOUBLED,
        ("sample_win", "OBX", 17): DOUBLED,
    },
    "microsoft-fhir-converter": {
        ("PC1-Problem-Add-v2.3.1", "PRB", 16): STRIPPED,
        ("PC1-Problem-Update-v2.3.1", "PRB", 16): STRIPPED,
    },
}
HIGHLIGHT = "python-hl7 marks highlighting with _, a line break with CR, drops Z, C, M"
DANGLING = "python-hl7 drops all that follows a lone escape character; we keep it"
PYTHON_HL7_ESCAPES = {
    "own": {("oru_escapes", "OBX", 5): HIGHLIGHT},
    "hl7apy": {("RSP_SLI_RSP_K11__test_to_string_57", "MSH", 8): HIGHLIGHT},
    "linuxforhealth": {
        ("sample_unix", "AL1", 5): DANGLING,
        ("sample_unix", "OBX", 17): DANGLING,
        ("sample_win", "AL1", 5): DANGLING,
        ("sample_win", "MSH", 24): DANGLING,
        ("sample_win", "OBX", 17): DANGLING,
    },
}


def python_hl7_leaves(tree, message):
    for position, segment in enumerate(tree):
        for field, occurrences in enumerate(segment):
            if field and (position or field > 2):
                for place, raw in leaves(plain(occurrences), (position, field)):
                    yield place, unescape(raw, message.delimiters, message.codec)


def plain(node):
    return node if isinstance(node, str) else [plain(child) for child in node]


def places(message, differing):
    """Differing leaves as (segment, field), each once."""
    return {(message.segments[place[0]].name, place[1]) for place in differing}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_leaf_is_that_of_python_hl7(folder):
    found = set()
    for name, text, message in messages(folder):
        ours = dict(our_leaves(message))
        theirs = dict(python_hl7_leaves(hl7.parse(text), message))
        differing = {place for place, _leaf in ours.items() ^ theirs.items()}
        found |= {(name, *place) for place in places(message, differing)}
    assert found == set(PYTHON_HL7.get(folder, ()))


@pytest.mark.filterwarnings("ignore:The 'warn' method")
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_escape_sequence_is_read_as_by_python_hl7(folder):
    found = set()
    for name, text, message in messages(folder):
        tree, mark = hl7.parse(text), message.delimiters.escape
        for segment in message:
            first = 3 if segment.name == "MSH" else 1
            for field, raw in enumerate(segment.fields[first:], first):
                if mark and mark in raw:
                    ours = unescape(raw, message.delimiters, message.codec)
                    if ours != tree.unescape(raw):
                        found.add((name, segment.name, field))
    assert found == set(PYTHON_HL7_ESCAPES.get(folder, ()))


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_we_read_python_hl7_writes_the_same(folder):
    for _name, text, message in messages(folder):
        lines = [segment.text for segment in message]
        theirs = str(hl7.parse(text)).rstrip("\r").split("\r")
        assert [line.rstrip() for line in lines] == [line.rstrip() for line in theirs]


@pytest.mark.parametrize("folder", FOLDERS)
def test_batches_are_cut_as_by_python_hl7(folder):
    for path in sorted(FOLDERS[folder].glob("*.hl7")):
        raw = path.read_bytes()
        if raw[:3] not in (b"FHS", b"BHS"):
            continue
        try:
            file = hl7.parse_file(raw.decode())
            theirs = [str(message) for part in file for message in part]
        except hl7.ParseException:
            assert refusals(folder)[path.stem] == "er7.batch_structure"
            continue
        ours = [message.decode().rstrip("\r") for message in batch.split(raw).messages]
        assert ours == [text.rstrip("\r") for text in theirs]


REFUSED = {
    "own": {
        "charset_latin1_undeclared": "er7.charset",
        "charset_utf16le": "er7.batch_structure",
        "empty": "er7.empty",
        "http_get": "er7.batch_structure",
        "mllp_framed_two_in_one": "er7.batch_structure",
        "mllp_fs_without_cr": "er7.batch_structure",
        "mllp_nested_start": "er7.batch_structure",
        "mllp_no_end_block": "er7.batch_structure",
        "no_msh": "er7.batch_structure",
        "segment_lowercase": "er7.segment_name",
    },
    "hl7apy": {
        # MSH-2 names one character twice: hl7apy's own samples of what is invalid
        "ADT_A01_ADT_A01__test_parser_64": "er7.encoding_characters",
        "ADT_A01_ADT_A01__test_parser_65": "er7.encoding_characters",
    },
    "python-hl7": {
        # segments before the first MSH: python-hl7's own samples of bad batches
        "ADT_A04_ADT_A01__sample_bad_batch1": "er7.batch_structure",
        "NOTYPE__sample_bad_batch": "er7.batch_structure",
        "NOTYPE__sample_bad_file": "er7.batch_structure",
        "NOTYPE__sample_bad_file3": "er7.batch_structure",
    },
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_else_is_refused(folder):
    assert refusals(folder) == REFUSED.get(folder, {})


# -- hl7apy ---------------------------------------------------------------------

HL7APY_REASONS = {
    "blanks": "hl7apy strips blanks around a value; we keep them",
    "number": "hl7apy writes numbers (SI, NM) anew: 0001 becomes 1, .00 becomes 0.00",
    "moved": "hl7apy moves components the declared version withdrew or does not know",
    "unnumbered": "hl7apy keeps fields the version does not know, but not their number",
    "escapes": "hl7apy escapes the escape character of sequences it does not know",
}
HL7APY = {
    "own": {"blanks": 6, "escapes": 1, "unnumbered": 1},
    "hl7apy": {},
    "linuxforhealth": {"moved": 53, "unnumbered": 39, "blanks": 12, "number": 6},
    "microsoft-fhir-converter": {
        "moved": 62,
        "unnumbered": 340,
        "blanks": 53,
        "number": 30,
    },
    "python-hl7": {"moved": 1, "number": 6},
}
# doubled escape character, no subcomponent separator, a version it does not know,
# a segment the declared version does not know
ENCODING, VERSION, SEGMENT = "InvalidEncodingChars", "UnsupportedVersion", "InvalidName"
MEDICATION = "OMP_O09__Hl7MedicationRequestFHIRConversionTest_"
HL7APY_REFUSES = {
    "own": {"oru_enc_missing_subcomp": ENCODING, "oru_enc_v27_truncation": VERSION},
    "linuxforhealth": {
        **{f"{MEDICATION}{n}": ENCODING for n in (100, 104, 115, 129, 75, 86)},
        "sample_unix": ENCODING,
        "sample_win": ENCODING,
        "ORU_R01__FHIRConverterTest_21": SEGMENT,
    },
    "microsoft-fhir-converter": {
        "MDHHS-OML-O21-1": SEGMENT,
        "MDHHS-OML-O21-2": SEGMENT,
        "ORU-R01-01": SEGMENT,
    },
}


def hl7apy_reading(text, find_groups):
    try:
        return parse_message(text, VALIDATION_LEVEL.TOLERANT, find_groups=find_groups)
    except HL7apyException as error:
        return type(error).__name__


def hl7apy_fields(segment):
    """Texts of the occurrences by field number; 0 collects fields without number."""
    fields = defaultdict(list)
    for child in segment.children:
        number = re.search(r"_(\d+)$", child.name or "")
        fields[int(number[1]) if number else 0].append(child.to_er7())
    return fields


def our_fields(segment):
    return {
        number: [each.raw for each in segment.repetitions(number)]
        for number in range(3 if segment.name == "MSH" else 1, len(segment.fields))
    }


def grid(occurrences, delimiters, clean=str):
    """Non-empty leaves of a field by repetition, component and subcomponent."""
    found = {}
    for repetition, text in enumerate(occurrences):
        for component, part in enumerate(text.split(delimiters.component)):
            cut = delimiters.subcomponent or "\0"
            for subcomponent, leaf in enumerate(part.split(cut)):
                if clean(leaf):
                    found[repetition, component, subcomponent] = clean(leaf)
    return found


def as_number(leaf):
    if re.fullmatch(r"\d+|\d*\.\d+", leaf.strip(), re.ASCII):
        return str(Decimal(leaf.strip()).normalize())
    return leaf.strip()


def reason(mine, others, delimiters):
    """Why two readings of a field differ; blank when they do not."""

    def both(clean):
        return grid(mine, delimiters, clean), grid(others, delimiters, clean)

    ours, theirs = both(as_number)
    escaped = [text.replace("\\E\\", "\\") for text in others]
    candidates = {
        "": operator.eq(*both(str)),
        "blanks": operator.eq(*both(str.strip)),
        "number": ours == theirs,
        "moved": sorted(ours.values()) == sorted(theirs.values()),
        "escapes": escaped == [text.replace("\\E\\", "\\") for text in mine],
    }
    return next((name for name, holds in candidates.items() if holds), "unknown")


def compare_segments(ours, theirs, delimiters):
    """Why the fields of two readings of one segment differ, once for each field."""
    mine, others = our_fields(ours), hl7apy_fields(theirs)
    nameless = others.pop(0, [])
    for number in mine.keys() & others.keys():
        yield reason(mine[number], others[number], delimiters)
    ours_only = [
        raw for number in sorted(mine.keys() - others.keys()) for raw in mine[number]
    ]
    left, right = (list(filter(str.strip, part)) for part in (ours_only, nameless))
    if left or right:
        same = reason(left, right, delimiters) in ("", "blanks", "number")
        yield "unnumbered" if same else "unknown"
    elif any(ours_only):
        yield "blanks"


def hl7apy_differences(folder):
    """Counted reasons, and what hl7apy refuses to read, of one folder."""
    reasons, refused = Counter(), {}
    for name, text, message in messages(folder):
        tree = hl7apy_reading(text, False)
        if isinstance(tree, str):
            refused[name] = tree
            continue
        assert [child.name for child in tree.children] == [x.name for x in message]
        for ours, theirs in zip(message, tree.children, strict=True):
            reasons.update(compare_segments(ours, theirs, message.delimiters))
    return {name: count for name, count in reasons.items() if name}, refused


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_field_is_that_of_hl7apy(folder):
    reasons, refused = hl7apy_differences(folder)
    assert set(reasons) <= set(HL7APY_REASONS)
    assert reasons == HL7APY[folder]
    assert refused == HL7APY_REFUSES.get(folder, {})


# -- groups ---------------------------------------------------------------------

DROPPED = "hl7apy drops segments its structure does not know, and may lose its place"
PRIOR = "to hl7apy an ORC behind an order begins a prior result; to us the next order"
NAMES = "the version names a group differently, or puts a visit or note elsewhere"
GROUPS = {
    "own": {"zsegments": DROPPED},
    "hl7apy": {
        "OML_O33_OML_O33__test_core_10": PRIOR,
        "OML_O33_OML_O33__test_validation_3": PRIOR,
        "OML_O33__test_core_9": PRIOR,
    },
    "linuxforhealth": {
        "ADT_A01_ADT_A01__Hl7FinancialInsuranceTest_209": DROPPED,
        "ADT_A01__FHIRConverterTest_3": DROPPED,
        "ADT_A01__Hl7IdentifierFHIRConversionTest_100": DROPPED,
        "ADT_A01__Hl7IdentifierFHIRConversionTest_97": DROPPED,
        "ADT_A01__Hl7MessageTest_39": DROPPED,
        "ADT_A01__IssueFixTest_0": DROPPED,
        "OML_O21_OML_O21__HL7OMLMessageTest_2": PRIOR,
        "ORU_R01__FHIRConverterTest_21": DROPPED,
        "ORU_R01__Hl7MessageTest_69": DROPPED,
        "ORU_R01__Hl7MessageTest_83": DROPPED,
        "VXU_V04_VXU_V04__Hl7IdentifierFHIRConversionTest_140": DROPPED,
        "VXU_V04_VXU_V04__Hl7IdentifierFHIRConversionTest_145": DROPPED,
        "VXU_V04_VXU_V04__Hl7IdentifierFHIRConversionTest_156": DROPPED,
    },
    "microsoft-fhir-converter": {
        "DFT-P03-01": NAMES,
        "DFT-P03-02": NAMES,
        "MDHHS-OML-O21-1": DROPPED,
        "MDHHS-OML-O21-2": DROPPED,
        "MDM-T02-03": DROPPED,
        "MDM_01": DROPPED,
        "OML-O21-02": DROPPED,
        "OML-O21-03": PRIOR,
        "ORU-R01-01": DROPPED,
        "OUL-R22-01": NAMES,
        "REF-I12-02": NAMES,
        "REF-I14-02": NAMES,
        "VXU-V04-01": NAMES,
    },
}
# a choice is no group; these wrap one OBX, in later versions only
NO_GROUP = (
    "CHOICE",
    "OBRRQDRQ1RXOODSODT_SUPPGRP",
    "PATIENT_OBSERVATION",
    "SPECIMEN_OBSERVATION",
    "CONTAINER_OBSERVATION",
)
RENAMED = {
    ("ORU_R01", "RESPONSE"): "PATIENT_RESULT",  # 2.3
    ("MDM_T02", "OBXNTE_SUPPGRP"): "OBSERVATION",  # 2.5.1, where it has no name
}


def grouped(group, structure, path=()):
    """Every segment with the groups it lies in, each with its number."""
    numbers = Counter()
    for child in group.children:
        name = child.name.removeprefix(f"{structure}_")
        if isinstance(child, Segment) or getattr(child, "classname", "") == "Segment":
            yield name, path
        elif name in NO_GROUP:
            yield from grouped(child, structure, path)
        else:
            numbers[name] += 1
            step = RENAMED.get((structure, name), name), numbers[name]
            yield from grouped(child, structure, (*path, step))


@pytest.mark.parametrize("folder", FOLDERS)
def test_segments_are_grouped_as_by_hl7apy(folder):
    found, compared = set(), 0
    for name, text, message in messages(folder):
        tree = hl7apy_reading(text, True) if message.root.name else ""
        if isinstance(tree, str) or not tree.name:
            continue
        compared += 1
        ours, theirs = (grouped(each, tree.name) for each in (message.root, tree))
        if Counter(ours) != Counter(theirs):
            found.add(name)
    assert compared
    assert found == set(GROUPS.get(folder, ()))
