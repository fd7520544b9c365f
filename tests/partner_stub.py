"""The misbehaving partner as a process of its own.

    python tests/partner_stub.py --http PORT --mllp PORT --ledger FILE
        [--faults ok=8,500=1,reset=1 --seed 7] [--delay SECONDS]

Each message draws its fault by weight. The ledger gets a line of JSON for every
message that came in whole, before it is answered: door, key, fault, whether the
partner did its work, and the bytes (base64). Port 0 is chosen; the ports are printed.
Ends on SIGTERM or SIGINT.
"""

import argparse
import importlib.util
import random
import signal
import sys
import threading
from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent / "addons/health_connector/tests"


def _load():
    """The stub lives in the addon, whose tests use it too; it needs no Odoo."""
    spec = importlib.util.spec_from_file_location(
        "health_partner_stub", _HOME / "partner_stub.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stub = _load()
PartnerStub = stub.PartnerStub


class RandomPartner(PartnerStub):
    """Draws a fault for each message from weights, repeatable by its seed."""

    def __init__(self, weights, seed, **options):
        super().__init__(**options)
        self._draw = random.Random(seed)
        self._names, self._weights = list(weights), list(weights.values())

    def next_fault(self):
        with self.changed:
            return self._draw.choices(self._names, self._weights)[0]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--http", type=int, default=0)
    parser.add_argument("--mllp", type=int, default=0)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--faults", default="ok=1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--delay", type=float, default=1.0)
    options = parser.parse_args(arguments)
    weights = {
        name: float(weight)
        for name, weight in (part.split("=") for part in options.faults.split(","))
    }
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: ended.set())
    with (
        open(options.ledger, "a", encoding="ascii") as ledger,
        RandomPartner(
            weights,
            options.seed,
            http=options.http,
            mllp=options.mllp,
            ledger=ledger,
            delay=options.delay,
        ) as partner,
    ):
        print(f"http {partner.http_port} mllp {partner.mllp_port}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
