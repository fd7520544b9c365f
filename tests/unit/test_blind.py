"""The blind index: spelling, keys, scopes, and the file the key comes from."""

import base64
import hashlib
import hmac
import json
import os
import sys

import pytest
from health_base.lib.authority import normalise_system, normalise_type
from health_base.lib.blind import BlindIndex, normalise
from health_base.lib.keyfile import KeyfileError, configured_path, load_index

KEY = bytes(range(32))
SCOPE = "health.identifier"
index = BlindIndex(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "MRN100001",
        "mrn100001",
        " MRN 100 001\n",
        "mrn\u00a0100\u2009001",
        "\tMrn100001",
    ],
)
def test_one_number_in_all_its_spellings(text):
    assert normalise(text) == "MRN100001"
    assert index.digest(SCOPE, text) == index.digest(SCOPE, "MRN100001")


@pytest.mark.parametrize("text", ["MRN-100001", "MRN0100001", "MRN10000l", "MRN10001"])
def test_punctuation_zeros_and_look_alikes_are_other_numbers(text):
    assert index.digest(SCOPE, text) != index.digest(SCOPE, "MRN100001")


def test_composed_and_decomposed_letters_are_one():
    assert normalise("É12") == normalise("E\u030112") == "É12"


def test_normalising_twice_changes_nothing():
    every_character = (chr(n) for n in range(sys.maxunicode + 1))
    assert [c for c in every_character if normalise(normalise(c)) != normalise(c)] == []


def test_the_digest_is_hmac_sha256_of_scope_and_text():
    mac = hmac.new(KEY, b"17:health.identifier:MRN100001", hashlib.sha256).digest()
    expected = base64.urlsafe_b64encode(mac[:16]).decode().rstrip("=")
    assert index.digest(SCOPE, "MRN100001") == expected


def test_the_digest_fits_an_index_and_a_url():
    digests = {index.digest(SCOPE, f"MRN{n}") for n in range(10_000)}
    assert len(digests) == 10_000
    assert all(len(d) == 22 and not set(d) & set("+/=") for d in digests)


def test_scopes_cannot_be_compared_or_shifted_into_each_other():
    assert index.digest("a", "X") != index.digest("b", "X")
    assert index.digest("a", "BC") != index.digest("aB", "C")
    assert index.digest("a", ":BC") != index.digest("a:", "BC")


def test_another_key_gives_another_digest():
    other = BlindIndex(bytes(32))
    assert other.digest(SCOPE, "MRN1") != index.digest(SCOPE, "MRN1")


def test_broken_text_is_hashed_not_refused():
    broken = b"MRN\xff1".decode("utf-8", "surrogateescape")
    assert len(index.digest(SCOPE, broken)) == 22


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="32 bytes"):
        BlindIndex(bytes(size))


def test_the_key_is_not_shown():
    assert not hasattr(index, "__dict__")
    assert KEY.hex() not in repr(index) and repr(KEY) not in repr(index)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("northlab", "NORTHLAB"),
        (" North Lab ", "NORTHLAB"),
        ("2.16.840.1.113883.4.6", "2.16.840.1.113883.4.6"),
        ("urn:oid:2.16.840.1.113883.4.6", "2.16.840.1.113883.4.6"),
        ("URN:OID:2.16.840.1.113883.4.6", "2.16.840.1.113883.4.6"),
        ("https://Lab.example/Ids/mr", "https://Lab.example/Ids/mr"),
    ],
)
def test_one_authority_in_all_its_spellings(given, stored):
    assert normalise_system(given) == stored
    assert normalise_system(stored) == stored


def test_types_are_codes():
    assert normalise_type(" mr") == "MR"


# -- the key file --------------------------------------------------------------------


def write_ring(path, index_key=KEY, mode=0o600):
    ring = {"version": 1, "index": base64.b64encode(index_key).decode()}
    path.write_text(json.dumps(ring))
    path.chmod(mode)
    return str(path)


def test_the_index_key_of_a_ring(tmp_path):
    loaded = load_index(write_ring(tmp_path / "ring.json"))
    assert loaded.digest(SCOPE, "MRN1") == index.digest(SCOPE, "MRN1")
    assert load_index(str(tmp_path / "ring.json")) is loaded


def test_a_ring_that_changed_is_read_again(tmp_path):
    path = tmp_path / "ring.json"
    before = load_index(write_ring(path))
    write_ring(path, bytes(32))
    os.utime(path, ns=(1, 1))
    assert load_index(str(path)).digest("s", "x") != before.digest("s", "x")


def test_a_ring_that_was_replaced_is_read_again(tmp_path):
    """Atomically, by a file of the same modification time."""
    path = tmp_path / "ring.json"
    before = load_index(write_ring(path))
    stamp = os.stat(path).st_mtime_ns
    write_ring(tmp_path / "new.json", bytes(32))
    os.replace(tmp_path / "new.json", path)
    os.utime(path, ns=(stamp, stamp))
    assert load_index(str(path)).digest("s", "x") != before.digest("s", "x")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_ring_others_may_read_or_write_is_not_used(tmp_path, mode):
    path = write_ring(tmp_path / "ring.json", mode=mode)
    with pytest.raises(KeyfileError) as caught:
        load_index(path)
    assert caught.value.code == "keyring.mode"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "keyring.damaged"),
        ("[]", "keyring.damaged"),
        ("{}", "keyring.damaged"),
        ('{"index": 7}', "keyring.damaged"),
        ('{"index": "%%%"}', "keyring.damaged"),
        ('{"index": "U0VDUkVU"}', "keyring.damaged"),
        ('{"index": "é"}', "keyring.unreadable"),
    ],
)
def test_a_bad_ring_is_named_and_not_quoted(tmp_path, text, code):
    path = tmp_path / "ring.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyfileError) as caught:
        load_index(str(path))
    assert (caught.value.code, caught.value.params) == (code, {"path": str(path)})
    assert caught.value.__suppress_context__
    assert "U0VDUkVU" not in str(caught.value)


def test_no_ring_at_all(tmp_path):
    with pytest.raises(KeyfileError) as caught:
        load_index(str(tmp_path / "none.json"))
    assert caught.value.code == "keyring.unreadable"


def test_the_variable_wins_over_the_configuration_file(tmp_path):
    conf = tmp_path / "odoo.conf"
    conf.write_text(
        "[options]\nformat = %(x)s\n[health_connector]\nkeyring = /a.json\n"
    )
    assert configured_path({}, str(conf)) == "/a.json"
    assert configured_path({"HEALTH_KEYRING": "/b.json"}, str(conf)) == "/b.json"


@pytest.mark.parametrize(
    "text", ["", "[options]\nkeyring = /a\n", "[health_connector]"]
)
def test_a_ring_nobody_named(tmp_path, text):
    conf = tmp_path / "odoo.conf"
    conf.write_text(text)
    for file in (str(conf), str(tmp_path / "none.conf"), None, ""):
        with pytest.raises(KeyfileError) as caught:
            configured_path({}, file)
        assert caught.value.code == "keyring.unconfigured"
