"""Message structures: which segments form a group, in the notation of the standard.

``[ ]`` optional, ``{ }`` repeating, ``<A B>`` one of these, ``NAME: ...`` a group (up
to the closing bracket, or ``;``), ``NAME=A,B: ...`` a group that only A or B begins.
Source: HL7 v2.5.1 chapters 3, 4, 7, 8, 9, 10, 11 and 13 with the additions of later
versions; older ones only leave segments out. PRT is not listed: like NTE it stands
behind what it annotates. Where real messages leave out the first segment
of a group (an OBR without its ORC), it is optional here. Three deliberate differences:

* PRIOR_RESULT must begin with its PID. The standard lets it begin with an ORC, which
  cannot be told from the next order: a second order would become a prior result.
* OUL_R22 takes the ORC on both sides of its OBR.
* ORDER_DOCUMENT (v2.8: OBX and TXA between ORC and OBR) is left out. With it, the
  first result of a message that lacks its OBR would silently become a document.
"""

import re
from dataclasses import dataclass
from functools import cache

PID = "PID [PD1] [{NTE}] [{NK1}]"
OBX = "OBX [TCD] [{NTE}]"
INSURANCE = "[{INSURANCE: IN1 [IN2] [{IN3}] [{ROL}] [{AUT}]}]"
ORDER_PATIENT = f"""[PATIENT: {PID} [{{ARV}}] [PATIENT_VISIT: PV1 [PV2]]
    {INSURANCE} [GT1] [{{AL1}}]]"""
TIMING = "[{TIMING: TQ1 [{TQ2}]}]"
PRIOR_RESULT = f"""[{{PRIOR_RESULT: PATIENT_PRIOR: PID [PD1] ;
    [PATIENT_VISIT_PRIOR: PV1 [PV2]] [{{AL1}}]
    {{ORDER_PRIOR: [ORC] OBR [{{NTE}}]
      [{{TIMING_PRIOR: TQ1 [{{TQ2}}]}}] {{OBSERVATION_PRIOR: {OBX}}}}}}}]"""
VISIT_FACTS = f"""PV1 [PV2] [{{ROL}}] [{{DB1}}] [{{OBX}}] [{{AL1}}] [{{DG1}}] [DRG]
    [{{PROCEDURE: PR1 [{{ROL}}]}}] [{{OBX}}] [{{GT1}}] {INSURANCE}
    [ACC] [UB1] [UB2] [PDA]"""

