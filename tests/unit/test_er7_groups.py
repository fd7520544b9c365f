"""Segment groups: by structure, tolerant, nothing dropped."""

import pytest
from health_connector_hl7.lib.er7 import parse
from health_connector_hl7.lib.groups import Group
from health_connector_hl7.lib.structures import (
    GROUP_NAMES,
    STRUCTURES,
    definition,
    structure_name,
)


def grouped(message_type, *names):
    lines = [f"MSH|^~\\&|||||||{message_type}", *names]
    return parse("\r".join(lines)).root


def shape(group):
    """``PID VISIT(PV1)``: the group as text."""
    parts = [
        f"{child.name}({shape(child)})" if isinstance(child, Group) else child.name
        for child in group.children
    ]
    return " ".join(parts)


def result(*names):
    root = grouped("ORU^R01", *names)
    assert root.name == "ORU_R01"
    return shape(root)


def test_a_result_of_two_orders_for_one_patient():
    assert result("PID", "PV1", "ORC", "OBR", "OBX", "OBX", "ORC", "OBR", "OBX") == (
        "MSH PATIENT_RESULT(PATIENT(PID VISIT(PV1))"
        " ORDER_OBSERVATION(ORC OBR OBSERVATION(OBX) OBSERVATION(OBX))"
        " ORDER_OBSERVATION(ORC OBR OBSERVATION(OBX)))"
    )


def test_orders_without_their_orc():
    assert result("PID", "OBR", "OBX", "OBR", "OBX") == (
        "MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX))"
        " ORDER_OBSERVATION(OBR OBSERVATION(OBX)))"
    )


def test_two_patients():
    assert result("PID", "OBR", "PID", "OBR") == (
        "MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR))"
        " PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR))"
    )


def test_a_note_belongs_to_what_precedes_it():
    names = ("NTE", "PID", "NTE", "PV1", "NTE", "ORC", "NTE", "OBR", "NTE")
    assert result(*names, "OBX", "NTE", "NTE", "OBX", "NTE") == (
        "MSH NTE PATIENT_RESULT(PATIENT(PID NTE VISIT(PV1 NTE))"
        " ORDER_OBSERVATION(ORC NTE OBR NTE OBSERVATION(OBX NTE NTE)"
        " OBSERVATION(OBX NTE)))"
    )


def test_observations_of_a_specimen_are_not_results():
    assert result("PID", "OBR", "OBX", "SPM", "OBX", "OBX", "OBR", "OBX") == (
        "MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX)"
        " SPECIMEN(SPM SPECIMEN_OBSERVATION(OBX) SPECIMEN_OBSERVATION(OBX)))"
        " ORDER_OBSERVATION(OBR OBSERVATION(OBX)))"
    )


def test_unknown_segments_stay_where_they_are():
    assert result("ZAA", "PID", "ZBB", "OBR", "OBX", "ZCC", "OBX") == (
        "MSH ZAA PATIENT_RESULT(PATIENT(PID ZBB) ORDER_OBSERVATION(OBR"
        " OBSERVATION(OBX ZCC) OBSERVATION(OBX)))"
    )


def test_missing_segments_are_skipped():
    assert result("OBX", "OBX") == (
        "MSH PATIENT_RESULT(PATIENT(PATIENT_OBSERVATION(OBX) PATIENT_OBSERVATION(OBX)))"
    )
    assert result("ORC", "OBX") == (
        "MSH PATIENT_RESULT(ORDER_OBSERVATION(ORC OBSERVATION(OBX)))"
    )


def test_a_segment_out_of_order_goes_to_the_group_that_is_open():
    assert result("PID", "PV1", "PD1", "OBR", "OBX", "PV2") == (
        "MSH PATIENT_RESULT(PATIENT(PID VISIT(PV1 PV2) PD1)"
        " ORDER_OBSERVATION(OBR OBSERVATION(OBX)))"
    )


def test_a_late_segment_does_not_change_what_is_open():
    assert result("PID", "OBR", "OBX", "NK1", "NTE", "OBX") == (
        "MSH PATIENT_RESULT(PATIENT(PID NK1 NTE) ORDER_OBSERVATION(OBR"
        " OBSERVATION(OBX) OBSERVATION(OBX)))"
    )


def test_participations_belong_to_what_precedes_them():
    assert result("PID", "PRT", "OBR", "PRT", "OBX", "PRT", "SPM", "PRT", "OBX") == (
        "MSH PATIENT_RESULT(PATIENT(PID PRT) ORDER_OBSERVATION(OBR PRT"
        " OBSERVATION(OBX PRT) SPECIMEN(SPM PRT SPECIMEN_OBSERVATION(OBX))))"
    )


def test_requisitions_with_both_of_their_segments():
    root = grouped("ORM^O01", "PID", "ORC", "RQD", "RQ1", "ORC", "RQD", "RQ1")
    assert shape(root) == (
        "MSH PATIENT(PID) ORDER(ORC ORDER_DETAIL(RQD RQ1))"
        " ORDER(ORC ORDER_DETAIL(RQD RQ1))"
    )


