"""The closing line of a test run: summary.py FOLDER FAILED_STEPS.

Adds up the pytest reports (*.xml) and the other counts (*.counts, three numbers:
passed, failed, skipped) of the folder. A step that failed without a failed test,
such as a server that did not start, counts as one failure; so does a run of no test.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree


def from_pytest(path: Path) -> tuple[int, int, int]:
    suites = ElementTree.parse(path).getroot().iter("testsuite")
    total = failed = skipped = 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return total - failed - skipped, failed, skipped


def from_counts(path: Path) -> tuple[int, int, int]:
    passed, failed, skipped = (int(number) for number in path.read_text().split())
    return passed, failed, skipped


def main(folder: str, failed_steps: str) -> int:
    rows = [(0, 0, 0)]
    rows += [from_pytest(path) for path in Path(folder).glob("*.xml")]
    rows += [from_counts(path) for path in Path(folder).glob("*.counts")]
    passed, failed, skipped = (sum(column) for column in zip(*rows, strict=True))
    failed = max(failed, int(failed_steps))
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