STRUCTURES = {
    "ORU_R01": f"""MSH [{{SFT}}] [{{UAC}}] {{PATIENT_RESULT:
        [PATIENT: {PID} [{{ARV}}] [{{PATIENT_OBSERVATION: {OBX}}}]
          [VISIT: PV1 [PV2]]]
        {{ORDER_OBSERVATION=ORC,OBR: [ORC] OBR [{{NTE}}]
          [{{TIMING_QTY: TQ1 [{{TQ2}}]}}] [CTD] [{{OBSERVATION: {OBX}}}]
          [{{FT1}}] [{{CTI}}]
          [{{SPECIMEN: SPM [{{SPECIMEN_OBSERVATION: {OBX}}}]}}]}}}} [DSC]""",
    "ORU_R30": f"""MSH [{{SFT}}] PID [PD1] [{{OBX}}] [VISIT: PV1 [PV2]]
        [ORC] OBR [{{NTE}}] [{{TIMING_QTY: TQ1 [{{TQ2}}]}}] [{{OBSERVATION: {OBX}}}]""",
    "OUL_R22": f"""MSH [{{SFT}}] [NTE]
        [PATIENT: {PID} [{{PATIENT_OBSERVATION: {OBX}}}]]
        [VISIT: PV1 [PV2]]
        {{SPECIMEN: SPM [{{SPECIMEN_OBSERVATION: {OBX}}}] [{{CONTAINER: SAC [INV]}}]
          {{ORDER: [ORC] OBR [ORC] [{{NTE}}] [{{TIMING_QTY: TQ1 [{{TQ2}}]}}]
            [{{RESULT: OBX [TCD] [{{SID}}] [{{NTE}}]}}] [{{CTI}}]}}}} [DSC]""",
    "ORM_O01": f"""MSH [{{NTE}}] {ORDER_PATIENT}
        {{ORDER=ORC,OBR,RQD,RXO,ODS,ODT: [ORC]
          [ORDER_DETAIL: <OBR RQD RQ1 RXO ODS ODT> [RQ1] [{{NTE}}] [CTD] [{{DG1}}]
            [{{OBSERVATION: {OBX}}}]] [{{FT1}}] [{{CTI}}] [BLG]}}""",
    "ORR_O02": f"""MSH MSA [{{ERR}}] [{{NTE}}] [RESPONSE: [PATIENT: {PID}]
        {{ORDER=ORC,OBR: [ORC] [<OBR RQD RQ1 RXO ODS ODT>] [{{NTE}}] [{{CTI}}]}}]""",
    "OML_O21": f"""MSH [{{SFT}}] [{{NTE}}] {ORDER_PATIENT}
        {{ORDER=ORC,OBR: [ORC] {TIMING}
          [OBSERVATION_REQUEST: OBR [TCD] [{{NTE}}] [CTD]
          [{{DG1}}] [{{OBSERVATION: {OBX}}}]
          [{{SPECIMEN: SPM [{{SPECIMEN_OBSERVATION: {OBX}}}]
            [{{CONTAINER: SAC [{{CONTAINER_OBSERVATION: {OBX}}}]}}]}}]
          {PRIOR_RESULT}] [{{FT1}}] [{{CTI}}] [BLG]}}""",
    "OML_O33": f"""MSH [{{SFT}}] [{{NTE}}] {ORDER_PATIENT}
        {{SPECIMEN: SPM [{{SPECIMEN_OBSERVATION: {OBX}}}] [{{SAC}}]
          {{ORDER=ORC,OBR: [ORC] {TIMING}
            [OBSERVATION_REQUEST: OBR [TCD] [{{NTE}}] [{{DG1}}]
              [{{OBSERVATION: {OBX}}}] {PRIOR_RESULT}] [{{FT1}}] [{{CTI}}] [BLG]}}}}""",
    "ORL_O22": f"""MSH MSA [{{ERR}}] [{{SFT}}] [{{NTE}}]
        [RESPONSE: [PATIENT=PID,ORC: [PID]
          [{{ORDER: ORC {TIMING} [OBSERVATION_REQUEST: OBR
            [{{SPECIMEN: SPM [{{SAC}}]}}]]}}]]]""",
    "SIU_S12": """MSH SCH [{TQ1}] [{NTE}]
        [{PATIENT: PID [PD1] [PV1] [PV2] [{OBX}] [{DG1}]}]
        {RESOURCES: RGS [{SERVICE: AIS [{NTE}]}] [{GENERAL_RESOURCE: AIG [{NTE}]}]
          [{LOCATION_RESOURCE: AIL [{NTE}]}] [{PERSONNEL_RESOURCE: AIP [{NTE}]}]}""",
    "ADT_A01": f"MSH [{{SFT}}] EVN PID [PD1] [{{ROL}}] [MRG] [{{NK1}}] {VISIT_FACTS}",
    "ADT_A39": "MSH [{SFT}] EVN {PATIENT: PID [PD1] MRG [PV1]}",
    "ADT_A45": "MSH [{SFT}] EVN PID [PD1] {MERGE_INFO: MRG [PV1]}",
    "BAR_P01": f"MSH [{{SFT}}] EVN PID [PD1] [{{ROL}}] {{VISIT: {VISIT_FACTS}}}",
    "DFT_P03": f"""MSH [{{SFT}}] EVN PID [PD1] [{{ROL}}] [PV1] [PV2] [{{ROL}}] [{{DB1}}]
        [{{COMMON_ORDER: ORC [{{TIMING_QUANTITY: TQ1 [{{TQ2}}]}}]
          [ORDER: OBR [{{NTE}}]] [{{OBSERVATION: {OBX}}}]}}]
        {{FINANCIAL: FT1 [{{NTE}}] [{{FINANCIAL_PROCEDURE: PR1 [{{ROL}}]}}]
          [{{FINANCIAL_COMMON_ORDER: ORC [{{FINANCIAL_TIMING_QUANTITY: TQ1 [{{TQ2}}]}}]
            [FINANCIAL_ORDER: OBR [{{NTE}}]]
            [{{FINANCIAL_OBSERVATION: {OBX}}}]}}]}}
        [{{DG1}}] [DRG] [{{GT1}}] {INSURANCE} [ACC]""",
    "MFN_M02": """MSH [{SFT}] MFI {MF_STAFF: MFE STF [{PRA}] [{ORG}] [{AFF}] [{LAN}]
        [{EDU}] [{CER}] [{NTE}]}""",
    "MFN_M04": "MSH [{SFT}] MFI {MF_CDM: MFE [{NTE}] CDM [{PRC}]}",
    "MFN_M05": """MSH [{SFT}] MFI {MF_LOCATION: MFE LOC [{LCH}] [{LRL}]
        [{MF_LOC_DEPT: LDP [{LCH}] [{LCC}]}]}""",
    "MFN_M08": """MSH [{SFT}] MFI {MF_TEST_NUMERIC: MFE OM1 [OM2] [OM3] [OM4]}""",
    "MFN_M15": "MSH [{SFT}] MFI {MF_INV_ITEM: MFE IIM}",
    "VXU_V04": f"""MSH [{{SFT}}] {PID} [PATIENT: PV1 [PV2]] [{{GT1}}] {INSURANCE}
        [{{PERSON_OBSERVATION: OBX [{{NTE}}]}}]
        [{{ORDER=ORC,RXA: [ORC] {TIMING} RXA [RXR] [{{OBSERVATION: {OBX}}}]}}]""",
    "REF_I12": f"""MSH [{{SFT}}] [MSA] [RF1] [AUTHORIZATION_CONTACT: AUT [CTD]]
        {{PROVIDER_CONTACT: PRD [{{CTD}}]}} PID [{{NK1}}] [{{GT1}}] {INSURANCE} [ACC]
        [{{DG1}}] [{{DRG}}] [{{AL1}}] [{{PROCEDURE: PR1 [AUT] [CTD]}}]
        [{{OBSERVATION: OBR [{{NTE}}] [{{RESULTS_NOTES: {OBX}}}]}}]
        [PATIENT_VISIT: PV1 [PV2]] [{{NTE}}]""",
    "MDM_T02": f"""MSH [{{SFT}}] EVN PID [PV1]
        [{{COMMON_ORDER: ORC {TIMING} OBR [{{NTE}}]}}] TXA [{{OBSERVATION: {OBX}}}]""",
}  # fmt: skip

