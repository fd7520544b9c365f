"""ER7 parse ÷ python-hl7: an ORU^R01 with twelve observations.

Ours reads bytes (charset, delimiters, lines) and then every leaf value, unescaped:
python-hl7 builds its whole tree at once, so ours must have every leaf in hand too. It
is given the decoded text. Both run in turns, without garbage collection; the best
round of each counts.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path

import hl7
from _bench import SMOKE, figure, say

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "addons" / "health_connector_hl7"))

from lib.er7 import parse  # noqa: E402

ROUNDS, CALLS = (1, 2) if SMOKE else (30, 40)
SAMPLE = ROOT / "tests" / "samples" / "hl7v2" / "oru_ok.hl7"


def message() -> str:
    """The own sample, its one result replaced by twelve of usual width."""
    *segments, _result, _end = SAMPLE.read_text("ascii").split("\n")
    for number in range(1, 13):
        segments.append(
            f"OBX|{number}|NM|{6690 + number}-2^Analyte {number}^LN^L{number}^Local^99L"
            f"||{number}.5|10*9/L^^UCUM|1.0-20.0|N|||F|||20261122075500||T1^TECH^ANN"
        )
    return "\r".join(segments) + "\r"


def leaves(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        for child in node:
            yield from leaves(child)


def best(*readers: Callable[[], object]) -> list[float]:
    """Seconds of the best round of each reader, measured in turns."""
    times = [[timeit.timeit(each, number=CALLS) for each in readers]
             for _ in range(ROUNDS)]  # fmt: skip
    return [min(column) / CALLS for column in zip(*times, strict=True)]


def main() -> None:
    text = message()
    raw = text.encode()
    mine, other = list(leaves(parse(raw).values())), list(leaves(hl7.parse(text)))
    if mine != other:
        raise SystemExit("the two libraries do not read the same leaves")
    ours, theirs = best(lambda: parse(raw).values(), lambda: hl7.parse(text))
    say(f"  {len(raw)} bytes, {len(mine)} leaves: ours {1 / ours:.0f}/s,"
        f" python-hl7 {1 / theirs:.0f}/s")  # fmt: skip
    figure("er7_parse", theirs / ours, "x", 20)


main()
