"""Imported inside ``odoo shell`` (see ``_own.measure``): one process accepts and
drains, or does the business write alone. ``env`` is Odoo's.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime

from _results import result

DRAIN_SECONDS = 600


class Worker:
    """One process with everything that a worker of ours does."""

    def __init__(self, env) -> None:
        from odoo.addons.health_connector.lib.accept import Channel

        self.env = env
        self.interface = env["health.interface"].search(
            [("handler", "=", "lab.result"), ("state", "=", "live")], limit=1
        )
        self.backend = self.interface.backend_id
        company = self.interface.company_id
        self.channel = Channel(self.interface.id, self.backend.id, company.id)

    def orders(self, count: int):
        """New orders, one test each; nothing of them in the cache."""
        prefix = f"BENCH-{uuid.uuid4().hex[:8]}"
        find = self.env["product.product"].search
        product = find([("lab_test_code", "=", "58410-2")], limit=1)
        patients = self.env["res.partner"].search([("is_patient", "=", True)], limit=60)
        quiet = self.env["health.lab.order"].with_context(tracking_disable=True)
        orders = quiet.create(
            [
                {
                    "placer_number": f"{prefix}-{number}",
                    "partner_id": patients[number % len(patients)].id,
                    "state": "ordered",
                    "line_ids": [(0, 0, {"product_id": product.id})],
                }
                for number in range(count)
            ]
        )
        found = [
            (order.placer_number, order.partner_id.identifier_ids[0].value)
            for order in orders
        ]
        self.env.cr.commit()
        self.env.invalidate_all()
        return found

    def accept(self, orders, batch: int = 50) -> None:
        """A result for each order, accepted as the listener does: group commits."""
        from odoo.addons.health_connector.lib.accept import Incoming, accept

        codec = self.env["health.plugin"]._get("codec", self.interface.codec)
        ring = self.env["health.keyring"]._ring()
        raws = [result(*order) for order in orders]
        for start in range(0, len(raws), batch):
            units = [
                Incoming(self.channel, raw, **codec._peek(self.interface, raw, {}))
                for raw in raws[start : start + batch]
            ]
            accept(self.env.cr, ring, units)
            self.env.cr.commit()

    def drain(self) -> None:
        """The real loop, until nothing is left."""
        self.env["health.drain"]._drain(
            self.backend, budget=DRAIN_SECONDS, promise=False
        )

    def check(self, orders) -> None:
        self.env.cr.rollback()
        self.env.invalidate_all()
        numbers = [number for number, _patient in orders]
        final = self.env["health.lab.order"].search_count(
            [("placer_number", "in", numbers), ("state", "=", "final")]
        )
        if final != len(numbers):
            raise RuntimeError(f"{final} of {len(numbers)} orders are final")

    def accept_to_done(self, count: int) -> float:
        """Seconds in which so many results were accepted and applied."""
        orders = self.orders(count)
        started = time.perf_counter()
        self.accept(orders)
        self.drain()
        seconds = time.perf_counter() - started
        self.check(orders)
        return seconds

    def bare(self, count: int) -> float:
        """Seconds of the business write alone: find the order, write, flush."""
        orders = self.orders(count)
        model = self.env["health.lab.order"].with_context(tracking_disable=True)
        company = self.interface.company_id
        started = time.perf_counter()
        for number, _patient in orders:
            order = model.search(
                [("company_id", "=", company.id), ("placer_number", "=", number)]
            )
            apply_bare(order, number)
            self.env.flush_all()
        self.env.cr.commit()
        seconds = time.perf_counter() - started
        self.check(orders)
        return seconds


def apply_bare(order, number: str) -> None:
    """What a result changes, without any of the questions whether it should."""
    at = datetime(2026, 11, 1, 7, 55)
    order.line_ids.write(
        {
            "filler_number": f"F{number}",
            "filler_authority": "NORTHLAB",
            "result_status": "final",
            "result_at": at,
            "result_flag": "normal",
            "result_version": 1,
            "result_observations": 12,
        }
    )
    order.write({"state": "final", "result_at": at})


def bare_ratio(env, count: int, rounds: int) -> None:
    """Print the seconds of both, turn about."""
    worker = Worker(env)
    worker.accept_to_done(min(count, 200))  # warm
    for number in range(rounds):
        turns = [worker.accept_to_done, worker.bare]
        taken = {turn: turn(count) for turn in (turns if number % 2 else turns[::-1])}
        print("MEASURED", *(taken[turn] for turn in turns))


def queries(env, count: int) -> None:
    """Print how many statements the processing of a message takes, all told."""
    from odoo import sql_db

    worker = Worker(env)
    orders = worker.orders(count)
    worker.accept(orders)
    before = sql_db.sql_counter
    worker.drain()
    print("MEASURED", (sql_db.sql_counter - before) / count)
    worker.check(orders)


def cost(env, count: int, rounds: int) -> None:
    """Print the seconds of accepting and processing, a line a round."""
    worker = Worker(env)
    worker.accept_to_done(min(count, 200))  # warm
    for _round in range(rounds):
        print("MEASURED", worker.accept_to_done(count))
