"""What the reader makes of each own sample, and that its manifest is complete.

The manifest tells the outcome of the whole pipeline; here is the reader's part of it:
everything is read, except the files of REFUSED, and each for the reason given.
"""

import json
from pathlib import Path

import pytest
from health_connector_hl7.lib import batch, msh, query
from health_connector_hl7.lib.datetime_hl7 import parse_timestamp
from health_connector_hl7.lib.er7 import NULL, Er7Error, parse

SAMPLES = Path(__file__).parents[1] / "samples" / "hl7v2"
ITEMS = json.loads((SAMPLES / "manifest.json").read_text())
MANIFEST = {item["file"]: item for item in ITEMS}
REFUSED = {
    "batch_bad_count.hl7": "er7.batch_count",
    "batch_no_trailer.hl7": "er7.batch_trailer",
    "charset_latin1_undeclared.hl7": "er7.charset",
    "charset_utf16le.hl7": "er7.batch_structure",
    "empty.hl7": "er7.empty",
    "http_get.hl7": "er7.batch_structure",
    "mllp_framed_two_in_one.hl7": "er7.batch_structure",
    "mllp_fs_without_cr.hl7": "er7.batch_structure",
    "mllp_nested_start.hl7": "er7.batch_structure",
    "mllp_no_end_block.hl7": "er7.batch_structure",
    "msh_no_control_id.hl7": "er7.header_required",
    "msh_no_type.hl7": "er7.header_required",
    "msh_short.hl7": "er7.header_required",
    "no_msh.hl7": "er7.batch_structure",
    "segment_lowercase.hl7": "er7.segment_name",
}  # fmt: skip


def read(name):
    """All that happens to a file before anybody looks at its meaning."""
    found = batch.split((SAMPLES / name).read_bytes())
    batch.check(found)
    for raw in found.messages:
        msh.check(msh.peek(raw))
        yield parse(raw)


def value(name, expression):
    (message,) = read(f"{name}.hl7")
    return query.compile(expression)(message)


def test_the_manifest_names_every_file():
    assert set(MANIFEST) == {path.name for path in SAMPLES.glob("*.hl7")}
    for name, item in MANIFEST.items():
        assert (SAMPLES / name).stat().st_size == item["bytes"]


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_each_file_is_read_or_refused_as_listed(name):
    code = ""
    try:
        for message in read(name):
            message.values()
            assert len(list(message.root)) == len(message.segments)
    except Er7Error as error:
        code = error.code
    assert code == REFUSED.get(name, "")


# frames are for the listener, which hands on what is inside
UNFRAMED = sorted(name for name in REFUSED if not name.startswith("mllp_"))


@pytest.mark.parametrize("name", UNFRAMED)
def test_what_the_reader_refuses_is_never_to_be_accepted(name):
    assert not MANIFEST[name]["expect"].startswith("AA")


@pytest.mark.parametrize(
    ("name", "expression", "expected"),
    [
        ("oru_value_sn_range", "OBX-5", "^10^-^20"),
        ("oru_value_tx_multi", "OBX-5(*)-1", ["Line one", "Line two", "Line three"]),
        ("oru_ed_pdf", "OBX-5-4", "Base64"),
        ("oru_enc_missing_subcomp", "PID-5-1", "DOE"),
        ("oru_enc_v27_truncation", "PID-5-1", "DOE"),
        ("oru_custom_delims", "PID-5-1", "DOE"),
        ("charset_utf8_declared", "PID-5(2)-1", "Иванов"),
        ("charset_utf8_undeclared", "PID-5-1", "GARCÍA-LÓPEZ"),
        ("charset_bom", "PID-5-1", "DOE"),
        ("pid_many_ids", "PID-3(*)-4", ["HOSP", "USA", "PAYER"]),
        ("adt_a08_null_delete", "PID-13", NULL),
        ("adt_a08_absent_keep", "PID-13", None),
        ("obx_subid_micro", "OBX(*)-5", ["112283007^E. coli^SCT", "^>=^32", "<=^0.25"]),
        ("obx_with_nte", "OBSERVATION(1)/./NTE(*)-3",
         ["Specimen slightly hemolyzed", "Repeat advised"]),
        ("obr_two_panels", "ORDER_OBSERVATION(*)/OBX(1)-3-1", ["718-7", "2345-7"]),
        ("segment_space_pad", "MSH-12", "2.5.1   "),
        ("msh_seq_number", "MSH-13", "7"),
        ("zsegments", "ZLB-2", "CUSTOM"),
    ],
)  # fmt: skip
def test_values_of_the_samples(name, expression, expected):
    assert value(name, expression) == expected


def test_every_escape_sequence():
    assert value("oru_escapes", "OBX-5") == (
        "A|B^C&D~E\\F bold \r\n \n \\Zcustom\\ \\C2842\\ \\M2442\\"
        " unterminated \\ backslash"
    )


def test_a_field_of_a_megabyte():
    assert len(value("obx_1mb_field", "OBX-5")) == 1_000_000


@pytest.mark.parametrize(
    ("name", "field", "outcome"),
    [
        ("pid_partial_dob", "PID-7", "year"),
        ("pid_bad_dob", "PID-7", "er7.timestamp"),
        ("ts_frac_tz", "MSH-7", "fraction"),
        ("ts_dst_gap", "MSH-7", "second"),
        ("ts_bad", "MSH-7", "er7.timestamp"),
        ("ts_leap", "MSH-7", "er7.timestamp"),
    ],
)
def test_times_of_the_samples(name, field, outcome):
    try:
        found = parse_timestamp(value(name, field), "America/New_York").precision
    except Er7Error as error:
        found = error.code
    assert found == outcome