_SCHEDULING = [f"SIU^S{number:02}" for number in (*range(12, 25), 26, 27)]
_EVENTS = {
    "ORU": "ORU_R01", "ORU^R01": "ORU_R01",
    "ORU^R30": "ORU_R30", "ORU^R31": "ORU_R30", "ORU^R32": "ORU_R30",
    "OUL^R22": "OUL_R22",
    "ORM": "ORM_O01", "ORM^O01": "ORM_O01", "ORR": "ORR_O02", "ORR^O02": "ORR_O02",
    "OML^O21": "OML_O21", "OML^O33": "OML_O33", "ORL^O22": "ORL_O22",
    **dict.fromkeys(_SCHEDULING, "SIU_S12"),
    **dict.fromkeys((f"ADT^A{n:02}" for n in (1, 3, 4, 5, 6, 7, 8, 13, 14, 28, 31)),
                    "ADT_A01"),
    **dict.fromkeys((f"ADT^A{n:02}" for n in (39, 40, 41, 42)), "ADT_A39"),
    "ADT^A45": "ADT_A45", "BAR^P01": "BAR_P01", "DFT": "DFT_P03", "DFT^P03": "DFT_P03",
    **{f"MFN^M{n:02}": f"MFN_M{n:02}" for n in (2, 4, 5, 8, 15)},
    "VXU^V04": "VXU_V04",
    **dict.fromkeys(("REF^I12", "REF^I13", "REF^I14", "REF^I15",
                     "RRI^I12", "RRI^I13", "RRI^I14", "RRI^I15"), "REF_I12"),
    "MDM^T02": "MDM_T02", "MDM^T04": "MDM_T02", "MDM^T06": "MDM_T02",
    "MDM^T08": "MDM_T02", "MDM^T10": "MDM_T02",
}  # fmt: skip

