"""The key ring: what is sealed opens again, nowhere else, and no key ever shows."""

import base64
import copy
import json
import os
import pickle
import stat
import traceback

import pytest
from health_connector.lib.keyring import Keyring, KeyringError
from hypothesis import given, strategies as st

KEYS = {"k1": bytes(range(32)), "k2": bytes(range(32, 64))}
INDEX = bytes(range(100, 132))
ring = Keyring("k2", KEYS, INDEX)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyring.json"


def write(path, ring_file, mode=0o600):
    text = ring_file if isinstance(ring_file, str) else json.dumps(ring_file)
    path.write_bytes(text.encode())
    path.chmod(mode)


def good_file():
    keys = {name: base64.b64encode(key).decode() for name, key in KEYS.items()}
    index = base64.b64encode(INDEX).decode()
    return {"version": 1, "active": "k1", "keys": keys, "index": index}


def refused(code, function, *args):
    with pytest.raises(KeyringError) as caught:
        function(*args)
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


# -- sealing --------------------------------------------------------------------


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens_again(data, aad):
    key_id, sealed = ring.seal(data, aad)
    assert key_id == "k2"
    assert ring.open(key_id, sealed, aad) == data


def test_sealed_bytes_hide_the_data_and_never_repeat():
    data = b"LAB-000001 " * 8
    sealed = {ring.seal(data, b"a")[1] for _each in range(200)}
    assert len(sealed) == 200
    assert all(b"LAB-0" not in each for each in sealed)
    # format, nonce and tag: 29 bytes more
    assert {len(each) for each in sealed} == {len(data) + 29}


def test_sealed_bytes_open_only_where_they_belong():
    key_id, sealed = ring.seal(b"data", b"uid-1|raw")
    for aad in (b"uid-2|raw", b"uid-1|canonical", b"", b"uid-1|raw "):
        refused("keyring.tampered", ring.open, key_id, sealed, aad)


def test_every_altered_byte_is_noticed():
    key_id, sealed = ring.seal(b"data", b"a")
    for position in range(len(sealed)):
        for bit in (1, 128):
            altered = bytearray(sealed)
            altered[position] ^= bit
            code = "keyring.tampered" if position else "keyring.format"
            refused(code, ring.open, key_id, bytes(altered), b"a")


def test_every_missing_or_added_byte_is_noticed():
    key_id, sealed = ring.seal(b"data", b"a")
    for end in range(1, len(sealed)):
        refused("keyring.tampered", ring.open, key_id, sealed[:end], b"a")
    refused("keyring.tampered", ring.open, key_id, sealed + b"\0", b"a")
    refused("keyring.format", ring.open, key_id, b"", b"a")


def test_another_key_does_not_open_it():
    _key_id, sealed = ring.seal(b"data", b"a")
    refused("keyring.tampered", ring.open, "k1", sealed, b"a")
    refused("keyring.key_missing", ring.open, "k9", sealed, b"a")


def test_old_keys_open_while_the_active_one_seals():
    old = Keyring("k1", {"k1": KEYS["k1"]}, INDEX)
    key_id, sealed = old.seal(b"data", b"a")
    assert ring.open(key_id, sealed, b"a") == b"data"
    assert ring.seal(b"data", b"a")[0] == "k2"


# -- keyed hashes ---------------------------------------------------------------


def test_hashes_are_equal_for_equal_input_only():
    found = ring.blind("dedupe:1", "MSG-1")
    assert found == ring.blind("dedupe:1", b"MSG-1")
    assert found == Keyring("k1", KEYS, INDEX).blind("dedupe:1", "MSG-1")
    others = [
        ring.blind("dedupe:2", "MSG-1"),
        ring.blind("dedupe:1", "MSG-2"),
        ring.blind("dedupe:1", ""),
        Keyring("k1", KEYS, KEYS["k1"]).blind("dedupe:1", "MSG-1"),
    ]
    assert len({found, *others}) == 5


def test_hashes_are_short_text_without_surprises():
    hashes = {ring.blind("s", str(number)) for number in range(5000)}
    assert len(hashes) == 5000
    assert all(len(each) == 22 and each.isascii() for each in hashes)


def test_broken_text_is_hashed_not_refused():
    assert ring.blind("s", "\ud800") != ring.blind("s", "\udc00")


# -- the file -------------------------------------------------------------------


