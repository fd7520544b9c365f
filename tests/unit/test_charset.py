"""Character sets: named ones only, strictly decoded."""

import pytest
from health_connector_hl7.lib.charset import (
    declared_codec,
    decode_strict,
    python_codec,
)
from health_connector_hl7.lib.errors import Er7Error


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("", "utf-8"),
        ("ASCII", "ascii"),
        ("UNICODE UTF-8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("8859/1", "iso8859-1"),
        ("8859/15", "iso8859-15"),
        ("ISO-8859-2", "iso8859-2"),
        ("ISO IR87", "iso2022_jp_2"),
        ("GB 18030-2000", "gb18030"),
        ("KS X 1001", "euc_kr"),
        ("BIG-5", "big5"),
        ("windows-1252", "cp1252"),
    ],
)
def test_names_of_table_0211(name, codec):
    assert python_codec(name) == codec
    "".encode(codec)


@pytest.mark.parametrize(
    "name", ["8859/12", "rot13", "utf-7", "idna", "UNICODE UTF-16"]
)
def test_other_names_are_refused(name):
    with pytest.raises(Er7Error) as caught:
        python_codec(name)
    assert caught.value.code == "er7.charset_unsupported"
    assert (caught.value.hl7_code, caught.value.location) == ("103", "MSH^1^18")
    assert name not in str(caught.value)


def test_a_second_charset_that_is_switched_to_decides():
    assert declared_codec("~ISO IR87") == "iso2022_jp_2"
    assert declared_codec("ASCII~ISO IR87") == "iso2022_jp_2"
    assert declared_codec("UNICODE UTF-8~8859/1") == "utf-8"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "iso8859-1"),
        ("ISO IR87", "iso2022_jp_2"),
        ("", "utf-8"),
    ],
)
def test_texts_are_decoded_as_declared(name, codec):
    text = "検査" if "2022" in codec else "Müßig"
    assert decode_strict(text.encode(codec), name) == (text, codec)


def test_ascii_means_ascii_until_the_text_is_utf8():
    assert decode_strict(b"abc", "ASCII") == ("abc", "ascii")
    assert decode_strict("é".encode(), "ASCII") == ("é", "utf-8")


def test_a_byte_that_does_not_fit_refuses_the_message():
    with pytest.raises(Er7Error) as caught:
        decode_strict(b"PID|DO\xe9", "")
    error = caught.value
    assert (error.code, error.ack, error.hl7_code) == ("er7.charset", "AE", "102")
    assert error.params == {"charset": "utf-8", "offset": 6, "declared": False}


def test_the_partner_agreement_wins():
    assert decode_strict(b"\xe9", "UNICODE UTF-8", "8859/1") == ("é", "iso8859-1")
