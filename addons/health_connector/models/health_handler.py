"""The business end of an interface: what a connector addon implements."""

from dataclasses import dataclass, field
from typing import Any

from odoo import api, models

from ..lib.verdict import changes_by_table


@dataclass(slots=True)
class Exchange:
    """One message on its way through a handler.

    :param message_id: id of the ``health.message``
    :param interface: the ``health.interface`` record
    :param accepted_at: naive UTC time at which the message was stored
    :param prefetched: what :meth:`HealthHandler._prefetch` returned for the batch
    :param bindings: bindings to store with the effect, see :meth:`bind`
    """

    message_id: int
    interface: Any
    accepted_at: Any
    prefetched: Any = None
    bindings: list = field(default_factory=list)

    def bind(self, record, external_id, version=""):
        """Remember that ``record`` is known to the partner as ``external_id``.

        Stored in the transaction of the effect. The external id is kept as a keyed
        hash only, unique per backend and model in both directions.
        """
        self.bindings.append((record._name, record.id, external_id, version))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler did.

    :param record: the business record that changed (shown on the message)
    :param ignored: a reason code when nothing was to be done (echo, stale version)
    """

    record: Any = None
    ignored: str = ""


class HealthHandler(models.AbstractModel):
    """Base of all handlers. Subclasses set ``_handler`` and override ``_apply``.

    Transaction rule: the framework calls every method inside a savepoint of the
    transaction that also marks the message done. Messages of a batch may share the
    savepoint: what one of them wrote is in the cache, and in the database after a
    flush, as everywhere in Odoo. A handler never commits, never speaks to a partner,
    and may be called again for the same message after a rollback, so that its effect
    must come from records only.
    """

    _name = "health.handler"
    _description = "Handler"

    @api.model
    def _prefetch(self, interface, documents):
        """Look up for a whole run of messages at once what ``_apply`` will need.
        Called again when some of a batch are applied again.

        :param documents: canonical documents, all valid by the contract
        :return: anything; handed to ``_apply`` as ``exchange.prefetched``
        """
        return None

    @api.model
    def _apply(self, document, exchange):
        """Make the business effect of one document.

        :param document: canonical document, valid by the interface's contract
        :param exchange: :class:`Exchange`
        :return: :class:`Outcome`
        :raises HealthError: typed; class ``mapping`` for an unknown patient or order,
            ``conflict`` for a stale version or a foreign owner
        """
        raise NotImplementedError

    @api.model
    def _build(self, record, interface):
        """The canonical document of a record, for an outbound interface.

        Called when the message is about to be sent, with all rights, within the
        interface's company; may be called again. Writes nothing.
        """
        raise NotImplementedError

    @api.model
    def _probe(self, backend, interface, outgoing):
        """Whether a message that may have arrived has, as far as our own records tell:
        a confirmation that came in, a status. Asked before the transport is.

        :param outgoing: ``lib.transport.Outgoing``; ``uid`` is the message's
        :return: ``delivered``, ``not_delivered`` or ``unknown``; None when this handler
            has no way to know
        """
        return None

    @api.model
    def _check_outbound(self, interface):
        """Refuse an outbound interface that this handler cannot build for.

        :raises ValidationError: with a text that says what to do
        """

    @api.model
    def _revert(self, message):
        """Undo the effect of a done message.

        :raises HealthError: class ``conflict`` when later steps depend on it
        """
        raise NotImplementedError

    @api.model
    def _revert_preview(self, message):
        """What :meth:`_revert` would change, as plain lines for staff. Runs in a
        transaction that is rolled back; here it reverts and counts.

        :raises HealthError: as :meth:`_revert` would
        """
        rehearsal = self.env["health.rehearsal"]
        before = rehearsal._rows_written()
        self._revert(message)
        changes = changes_by_table(before, rehearsal._rows_written())
        names = {model._table: model._description for model in self.env.values()}
        lines = [
            self.env._(
                "%(name)s: %(count)s change(s)", name=names.get(table, table), count=n
            )
            for table, n in sorted(changes.items())
        ]
        return lines or [self.env._("Nothing: the message has no effect to undo.")]

    @api.model
    def _describe(self, document):
        """Business references of a document for staff, such as the order number and
        the clinic's code: a flat dict of short texts without clinical content."""
        return {}