def test_a_new_ring_is_private_and_can_be_loaded(path):
    made = Keyring.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key_id, sealed = made.seal(b"data", b"a")
    loaded = Keyring.load(path)
    assert loaded.open(key_id, sealed, b"a") == b"data"
    assert loaded.blind("s", "t") == made.blind("s", "t")
    assert made.blind("s", "t") != ring.blind("s", "t")


def test_a_new_ring_is_private_from_its_first_moment(path):
    before = os.umask(0)
    try:
        Keyring.create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_ring_is_never_overwritten(path):
    write(path, good_file())
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        Keyring.create(path)
    assert path.read_bytes() == before


def test_two_rings_share_no_key(tmp_path):
    rings = [tmp_path / "a", tmp_path / "b"]
    for each in rings:
        Keyring.create(each)
    first, second = (json.loads(each.read_text()) for each in rings)
    material = [first["keys"]["k1"], first["index"]]
    material += [second["keys"]["k1"], second["index"]]
    assert len(set(material)) == 4


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601, 0o777])
def test_a_ring_that_others_may_touch_is_refused(path, mode):
    write(path, good_file(), mode)
    refused("keyring.mode", Keyring.load, path)
    path.chmod(0o400)
    assert Keyring.load(path).active == "k1"


def test_a_missing_ring_is_told_how_to_make(path):
    for nowhere in (path, path.parent, None, ""):
        error = refused("keyring.unreadable", Keyring.load, nowhere)
        assert "create the key ring" in str(error)


def damaged_files():
    whole = good_file()
    text = json.dumps(whole)
    yield ""
    yield "[]"
    yield "null"
    yield text[:-1]
    yield text.replace('"k1": ', '"k1": 1, "k3": ')
    yield {**whole, "version": 2}
    for name in ("version", "active", "keys", "index"):
        yield {key: value for key, value in whole.items() if key != name}
        yield {**whole, name: [1]}
    yield {**whole, "keys": None}
    yield {**whole, "index": None}
    yield {**whole, "index": "not base64!"}
    yield {**whole, "index": whole["index"][:-1]}
    yield {**whole, "keys": {"k1": whole["index"] + "="}}


@pytest.mark.parametrize("content", list(damaged_files()))
def test_a_damaged_ring_is_refused(path, content):
    write(path, content)
    error = refused("keyring.damaged", Keyring.load, path)
    # the parser's own error would quote the file
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"active": "k9"}, "keyring.active"),
        ({"active": None}, "keyring.active"),
        ({"index": base64.b64encode(bytes(31)).decode()}, "keyring.length"),
        ({"keys": {"k1": ""}}, "keyring.length"),
        ({"keys": {}}, "keyring.active"),
    ],
)
def test_a_ring_that_cannot_work_is_refused(path, change, code):
    write(path, {**good_file(), **change})
    refused(code, Keyring.load, path)


# -- nothing shows --------------------------------------------------------------

SECRETS = [
    shown
    for key in (*KEYS.values(), INDEX)
    for shown in (base64.b64encode(key).decode(), key.hex(), repr(key), str(list(key)))
]


def assert_shows_nothing(*texts):
    for text in texts:
        assert not [secret for secret in SECRETS if secret[4:24] in text]


def test_a_ring_shows_no_key():
    assert_shows_nothing(repr(ring), str(ring), f"{ring}", repr([ring]))
    assert "k2" in repr(ring)


@pytest.mark.parametrize(
    "change",
    [
        {"active": "k9"},
        {"active": None},
        {"index": base64.b64encode(INDEX + b"x").decode()},
        {"index": base64.b64encode(INDEX).decode() + "!"},
        {"keys": {"k1": base64.b64encode(KEYS["k1"]).decode()[:-2]}},
    ],
)
def test_no_error_about_a_ring_shows_a_key(path, change):
    write(path, {**good_file(), **change})
    with pytest.raises(KeyringError) as caught:
        Keyring.load(path)
    error = caught.value
    shown = "".join(traceback.format_exception(error))
    assert_shows_nothing(shown, str(error), repr(error), repr(error.params))


def test_no_error_about_sealed_bytes_shows_key_or_content():
    key_id, sealed = ring.seal(b"ZZMARKERZZ", b"a")
    with pytest.raises(KeyringError) as caught:
        ring.open(key_id, sealed, b"b")
    shown = "".join(traceback.format_exception(caught.value))
    assert_shows_nothing(shown, repr(caught.value))
    assert "ZZMARKERZZ" not in shown


def test_a_ring_cannot_leave_its_process():
    for leave in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(ring)
