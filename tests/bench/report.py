"""Keep docs/benchmarks.rst: the figures of one full run, with what they ran on.

report.py RESULTS_FILE
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from pathlib import Path

from _bench import connect, durability

TARGET = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.rst"

MEANING = {
    "http_accept": "HTTP accept ÷ a bare controller with one INSERT, same server, "
    "3 workers, wrk with 4 connections, 1 KB JSON",
    "mllp_accept": "MLLP durable accepts ÷ pgbench single-row inserts of the same "
    "size, 16 connections each",
    "mllp_accept_64": "the same with 64 connections each",
    "gateway_accept": "HTTP accept by the gateway process, durable ÷ a bare Odoo "
    "controller with one INSERT (3 workers), wrk with 32 connections each, 1 KB JSON",
    "queries_accept": "database queries of one accepted message in Odoo's controller, "
    "Odoo's own for the request included",
    "mllp_memory_200": "resident memory of the listener with 200 connections",
    "pipeline": "first byte sent to last order updated: 2,000 ORU^R01 of 12 OBX "
    "over 8 connections, empty backlog at the start",
    "bulkhead": "throughput of a healthy backend (1,000 ORU^R01 to updated orders) "
    "while another hangs (500 outbound messages to a port that never answers, two job "
    "slots) ÷ alone",
    "er7_parse": "ER7 parse with every leaf read ÷ python-hl7's parse, ORU^R01 of "
    "12 OBX",
    "retention_rate": "messages deleted by retention ÷ messages accepted in batches of "
    "50, per second of one process each",
    "list_ms": "the slowest list of a plain operator with a million messages stored, "
    "by the web client's own calls, record rules of three companies active",
    "latency_p95": "accept to done at 20 messages per second",
    "latency_ratio": "p95 of accept to done at half of what the pipeline can do ÷ p95 "
    "of a queue job that does nothing, at half of what the job queue can do",
    "edi_ratio": "accept to done, ORU^R01 of 12 OBX to an order ÷ the same by "
    "edi_core_oca and edi_queue_oca 19.0, two job slots each",
    "bare_ratio": "accept to done in one process ÷ the business write alone, a loop of "
    "search, write and flush",
    "queries_processed": "database statements of one processed message, those of the "
    "handler included",
    "million": "time to accept and process a message with 1,000,000 stored ÷ with "
    "10,000",
}

HEAD = """Benchmarks
==========

The figures of one run of ``make bench``. Most are ratios to something measured on the
same machine, turn about, in the same run, because times alone say little about another
machine. A figure without a bar is a report.

:Date: {date}
:Machine: {machine}, {cores} cores, load generators included
:Database: PostgreSQL {version}, {durability}

"""


def machine() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def table(lines: list[list[str]]) -> str:
    rows = [".. list-table::", "   :header-rows: 1", ""]
    for cells in [["figure", "value", "bar", "verdict", "what it is"], *lines]:
        rows += [
            f"   {'* -' if number == 0 else '  -'} {cell}"
            for number, cell in enumerate(cells)
        ]
    return "\n".join(rows) + "\n"


def main(results: str) -> None:
    lines = []
    for line in Path(results).read_text("utf-8").splitlines():
        name, value, unit, bar, verdict = line.split()
        lines.append([name, f"{value} {unit}", bar, verdict, MEANING.get(name, "")])
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        head = HEAD.format(
            date=datetime.date.today().isoformat(),
            machine=machine(),
            cores=os.cpu_count(),
            version=cursor.fetchone()[0].split()[0],
            durability=durability(cursor),
        )
    TARGET.write_text(head + table(lines), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
