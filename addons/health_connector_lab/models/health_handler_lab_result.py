"""Laboratory results: from canonical document to the orders they belong to."""

import json
from datetime import timedelta

from odoo import api, models

from odoo.addons.health_connector.lib.errors import (
    CONFLICT,
    CONTRACT,
    MAPPING,
    HealthError,
)
from odoo.addons.health_connector.models.health_handler import Outcome

from ..lib.report import statements
from ..lib.status import REPEATED, advance
from .result_lookup import (
    LINE,
    ORDER,
    authority,
    clinics_by_code,
    external_id,
    is_ours,
    look_up,
)

#: how far a laboratory's clock may run ahead (a wrong time zone stays below)
CLOCK_TOLERANCE = timedelta(days=1)
_REFERENCE_LENGTH = 64


class HealthHandlerLabResult(models.AbstractModel):
    """Applies contract lab.result.

    An order is found by its placer number, else by the filler number of one of its
    tests, both with their authority, never by a name or a test alone; and nothing is
    applied unless the message names the order's patient by an identifier.
    """

    _name = "health.handler.lab.result"
    _inherit = "health.handler"
    _description = "Laboratory results"
    _handler = "lab.result"

    @api.model
    def _prefetch(self, interface, documents):
        wanted = [each for document in documents for each in statements(document)]
        return look_up(self.env, interface, wanted)

    @api.model
    def _apply(self, document, exchange):
        """Apply every statement of the message, or none.

        Statements that say nothing new are skipped; a message of nothing else is
        ignored with the reason of the first.

        :raises HealthError: ``lab.order_unknown``, ``lab.patient_unknown`` (class
            mapping), ``lab.patient_mismatch``, ``lab.order_cancelled``,
            ``lab.order_foreign``, ``lab.filler_conflict``, ``lab.line_ambiguous``
            (class conflict), ``lab.status_missing``, ``lab.time_future`` (class
            contract)
        """
        placed = [(each, self._place(each, exchange)) for each in statements(document)]
        changed, reasons = self.env[ORDER], []
        for statement, order in placed:
            reason = self._update(order, statement, exchange)
            if reason:
                reasons.append(reason)
            else:
                changed |= order
        changed._note_result(exchange.message_id)
        if changed:
            return Outcome(record=changed[0])
        return Outcome(record=placed[0][1], ignored=reasons[0])

    @api.model
    def _place(self, statement, exchange):
        """The order a statement is about, after every check that may refuse it."""
        order = self._find_order(statement, exchange)
        if not order:
            raise HealthError(
                "lab.order_unknown",
                MAPPING,
                subject=_sender_view(statement, exchange.prefetched.clinics),
                group=("order",),
            )
        self._check_patient(order, statement, exchange.prefetched)
        if order.backend_id and order.backend_id != exchange.interface.backend_id:
            raise _refused("lab.order_foreign", CONFLICT, order)
        if order._is_cancelled_by_clinic():
            raise _refused("lab.order_cancelled", CONFLICT, order)
        if statement.status is None:
            raise _refused("lab.status_missing", CONTRACT, order)
        if _time_of(statement, exchange) > exchange.accepted_at + CLOCK_TOLERANCE:
            raise _refused("lab.time_future", CONTRACT, order)
        return order

    @api.model
    def _find_order(self, statement, exchange):
        """By our placer number, else by the filler number; both must agree."""
        bound = self._bound_line(statement, exchange).order_id
        if not is_ours(statement, exchange.interface.company_id):
            return bound
        if bound and bound.placer_number != statement.placer:
            raise _refused(
                "lab.filler_conflict",
                CONFLICT,
                bound,
                {
                    "order": statement.placer[:_REFERENCE_LENGTH],
                    "other": bound.placer_number,
                },
            )
        return exchange.prefetched.orders.get(statement.placer, bound)

    @api.model
    def _bound_line(self, statement, exchange):
        """The first line that got the statement's filler number, if any."""
        known = exchange.prefetched
        line_id = statement.filler and known.lines.get(
            external_id(statement, exchange.interface)
        )
        line = self.env[LINE].browse(line_id or [])
        return line.exists() if line_id in known.fresh else line

    @api.model
    def _check_patient(self, order, statement, known):
        """An identifier of the message must be the order's patient's, and none may be
        somebody else's."""
        patients = {
            known.patients[triple].id
            for triple in statement.identifiers
            if triple in known.patients
        }
        if not patients:
            raise _refused("lab.patient_unknown", MAPPING, order)
        if patients != {order.partner_id.id}:
            raise _refused("lab.patient_mismatch", CONFLICT, order)

    @api.model
    def _update(self, order, statement, exchange):
        """Bring one test of an order up to date.

        :return: the reason why there was nothing to do, or None
        """
        line = self._find_line(order, statement, exchange)
        result = advance(
            line._known_result(), statement.status, _time_of(statement, exchange)
        )
        if isinstance(result, str):
            return result
        if result == line._known_result() and line._came_with(exchange.message_id):
            return REPEATED
        giver = authority(statement, exchange.interface)
        line._apply_result(result, statement, giver, exchange.message_id)
        self._bind_filler(line, statement, exchange)
        return None

    @api.model
    def _find_line(self, order, statement, exchange):
        """The test of an order: by filler number and code, else the ordered one of
        this code that has no number yet, else a new one that the laboratory added."""
        named = order.line_ids.filtered(lambda line: line.code in statement.codes)
        if not statement.filler:
            if len(named) > 1:
                raise _refused("lab.line_ambiguous", CONFLICT, order)
            return named or self._add_line(order, statement, exchange.prefetched)
        giver = authority(statement, exchange.interface)
        same = named.filtered(
            lambda line: (
                line.filler_number == statement.filler
                and line.filler_authority == giver
            )
        )
        free = named.filtered(lambda line: not line.filler_number)
        return (same or free)[:1] or self._add_line(
            order, statement, exchange.prefetched
        )

    @api.model
    def _add_line(self, order, statement, known):
        products = [
            known.products[code] for code in statement.codes if code in known.products
        ]
        return self.env[LINE].create(
            {
                "order_id": order.id,
                "code": statement.codes[0],
                "product_id": products[0].id if products else False,
                "added_by_lab": True,
                "sequence": 100,
            }
        )

    @api.model
    def _bind_filler(self, line, statement, exchange):
        """Bind a filler number to the first test that got it. Laboratories give one
        number to several tests of an order; the others are found through its order."""
        if not statement.filler:
            return
        known = exchange.prefetched
        key = external_id(statement, exchange.interface)
        if known.lines.setdefault(key, line.id) != line.id:
            return
        known.fresh.add(line.id)
        exchange.bind(line, key, str(line.result_version))

    # -- what else the framework asks ---------------------------------------------

    @api.model
    def _describe(self, document):
        for statement in statements(document):
            return _sender_view(statement, clinics_by_code(self.env, self.env.company))
        return {}

    @api.model
    def _revert(self, message):
        """Put back what every order of the message was before it, one step.

        :raises HealthError: class conflict: ``lab.revert_superseded``: a later result
            came, or the former state is not known any more;
            ``lab.revert_order_cancelled``: the clinic has cancelled the order since
        """
        lines = self._lines_of(message)
        orders = lines.order_id
        for order in orders:
            if order._is_cancelled_by_clinic():
                raise _refused("lab.revert_order_cancelled", CONFLICT, order)
        stands = all(order.result_message_id == message for order in orders)
        complete = orders and len(orders) == self._count_orders(message)
        if not (stands and complete and lines._revert_result()):
            raise HealthError("lab.revert_superseded", CONFLICT)
        for order in orders:
            latest = order.line_ids.sorted("result_at")[-1:].result_message_id
            order._note_result(latest.id)

    @api.model
    def _lines_of(self, message):
        return self.env[LINE].search([("result_message_id", "=", message.id)])

    @api.model
    def _revert_preview(self, message):
        """Each test with its status before and after."""
        lines = self._lines_of(message)
        labels = dict(lines._fields["result_status"].selection)
        names = {line: f"{line.order_id.placer_number}, {line.code}" for line in lines}
        before = {line: labels[line.result_status] for line in lines}
        self._revert(message)
        left = lines.exists()
        return [
            self.env._(
                "%(test)s: from %(before)s back to %(after)s",
                test=names[line],
                before=before[line],
                after=labels[line.result_status],
            )
            if line in left
            else self.env._("%s: goes, the laboratory had added it", names[line])
            for line in lines
        ]

    @api.model
    def _count_orders(self, message):
        """How many orders the message named.

        :raises HealthError: ``revert.content_gone``: retention has taken its document
        """
        opened = self.env["health.payload"]._open_raw([message.id], "canonical")
        if message.id not in opened:
            raise HealthError("revert.content_gone", CONFLICT)
        document = json.loads(opened[message.id][0])
        return len({each.placer or each.filler for each in statements(document)})


def _time_of(statement, exchange):
    return statement.at or exchange.accepted_at.replace(microsecond=0)


def _refused(code, error_class, order, more=None):
    """An error about a known order, in terms of staff; ``more`` for its subject."""
    subject = {
        "order": order.placer_number,
        "clinic": order.clinic_id.name,
        "clinic_id": order.clinic_id.id,
        **(more or {}),
    }
    return HealthError(code, error_class, subject=subject, group=("order",))


def _sender_view(statement, clinics):
    """Order and clinic as the message names them. The clinic only if it is one of
    ours: anything else in those fields could be content."""
    subject = {"order": (statement.placer or statement.filler)[:_REFERENCE_LENGTH]}
    for site in statement.sites:
        clinic = clinics.get(site.upper())
        if clinic:
            return {**subject, "clinic": clinic.name, "clinic_id": clinic.id}
    return subject
