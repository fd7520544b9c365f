"""The notation HL7 people write."""

import pytest
from health_connector_hl7.lib import query
from health_connector_hl7.lib.er7 import parse
from health_connector_hl7.lib.query import NULL, Er7Error

MESSAGE = parse(
    "\r".join(
        (
            "MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20261122||ORU^R01^ORU_R01|C1|P|2.5.1",
            'PID|1||M1^^^HOSP&2.16^MR~S1^^^USA^SS~P1||O\\T\\B^EVE||""|F',
            "ORC|RE||LAB-1",
            "OBR|1|ORD-1^ODOO|LAB-1|CBC",
            "NTE|1||order note",
            "OBX|1|NM|718-7^Hb||13.2",
            "NTE|1||first note",
            "OBX|2|SN|28-1^Amp||>^100~x",
            "OBX|3|TX|TXT||",
            "OBR|2|ORD-2^ODOO|LAB-2|CHEM",
            "OBX|1|NM|2345-7^Glu||5",
            "NTE|1||last note",
        )
    )
)


def find(expression, node=MESSAGE):
    return query.compile(expression)(node)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("PID-5-1", "O&B"),
        ("PID-5-2", "EVE"),
        ("PID-3-4", "HOSP"),
        ("PID-3-4-2", "2.16"),
        ("PID-3(2)-1", "S1"),
        ("PID-3(4)-1", None),
        ("PID-3(*)-1", ["M1", "S1", "P1"]),
        ("PID-3(*)-5", ["MR", "SS"]),
        ("PID-3(*)-9", None),
        ("PID-8", "F"),
        ("PID-7", NULL),
        ("PID-8-1-1", "F"),
        ("PID-9", None),
        ("PV1-3", None),
        ("OBX-5", "13.2"),
        ("OBX(2)-5", ">^100"),
        ("OBX(2)-5-2", "100"),
        ("OBX(9)-5", None),
        ("OBX(*)-5", ["13.2", ">^100", "5"]),
        ("OBX(*)-5(*)-1", ["13.2", ">", "x", "5"]),
        ("MSH-9-2", "R01"),
        ("MSH-1", "|"),
        ("ORC-2-1|OBR-2-1", "ORD-1"),
        ("ORC-3 | OBR-2-1", "LAB-1"),
        ("PID-7|PID-8", NULL),
        ("ZZZ-1|PV1-3|MSH-10", "C1"),
        ("ZZZ-1|PV1-3", None),
        ("ZZZ(*)-1|PID-3(*)-1", ["M1", "S1", "P1"]),
        ("ORDER_OBSERVATION(2)/OBR-4", "CHEM"),
        ("ORDER_OBSERVATION(*)/OBR-4", ["CBC", "CHEM"]),
        ("PATIENT_RESULT/ORDER_OBSERVATION(1)/OBSERVATION(2)/OBX-1", "2"),
        ("ORDER_OBSERVATION(*)/OBX(1)-3-2", ["Hb", "Glu"]),
        ("ORDER_OBSERVATION(9)/OBR-4", None),
        ("SPECIMEN(*)/SPM-2", None),
    ],
)
def test_values(expression, value):
    assert find(expression) == value


def test_null_is_one_object_and_never_none():
    assert find("PID-7") is NULL
    assert NULL is not None and not NULL


def test_values_are_plain_texts():
    assert type(find("PID-8")) is str
    assert all(type(value) is str for value in find("PID-3(*)-1"))


def test_a_loop_over_occurrences_yields_nodes_read_by_relative_expressions():
    nodes = find("PID-3(*)")
    rows = [(find("-1", node), find("-4-2", node), find("-5", node)) for node in nodes]
    assert rows == [("M1", "2.16", "MR"), ("S1", None, "SS"), ("P1", None, None)]
    assert find("-5|-1", nodes[2]) == "P1"
    assert str(nodes[2]) == "P1"


def test_a_loop_over_segments():
    nodes = find("OBX(*)")
    assert [find("-3-1", node) for node in nodes] == ["718-7", "28-1", "TXT", "2345-7"]
    assert [find("OBX-1", node) for node in nodes] == ["1", "2", "3", "1"]
    assert find("PID-1", nodes[0]) is None
    assert [str(each) for each in find("-5(*)", nodes[1])] == [">^100", "x"]


def test_inside_a_group_names_are_looked_up_in_that_group():
    orders = find("ORDER_OBSERVATION(*)")
    assert [find("OBR-2-1", order) for order in orders] == ["ORD-1", "ORD-2"]
    assert [find("OBX(*)-3-1", order) for order in orders] == [
        ["718-7", "28-1", "TXT"],
        ["2345-7"],
    ]
    assert [find("PID-3-1", order) for order in orders] == [None, None]
    assert [len(find("OBSERVATION(*)", order)) for order in orders] == [3, 1]


def test_notes_of_a_group_itself():
    orders = find("ORDER_OBSERVATION(*)")
    assert find("./NTE(*)-3", orders[0]) == ["order note"]
    assert find("./NTE(*)-3", orders[1]) is None
    assert find("NTE(*)-3", orders[1]) == ["last note"]
    assert find("ORDER_OBSERVATION(1)/OBSERVATION(1)/./NTE-3") == "first note"
    assert find("./MSH-10") == "C1"
    assert find("./PID-8") is None


def test_segments_and_groups_as_nodes():
    assert find("OBX").get(1) == find("OBX(1)").get(1) == "1"
    assert find("PV1") is find("PV1(*)") is find("SPECIMEN") is None
    assert find("OBSERVATION").name == "OBSERVATION"


def test_an_expression_is_compiled_once():
    assert query.compile("PID-5-1") is query.compile("PID-5-1")


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "|",
        "PID-5-1|",
        "pid-5",
        "PID-0",
        "PID-5-",
        "PID-5-1-2-3",
        "PID-5(0)",
        "PID-5(x)",
        "PID(*",
        "PID 5",
        "PID.5.1",
        "OBSERVATION(*)-5",
        "ORDER_OBSERVATON(*)",
        "PID/OBX-5",
        "./OBSERVATION(*)",
        "/PID-5",
        "-",
        "PID-12345",
    ],
)
def test_a_bad_expression_is_refused_when_it_is_compiled(expression):
    with pytest.raises(Er7Error) as caught:
        query.compile(expression)
    error = caught.value
    assert (error.code, error.error_class) == ("er7.query_syntax", "mapping")


def test_the_number_of_the_bad_alternative_is_told():
    with pytest.raises(Er7Error) as caught:
        query.compile("PID-5|oops")
    assert caught.value.params == {"alternative": 2}


@pytest.mark.parametrize(
    ("expression", "node"),
    [
        ("PID-5", "PID-3(*)"),
        ("-1(2)", "PID-3(*)"),
        ("-1-1-2", "PID-3(*)"),
        ("OBSERVATION(*)", "OBX(*)"),
        ("OBSERVATION(*)", "PID-3(*)"),
        ("-5", "ORDER_OBSERVATION(*)"),
    ],
)
def test_an_expression_for_another_kind_of_node_is_an_error(expression, node):
    with pytest.raises(Er7Error) as caught:
        find(expression, find(node)[0])
    assert caught.value.code == "er7.query_context"
    assert caught.value.error_class == "mapping"


def test_a_relative_expression_needs_a_node():
    with pytest.raises(Er7Error) as caught:
        find("-5")
    assert caught.value.params == {"node": "message"}
