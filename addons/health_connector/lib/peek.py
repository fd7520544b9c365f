"""What the core's codecs read of a body before it is stored.

Plain functions, because the gateway has no registry. An addon whose codec the gateway
is to serve names its own in ``gateway.PEEKS``; the codec's ``_peek`` calls the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import jmespath

from . import json_body


def peek_json(
    settings: Mapping[str, Any], raw: bytes, headers: Mapping[str, str]
) -> dict[str, str]:
    """Sources are JMESPath. The body's own key wins over ``Idempotency-Key``.

    :raises HealthError: ``json.syntax``
    """
    reference = headers.get("idempotency-key", "")
    charset = settings["charset"] or "utf-8"
    tree = json_body.parse(raw, charset)
    return {
        "external_ref": reference,
        "dedupe_key": _key(tree, settings["dedupe_source"]) or reference,
        "order_key": _key(tree, settings["order_key_source"]),
        "urgent": _key(tree, settings["urgent_source"]),
        "charset": charset,
    }


def reader_json(settings: Mapping[str, Any], raw: bytes) -> Callable[[str], str]:
    """Reads single fields of a body that :func:`peek_json` let pass."""
    tree = json_body.parse(raw, settings["charset"] or "utf-8")
    return lambda source: _key(tree, source)


def _key(tree: Any, source: str | None) -> str:
    """A key as text; empty when there is no source or it finds nothing."""
    found = jmespath.compile(source).search(tree) if source else None
    if found is None or found == "":
        return ""
    if isinstance(found, str):
        return found
    return json.dumps(found, sort_keys=True)


def peek_csv(
    settings: Mapping[str, Any], raw: bytes, headers: Mapping[str, str]
) -> dict[str, str]:
    """A table has no key of its own: ``Idempotency-Key``, else the bytes."""
    reference = headers.get("idempotency-key", "")
    return {
        "external_ref": reference,
        "dedupe_key": reference,
        "charset": settings["charset"] or "",
    }
