"""Read, change and write messages; everything untouched keeps its bytes."""

from pathlib import Path

import pytest
from health_connector_hl7.lib import er7
from health_connector_hl7.lib.er7 import NULL, Er7Error, parse

SAMPLES = Path(__file__).parents[1] / "samples" / "hl7v2"
MSH = "MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20261122||ORU^R01^ORU_R01|C1|P|2.5.1"
PID = "PID|1||A&a1^x~B^^^HOSP&2.16&ISO^MR||DOE^JANE||19800101"


def sample(name):
    return (SAMPLES / f"{name}.hl7").read_bytes()


def message(*segments, end="\r"):
    return parse(end.join([MSH, *segments]) + end)


def refusal(function, *args, **kwargs):
    with pytest.raises(Er7Error) as caught:
        function(*args, **kwargs)
    return caught.value


class TestRead:
    def test_by_segment_field_component(self):
        pid = message(PID).segment("PID")
        assert pid.name == "PID"
        assert pid.get(5, 1) == "DOE"
        assert pid.get(5, 2) == "JANE"
        assert pid.get(7) == "19800101"

    def test_by_repetition_and_subcomponent(self):
        pid = message(PID).segment("PID")
        assert [str(each) for each in pid.repetitions(3)] == [
            "A&a1^x",
            "B^^^HOSP&2.16&ISO^MR",
        ]
        assert pid.get(3, 1, repetition=2) == "B"
        assert pid.get(3, 4, 3, repetition=2) == "ISO"
        assert pid.get(3, 1, 2) == "a1"

    def test_a_component_means_its_first_subcomponent(self):
        assert message(PID).segment("PID").get(3, 4, repetition=2) == "HOSP"

    def test_a_primitive_is_its_own_first_component_and_subcomponent(self):
        pid = message(PID).segment("PID")
        assert pid.get(7, 1) == pid.get(7, 1, 1) == "19800101"
        assert pid.get(7, 2) is pid.get(7, 1, 2) is None

    def test_a_whole_composite_field_is_its_text_so_that_nothing_is_lost(self):
        obx = message("OBX|1|SN|28-1||>^100").segment("OBX")
        assert obx.get(5) == ">^100"

    def test_absent_is_none_and_null_is_null(self):
        pid = message('PID|||""^||""|').segment("PID")
        assert pid.get(3, 1) is NULL
        assert pid.get(5) is NULL
        assert pid.get(3, 2) is pid.get(4) is pid.get(99) is None
        assert not NULL and NULL is not None

    def test_msh_counts_its_separators(self):
        msh = message().segment("MSH")
        assert (msh.get(1), msh.get(2), msh.get(3)) == ("|", "^~\\&", "LAB")
        assert msh.get(9, 2) == "R01"
        assert msh.raw(12) == "2.5.1"
        assert msh.get(2, 2) is None

    def test_undeclared_separators_are_plain_text(self):
        pid = parse("MSH|^~\\|X\rPID|1||A&B").segment("PID")
        assert (pid.get(3), pid.get(3, 1)) == ("A&B", "A&B")
        pid = parse("MSH|^|X\rPID|1||A~B\\F\\").segment("PID")
        assert pid.get(3) == "A~B\\F\\"
        assert pid.get(3, repetition=2) is None

    def test_the_separators_of_the_message_are_used(self):
        message = parse(sample("oru_custom_delims"))
        assert message.segment("PID").get(5, 2) == "JANE"
        assert message.segment("OBX").get(3, 2) == "Hemoglobin"

    def test_segments_by_name_and_number(self):
        msg = message("OBX|1", "NTE|1", "OBX|2", "ZXX")
        assert [obx.get(1) for obx in msg.all("OBX")] == ["1", "2"]
        assert msg.segment("OBX", 2).get(1) == "2"
        assert msg.segment("OBX", 3) is msg.segment("PV1") is None
        assert [each.name for each in msg] == ["MSH", "OBX", "NTE", "OBX", "ZXX"]
        assert msg.segment("ZXX").get(1) is None

    def test_the_header_is_decoded(self):
        raw = MSH.replace("LAB", "Größe").encode()
        assert parse(raw).header.sending_app == "Größe"

    def test_representations_hold_no_content(self):
        msg = message(PID)
        pid = msg.segment("PID")
        shown = f"{msg!r}{pid!r}{pid.repetitions(3)!r}{msg.root!r}"
        assert "HOSP" not in shown


