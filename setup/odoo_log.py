"""Judge the log of an Odoo test run: odoo_log.py LOG EXIT_STATUS [COUNTS].

Prints what went wrong and one line with the verdict. Odoo itself ends with 0 when
a browser test was skipped or a constraint could not be added: here both fail.
COUNTS is a file that gets three numbers: passed, failed, skipped.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Verdict:
    passed: int
    failed: int
    skipped: int
    schema_errors: int
    status: int  # Odoo's exit status

    @property
    def good(self) -> bool:
        return not (self.status or self.failed or self.skipped or self.schema_errors)

    def __str__(self) -> str:
        line = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        if self.schema_errors:
            line += f", {self.schema_errors} odoo.schema errors"
        if self.status and not self.failed:
            line += f"; Odoo ended with {self.status}"
        if not self.passed + self.failed:
            line += " (no test matched)"
        return line


def judge(log: str, status: int) -> Verdict:
    found = [text for level, text in entries(log) if problem(level, text)]
    counts = [[int(number) for number in row] for row in RESULT.findall(log)]
    failed = sum(failures + errors for failures, errors, _total in counts)
    skipped = sum(bool(SKIPPED.match(text)) for text in found)
    return Verdict(
        passed=sum(row[2] for row in counts) - failed - skipped,
        failed=failed,
        skipped=skipped,
        schema_errors=sum(text.startswith("odoo.schema:") for text in found),
        status=status,
    )


def main(path: str, status: str, counts: str = "") -> int:
    log = Path(path).read_text(encoding="utf-8", errors="replace")
    verdict = judge(log, int(status))
    if not verdict.good:
        for level, text in entries(log):
            if problem(level, text):
                print(f"{level}: {shorten(text)}\n")
        print(f"log: {path}")
    if counts:
        numbers = f"{verdict.passed} {verdict.failed} {verdict.skipped}\n"
        Path(counts).write_text(numbers, encoding="utf-8")
    print(f"{'ok' if verdict.good else 'FAILED'}: {verdict}")
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
