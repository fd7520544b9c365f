"""One spelling for the two names that go with an identifier: its authority, its type.

Pure functions: what is stored and what is looked up go through the same ones.
"""

from __future__ import annotations

from .blind import normalise

OID_PREFIX = "urn:oid:"


def normalise_system(system: str) -> str:
    """The stored spelling of an assigning authority.

    * a namespace id (HL7 v2 HD.1, ``NORTHLAB``) is upper-cased: people type it in
      either case and mean the same authority;
    * an OID is stored bare: HL7 v2 sends ``2.16.840…`` (HD.2) for what FHIR sends
      as ``urn:oid:2.16.840…``;
    * any other URI keeps its case, which is significant in a path (RFC 3986 §6.2.2.1).
    """
    bare = "".join(system.split())
    if bare.lower().startswith(OID_PREFIX):
        return bare[len(OID_PREFIX) :]
    if ":" in bare:
        return bare
    return normalise(bare)


def normalise_type(identifier_type: str) -> str:
    """The stored spelling of an identifier type (HL7 table 0203: MR, PI, NPI …)."""
    return normalise(identifier_type)