class TestValues:
    def test_every_leaf_unescaped(self):
        msg = message(PID, 'NTE|1|L|a\\F\\b~c^d\\T\\e&f|""|')
        assert msg.values()[1:] == [
            [
                "PID",
                "1",
                "",
                [[["A", "a1"], "x"], ["B", "", "", ["HOSP", "2.16", "ISO"], "MR"]],
                "",
                [["DOE", "JANE"]],
                "",
                "19800101",
            ],
            ["NTE", "1", "L", ["a|b", ["c", ["d&e", "f"]]], '""', ""],
        ]

    def test_the_header_keeps_its_separators(self):
        values = message().values()[0]
        assert values[:4] == ["MSH", "|", "^~\\&", "LAB"]
        assert values[9] == [["ORU", "R01", "ORU_R01"]]

    def test_a_header_of_nothing_but_separators(self):
        assert parse("MSH|^~\\&").values() == [["MSH", "|", "^~\\&"]]

    def test_changed_segments_show_their_new_values(self):
        msg = message(PID)
        msg.segment("PID").set("X^Y", 5, 1)
        assert msg.values()[1][5] == [["X^Y", "JANE"]]

    def test_undeclared_separators_are_not_split(self):
        assert parse("MSH|^|X\rNTE|a~b&c^d").values()[1] == ["NTE", [["a~b&c", "d"]]]


class TestRoundTrip:
    @pytest.mark.parametrize(
        "path", sorted(SAMPLES.glob("*.hl7")), ids=lambda p: p.stem
    )
    def test_an_untouched_sample_keeps_every_byte(self, path):
        raw = path.read_bytes()
        try:
            msg = parse(raw)
        except Er7Error:
            return
        msg.values()
        assert msg.render() == raw

    @pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n"])
    @pytest.mark.parametrize("start", ["", "\ufeff", "\r\n"])
    def test_a_change_keeps_all_other_bytes(self, start, end):
        before = start + end.join([MSH, PID, "NTE|1||x\\.br\\y\\Zq\\", "ZZZ|~~^^&&|"])
        msg = parse(before.encode())
        msg.segment("PID").set("ROE", 5, 1)
        assert msg.render() == before.replace("DOE", "ROE").encode()

    @pytest.mark.parametrize(
        ("name", "codec", "text"),
        [
            ("8859/1", "latin-1", "Müßig"),
            ("GB 18030-2000", "gb18030", "检验"),
            ("~ISO IR87", "iso2022_jp_2", "検査"),
            ("BIG-5", "big5", "檢驗許功蓋"),
        ],
    )
    def test_a_change_keeps_the_bytes_of_other_segments_in_every_charset(
        self, name, codec, text
    ):
        before = f"{MSH}||||||{name}\rPID|1||7||{text}\rNTE|1||{text}\r".encode(codec)
        msg = parse(before)
        assert msg.segment("PID").get(5) == text
        msg.segment("PID").set("8", 3)
        assert msg.render() == before.replace(b"||7||", b"||8||")

    def test_bytes_are_kept_where_encoding_again_would_change_them(self):
        # two escape sequences in a row: legal, but never written by an encoder
        odd = b"\x1b$B\x1b(B\x1b$B8!\x1b(B"
        before = f"{MSH}||||||~ISO IR87\rPID|1\rNTE|1||".encode() + odd + b"\r"
        msg = parse(before)
        msg.segment("PID").set("2", 1)
        assert msg.render() == before.replace(b"PID|1", b"PID|2")

    def test_line_feeds_inside_a_value_are_content(self):
        raw = f"{MSH}\rNTE|1||two\nlines\rPID|1\r".encode()
        msg = parse(raw)
        assert [each.name for each in msg] == ["MSH", "NTE", "PID"]
        assert msg.segment("NTE").get(3) == "two\nlines"
        assert msg.render() == raw

    def test_mixed_line_ends(self):
        raw = f"{MSH}\r\nPID|1\nNTE|1\r\rZZZ\n".encode()
        msg = parse(raw)
        assert [each.name for each in msg] == ["MSH", "PID", "NTE", "ZZZ"]
        assert msg.render() == raw

    def test_lines_of_blanks_belong_to_the_line_end(self):
        raw = f"{MSH}\rPID|1\r  \rNTE|1\r\t".encode()
        msg = parse(raw)
        assert [each.name for each in msg] == ["MSH", "PID", "NTE"]
        msg.segment("PID").set("2", 1)
        assert msg.render() == raw.replace(b"PID|1", b"PID|2")

    def test_a_text_is_written_in_the_charset_it_declares(self):
        msg = parse(MSH + "||||||8859/1\rNTE|1||é")
        assert msg.render().endswith(b"\xe9")


