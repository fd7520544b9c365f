"""What a batch of results needs to know, looked up with a few queries."""

from dataclasses import dataclass, field
from typing import Any

from odoo.addons.health_base.lib.authority import normalise_system

from ..lib.report import Statement
from .health_lab_order_line import RESULT_FIELDS

ORDER = "health.lab.order"
LINE = "health.lab.order.line"


@dataclass(slots=True)
class Known:
    """Found records.

    :param orders: order number → order
    :param lines: external id (see :func:`external_id`) → line id
    :param patients: identifier triple → patient
    :param clinics: code in capitals → clinic
    :param products: test code → product
    :param fresh: ids of lines bound within the batch; a rollback may undo them
    """

    orders: dict[str, Any]
    lines: dict[str, int]
    patients: dict[tuple, Any]
    clinics: dict[str, Any]
    products: dict[str, Any]
    fresh: set[int] = field(default_factory=set)


def look_up(env, interface, wanted: list[Statement]) -> Known:
    """Everything for a batch of statements; a constant number of queries."""
    company = interface.company_id
    lines = _bound_lines(env, interface, wanted)
    identifiers = {triple for each in wanted for triple in each.identifiers}
    return Known(
        orders=_orders(env, company, wanted, lines.values()),
        lines=lines,
        patients=env["health.identifier"]._lookup(company, identifiers),
        clinics=clinics_by_code(env, company),
        products=_products(env, company, wanted),
    )


def authority(statement: Statement, interface) -> str:
    """Who gave the filler number; a laboratory that does not say is its backend."""
    return normalise_system(statement.filler_authority or interface.backend_id.code)


def external_id(statement: Statement, interface) -> str:
    """The filler number as bindings know it."""
    return f"{statement.filler}^{authority(statement, interface)}"


def is_ours(statement: Statement, company) -> bool:
    """The statement names an order number that our company gave."""
    ours, stated = company.lab_placer_authority, statement.placer_authority
    if not statement.placer:
        return False
    if not ours or not stated:
        return True
    return normalise_system(ours) == normalise_system(stated)


def _bound_lines(env, interface, wanted):
    """Lines by the filler numbers of this laboratory; deleted ones are left out."""
    keys = {external_id(each, interface) for each in wanted if each.filler}
    found = env["health.binding"]._find(interface.backend_id, LINE, keys)
    ids = {key: line_id for key, (line_id, _version) in found.items()}
    existing = set(env[LINE].browse(ids.values()).exists().ids)
    return {key: line_id for key, line_id in ids.items() if line_id in existing}


def _orders(env, company, wanted, line_ids):
    """Orders by number; those of bound lines are read along with them."""
    bound = env[LINE].browse(line_ids)
    bound.fetch(["order_id"])
    found = env[ORDER].search_fetch(
        [
            ("company_id", "=", company.id),
            "|",
            ("placer_number", "in", list({each.placer for each in wanted})),
            ("id", "in", bound.order_id.ids),
        ],
        ["placer_number", "partner_id", "clinic_id", "backend_id", "state"],
    )
    found.line_ids.fetch(["code", "added_by_lab", *RESULT_FIELDS])
    return {order.placer_number: order for order in found}


def clinics_by_code(env, company):
    """All of the company: they are few, and their codes come in any case."""
    domain = [("company_id", "=", company.id)]
    clinics = env["health.clinic"].search_fetch(domain, ["code", "name"])
    return {clinic.code.upper(): clinic for clinic in clinics}


def _products(env, company, wanted):
    """A product of the company's own goes before a shared one."""
    codes = {code for each in wanted for code in each.codes}
    products = env["product.product"].search_fetch(
        [
            ("lab_test_code", "in", list(codes)),
            ("company_id", "in", [False, company.id]),
        ],
        ["lab_test_code", "company_id"],
        order="id desc",
    )
    shared_first = products.sorted(lambda product: bool(product.company_id))
    return {product.lab_test_code: product for product in shared_first}
