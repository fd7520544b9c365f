"""Laboratory results for the figures: one new order for each message."""

from __future__ import annotations

import uuid

from _bench import odoo_shell


def make_orders(count: int) -> list[str]:
    """Ordered lab orders for demo patients; returns their placer numbers."""
    prefix = f"BENCH-{uuid.uuid4().hex[:8]}"
    script = f"""
product = env["product.product"].search([("lab_test_code", "=", "58410-2")], limit=1)
patients = env["res.partner"].search([("is_patient", "=", True)], limit=60)
orders = env["health.lab.order"].with_context(tracking_disable=True).create([
    {{"placer_number": f"{prefix}-{{number}}", "partner_id": patients[number % 60].id,
      "state": "ordered", "line_ids": [(0, 0, {{"product_id": product.id}})]}}
    for number in range({count})])
env.cr.commit()
for order in orders:
    mrn = order.partner_id.identifier_ids[0].value
    print("ORDER", order.placer_number, mrn)
"""
    found = [
        line.split()[1:] for line in odoo_shell(script).splitlines() if "ORDER " in line
    ]
    return [result(number, mrn) for number, mrn in found]


def result(order: str, mrn: str) -> bytes:
    """A final ORU^R01 with twelve observations, about 1 KB."""
    segments = [
        f"MSH|^~\\&|NORTHLAB|NL|ODOO|HUB|20261101080000||ORU^R01^ORU_R01|{order}|P|2.5.1",
        f"PID|1||{mrn}^^^HEALTHGROUP^MR||BENCH^PATIENT||19700101|F",
        f"ORC|RE|{order}|F{order}",
        f"OBR|1|{order}|F{order}|58410-2^CBC^LN|||20261101073000|||||||||||||||"
        "20261101075500|||F",
    ]
    segments += [
        f"OBX|{number}|NM|{6690 + number}-2^TEST {number}^LN||{number}.5|g/L|1-20|N|||F"
        for number in range(1, 13)
    ]
    return ("\r".join(segments) + "\r").encode()