class TestWrite:
    def pid(self, raw="PID|1||A^B~C"):
        return message(raw).segment("PID")

    def changed(self, raw, *args, **kwargs):
        segment = self.pid(raw)
        segment.set(*args, **kwargs)
        return segment.text

    def test_each_level(self):
        raw = "PID|1||A^B~C^D&E"
        assert self.changed(raw, "x", 1) == "PID|x||A^B~C^D&E"
        assert self.changed(raw, "x", 3) == "PID|1||x~C^D&E"
        assert self.changed(raw, "x", 3, 2) == "PID|1||A^x~C^D&E"
        assert self.changed(raw, "x", 3, 2, 2, repetition=2) == "PID|1||A^B~C^D&x"
        assert self.changed(raw, "x", 3, 2, repetition=2) == "PID|1||A^B~C^x"

    def test_missing_places_are_added(self):
        assert self.changed("PID", "x", 2, 3) == "PID||^^x"
        assert self.changed("PID|1", "x", 3, 1, 2, repetition=3) == "PID|1||~~&x"

    def test_values_are_escaped(self):
        assert self.changed("PID", "a|b^c&d~e\\f", 1) == (
            "PID|a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f"
        )

    def test_none_empties_and_null_deletes(self):
        assert self.changed("PID|1||A^B", None, 3, 1) == "PID|1||^B"
        assert self.changed("PID|1||A^B", NULL, 3) == 'PID|1||""'
        assert self.changed("PID|1||A", None, 3) == "PID|1||"

    def test_two_quotes_as_a_text_are_not_null(self):
        segment = self.pid("PID")
        segment.set('""', 1)
        assert segment.get(1) == '""'

    def test_a_header_field(self):
        msg = message()
        msg.segments[0].set("C2", 10)
        assert msg.text() == MSH.replace("|C1|", "|C2|") + "\r"
        assert msg.header.control_id == "C2"

    @pytest.mark.parametrize(
        "numbers", [(0,), (-1,), (10_000,), (3, 10_000), (3, 1, -1), (3, 1, 1, 0)]
    )
    def test_numbers_out_of_range_are_refused(self, numbers):
        error = refusal(self.pid().set, "x", *numbers)
        assert (error.code, error.error_class) == ("er7.value", "mapping")

    def test_separators_cannot_be_changed(self):
        assert refusal(message().segments[0].set, "#", 1).code == "er7.value"
        assert refusal(message().segments[0].set, "#", 2).code == "er7.value"

    def test_what_the_message_cannot_say_is_refused(self):
        pid = parse("MSH|^|X\rPID|1").segment("PID")
        assert refusal(pid.set, "a|b", 3).code == "er7.value"
        assert refusal(pid.set, "a", 3, repetition=2).code == "er7.value"
        pid.set("a~b", 3)
        assert pid.text == "PID|1||a~b"
        assert refusal(pid.set, "a\0b", 3).code == "er7.value"

    def test_a_letter_the_charset_lacks_is_refused_when_writing(self):
        msg = parse(MSH.encode() + b"||||||8859/1\rPID|1")
        msg.segment("PID").set("Ж", 1)
        error = refusal(msg.render)
        assert (error.code, error.params["charset"]) == ("er7.charset", "iso8859-1")

    def test_segments_are_added_with_the_line_end_of_the_message(self):
        msg = parse(f"{MSH}\r\nPID|1".encode())
        msg.add("NTE").set("note", 3)
        assert msg.render() == f"{MSH}\r\nPID|1\r\nNTE|||note\r\n".encode()

    @pytest.mark.parametrize("name", ["", "pid", "PIDX", "MSH", "BTS", "1AB"])
    def test_only_segment_names_can_be_added(self, name):
        assert refusal(message().add, name).code == "er7.value"

    def test_segments_can_be_moved_and_removed(self):
        msg = parse(f"{MSH}\rPID|1\rNTE|1\rNTE|2\r".encode())
        msg.segments[2:] = [msg.segments[3], msg.segments[2]]
        assert msg.render() == f"{MSH}\rPID|1\rNTE|2\rNTE|1\r".encode()
        del msg.segments[1]
        assert msg.render() == f"{MSH}\rNTE|2\rNTE|1\r".encode()

    def test_a_new_message(self):
        msg = er7.new()
        msg.segments[0].set("ACK", 9)
        msg.add("MSA").set("AA", 1)
        assert msg.render() == b"MSH|^~\\&|||||||ACK|||2.5.1\rMSA|AA\r"
        assert parse(msg.render()).segment("MSA").get(1) == "AA"


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "code", "params"),
        [
            (b"\rpid|1", "er7.segment_name", {"position": 2}),
            (b"\rPID|1\r\rJANE DOE", "er7.segment_name", {"position": 3}),
            (b"\nJANE DOE\rPID|1", "er7.segment_name", {"position": 2}),
            (b"\rPIDX|1", "er7.segment_name", {"position": 2}),
            (b"\rPID^1", "er7.segment_name", {"position": 2}),
            (b"\nPID|1\nJANE DOE", "er7.segment_name", {"position": 3}),
            (b"\rMSH|^~\\&|X", "er7.batch", {"position": 2}),
            (b"\rPID|1\rBTS|1", "er7.batch", {"position": 3}),
            (b"\rPID|\x00", "er7.control_character", {"offset": len(MSH) + 5}),
            (b"\rPID|\x0b", "er7.control_character", {"offset": len(MSH) + 5}),
            (b"\rPID|\xff", "er7.charset", {"offset": len(MSH) + 5}),
        ],
    )
    def test_bad_structure_is_an_error_with_its_place(self, body, code, params):
        error = refusal(parse, MSH.encode() + body)
        assert (error.code, error.ack) == (code, "AE")
        assert params.items() <= error.params.items()
        assert "JANE" not in str(error)

    @pytest.mark.parametrize("raw", [b"", b"PID|1", b"MSH", b"MSH|||X"])
    def test_without_a_usable_header_the_message_is_rejected(self, raw):
        assert refusal(parse, raw).ack == "AR"
        assert refusal(parse, raw.decode()).ack == "AR"

    def test_a_text_that_is_no_unicode(self):
        assert refusal(parse, MSH + "\ud800").code == "er7.charset"

    def test_an_unknown_charset(self):
        assert refusal(parse, MSH + "||||||EBCDIC").code == "er7.charset_unsupported"
        assert parse((MSH + "||||||EBCDIC").encode(), "UTF-8").codec == "utf-8"