_GROUP = re.compile(r"([A-Z][A-Z0-9_]*)(?:=([A-Z0-9,]+))?:")
_TOKEN = re.compile(r"[\[\]{}<>;]|[A-Z][A-Z0-9_]*(?:(?:=[A-Z0-9,]+)?:)?")

GROUP_NAMES = frozenset(
    name for text in STRUCTURES.values() for name, _starters in _GROUP.findall(text)
)


@dataclass(frozen=True, slots=True)
class Item:
    """A place in a group: a choice of segments, or a group."""

    segments: frozenset[str]
    group: "GroupDefinition | None"
    optional: bool
    repeats: bool

    @property
    def starters(self) -> frozenset[str]:
        return self.group.starters if self.group else self.segments

    @property
    def known(self) -> frozenset[str]:
        return self.group.known if self.group else self.segments


@dataclass(frozen=True, slots=True)
class GroupDefinition:
    """A group; ``starters`` may begin it, ``known`` may occur anywhere inside."""

    name: str
    items: tuple[Item, ...]
    starters: frozenset[str]
    known: frozenset[str]


def structure_name(structure: str, message_type: str) -> str:
    """The structure of a message: MSH-9.3 when it is known here, else by its event;
    blank when neither is known."""
    if structure in STRUCTURES:
        return structure
    return _EVENTS.get(message_type, "")


@cache
def definition(name: str) -> GroupDefinition:
    """The parsed structure of this name (a key of :data:`STRUCTURES`)."""
    tokens = _TOKEN.findall(STRUCTURES[name])
    return _group(f"{name}:", _items(tokens))


def _items(tokens: list[str]) -> tuple[Item, ...]:
    items = []
    while tokens and tokens[0] not in "]};":
        items.append(_item(tokens))
    return tuple(items)


def _item(tokens: list[str], optional: bool = False, repeats: bool = False) -> Item:
    token = tokens.pop(0)
    if token in ("[", "{"):
        item = _item(tokens, optional or token == "[", repeats or token == "{")
        tokens.pop(0)
        return item
    if token == "<":
        end = tokens.index(">")
        names, tokens[: end + 1] = frozenset(tokens[:end]), []
        return Item(names, None, optional, repeats)
    if token.endswith(":"):
        group = _group(token, _items(tokens))
        if not (optional or repeats):
            tokens.pop(0)
        return Item(frozenset(), group, optional, repeats)
    return Item(frozenset((token,)), None, optional, repeats)


def _group(token: str, items: tuple[Item, ...]) -> GroupDefinition:
    name, explicit = _GROUP.fullmatch(token).groups()
    starters = set(explicit.split(",")) if explicit else _first_segments(items)
    known = frozenset().union(*(item.known for item in items))
    return GroupDefinition(name, items, frozenset(starters), known)


def _first_segments(items: tuple[Item, ...]) -> set[str]:
    starters: set[str] = set()
    for item in items:
        starters |= item.starters
        if not item.optional:
            break
    return starters
