"""Reading JSON as RFC 8259 has it, and not a bit more."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from .errors import CONTRACT, HealthError

#: how NUL and halves of surrogate pairs are written; whole pairs are, too
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def parse(raw: bytes, charset: str = "") -> Any:
    """The tree of a JSON body.

    Python's reader also takes ``NaN``, numbers beyond any float and halves of
    surrogate pairs. No database column and no partner could be given those later,
    nor the letter NUL, so they are refused here.

    :param charset: blank or utf-8 for UTF-8, with or without a byte order mark
    :raises HealthError: ``json.syntax``, class contract; says nothing of the body
    """
    try:
        is_utf8 = charset.lower() in ("", "utf-8", "utf8")
        text = raw.decode("utf-8-sig" if is_utf8 else charset)
        tree = json.loads(text, parse_float=_finite, parse_constant=_finite)
        if _SUSPECT.search(text):
            _check_letters(tree)
        return tree
    except (ValueError, LookupError, RecursionError):
        # the cause quotes the body: it is left out
        raise HealthError("json.syntax", CONTRACT, {"bytes": len(raw)}) from None


def _check_letters(tree: Any) -> None:
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            nodes += [*node.keys(), *node.values()]
        elif isinstance(node, list):
            nodes += node
        elif isinstance(node, str) and b"\0" in node.encode():
            raise ValueError("NUL")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a JSON number")
    return number