def test_orders():
    root = grouped("OML^O21^OML_O21", "PID", "IN1", "IN2", "ORC", "TQ1", "OBR", "DG1",
                   "SPM", "ORC", "OBR", "OBX", "NTE")  # fmt: skip
    assert shape(root) == (
        "MSH PATIENT(PID INSURANCE(IN1 IN2))"
        " ORDER(ORC TIMING(TQ1) OBSERVATION_REQUEST(OBR DG1 SPECIMEN(SPM)))"
        " ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX NTE)))"
    )


def test_a_late_timing_opens_no_new_order():
    root = grouped("OML^O21", "PID", "ORC", "OBR", "TQ1", "OBX")
    assert shape(root) == (
        "MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX))"
        " TIMING(TQ1))"
    )


def test_prior_results_begin_with_their_patient_and_are_no_orders():
    names = ("PID", "ORC", "OBR", "PID", "ORC", "OBR", "OBX", "OBR", "OBX")
    assert shape(grouped("OML^O21", *names)) == (
        "MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR PRIOR_RESULT("
        "PATIENT_PRIOR(PID) ORDER_PRIOR(ORC OBR OBSERVATION_PRIOR(OBX))"
        " ORDER_PRIOR(OBR OBSERVATION_PRIOR(OBX)))))"
    )


@pytest.mark.parametrize("detail", ["OBR", "RQD", "RQ1", "RXO", "ODS", "ODT"])
def test_general_orders(detail):
    root = grouped("ORM^O01", "PID", "PV1", "ORC", detail, "NTE", "OBX", "ORC", detail)
    assert shape(root) == (
        f"MSH PATIENT(PID PATIENT_VISIT(PV1)) ORDER(ORC ORDER_DETAIL({detail} NTE"
        f" OBSERVATION(OBX))) ORDER(ORC ORDER_DETAIL({detail}))"
    )


def test_appointments_with_resources_in_any_order():
    root = grouped("SIU^S15^SIU_S12", "SCH", "NTE", "PID", "PV1", "RGS", "AIP", "AIS",
                   "NTE", "AIL", "RGS", "AIG")  # fmt: skip
    assert shape(root) == (
        "MSH SCH NTE PATIENT(PID PV1)"
        " RESOURCES(RGS PERSONNEL_RESOURCE(AIP) SERVICE(AIS NTE)"
        " LOCATION_RESOURCE(AIL))"
        " RESOURCES(RGS GENERAL_RESOURCE(AIG))"
    )


def test_merges_of_several_patients():
    root = grouped("ADT^A40", "EVN", "PID", "MRG", "PID", "MRG")
    assert shape(root) == "MSH EVN PATIENT(PID MRG) PATIENT(PID MRG)"


@pytest.mark.parametrize("message_type", ["ZZZ^Z01", "ADT^A02", "ACK", ""])
def test_an_unknown_structure_is_flat(message_type):
    root = grouped(message_type, "PID", "ORC", "NTE", "OBX")
    assert (root.name, shape(root)) == ("", "MSH PID ORC NTE OBX")


@pytest.mark.parametrize(
    ("structure", "message_type", "name"),
    [
        ("ORU_R01", "ORU^R01", "ORU_R01"),
        ("", "ORU^R01", "ORU_R01"),
        ("", "ORU", "ORU_R01"),
        ("nonsense", "SIU^S26", "SIU_S12"),
        ("ADT_A01", "ADT^A08", "ADT_A01"),
        ("", "ADT^A28", "ADT_A01"),
        ("", "ADT^A43", ""),
    ],
)
def test_the_structure_is_the_declared_one_or_that_of_the_event(
    structure, message_type, name
):
    assert structure_name(structure, message_type) == name


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_is_well_formed(name):
    top = definition(name)
    assert top.items[0].segments == {"MSH"}
    text = STRUCTURES[name]
    words = text.replace("<", " ").replace(">", " ").replace(":", " : ")
    for char in "[]{};":
        words = words.replace(char, " ")
    names = {word for word in words.split() if len(word) == 3 and word != ":"}
    assert names == top.known


def test_no_group_is_named_like_a_segment():
    assert all(len(name) > 3 for name in GROUP_NAMES)


def test_lookup_in_groups():
    root = grouped("ORU^R01", "PID", "OBR", "NTE|1", "OBX", "NTE|2", "OBX", "NTE|3")
    order = root.groups("ORDER_OBSERVATION")[0]
    assert [note.get(1) for note in order.all("NTE")] == ["1", "2", "3"]
    assert [note.get(1) for note in order.own("NTE")] == ["1"]
    assert len(root.groups("OBSERVATION")) == 2
    assert [each.name for each in order] == ["OBR", "NTE", "OBX", "NTE", "OBX", "NTE"]
    assert order.all("ZZZ") == order.own("ZZZ") == order.groups("PATIENT") == []
