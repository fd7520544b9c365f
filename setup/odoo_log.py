"""Judge the log of an Odoo test run: odoo_log.py LOG EXIT_STATUS.

Prints what went wrong and one line with the verdict. Odoo itself ends with 0 when
a browser test was skipped or a constraint could not be added: here both fail.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

START = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ \d+ (?P<level>[A-Z]+) \S+ (?P<rest>.*)")
RESULT = re.compile(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests")
SKIPPED = re.compile(r"^odoo\.\S+: skipped .+ : ")
SHOWN = 40  # lines of one entry: the end of a traceback says it all


def entries(text: str) -> Iterator[tuple[str, str]]:
    """The log's entries as (level, text); a traceback belongs to its entry."""
    level, lines = "", []
    for line in text.splitlines():
        start = START.match(line)
        if start:
            yield level, "\n".join(lines)
            level, lines = start["level"], [start["rest"]]
        else:
            lines.append(line)
    yield level, "\n".join(lines)


def problem(level: str, text: str) -> bool:
    return level in ("ERROR", "CRITICAL") or bool(SKIPPED.match(text))


def shorten(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= SHOWN:
        return text
    return "\n".join([lines[0], "  …", *lines[1 - SHOWN :]])


def judge(log: str, status: int) -> tuple[str, bool]:
    """One line for people, and whether the run may count as passed."""
    found = [text for level, text in entries(log) if problem(level, text)]
    counts = RESULT.findall(log)
    failed = sum(int(a) + int(b) for a, b, _all in counts)
    total = sum(int(total) for _a, _b, total in counts)
    skipped = sum(bool(SKIPPED.match(text)) for text in found)
    schema = sum(text.startswith("odoo.schema:") for text in found)
    good = not (status or failed or skipped or schema)
    line = f"{total - failed} passed, {failed} failed, {skipped} skipped"
    if schema:
        line += f", {schema} odoo.schema errors"
    if status and not failed:
        line += f"; Odoo ended with {status}"
    if not total:
        line += " (no test matched)"
    return line, good


def main(path: str, status: str) -> int:
    log = Path(path).read_text(encoding="utf-8", errors="replace")
    verdict, good = judge(log, int(status))
    if not good:
        for level, text in entries(log):
            if problem(level, text):
                print(f"{level}: {shorten(text)}\n")
        print(f"log: {path}")
    print(f"{'ok' if good else 'FAILED'}: {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
