"""Transports: they move bytes and know nothing of meaning."""

from contextlib import contextmanager

from odoo import api, models

from .work import transaction


class HealthTransport(models.AbstractModel):
    """Base of all transports that send. Subclasses set ``_transport`` and implement
    :meth:`_destination` and :meth:`_call`.

    Where a message goes is read when it goes, in a transaction that has ended before
    the call begins: a corrected address is honoured by the next try, and no lock and no
    snapshot waits for a partner.
    """

    _name = "health.transport"
    _description = "Transport"

    @api.model
    def _send(self, backend, interface, outgoing):
        """Make one call. Never raises for the network; its time is bounded by the
        backend's timeouts. To be called outside of any transaction that has changed
        something.

        :param outgoing: ``lib.transport.Outgoing``
        :return: ``lib.transport.Sent``
        """
        return self._call(self._read_destination(backend, interface), outgoing)

    @api.model
    def _probe(self, backend, interface, outgoing):
        """Ask the partner whether a message that may have arrived has.

        :return: ``delivered``, ``not_delivered`` or ``unknown``; None when there is no
            way to ask
        """
        return None

    @api.model
    def _read_destination(self, backend, interface):
        with self._fresh(backend, interface) as (current, flow):
            return current.env[self._name]._destination(current, flow)

    @contextmanager
    def _fresh(self, backend, interface):
        """Both as they are now, in a transaction of their own."""
        with transaction(self.env) as env:
            yield (
                env["health.backend"].browse(backend.id),
                env["health.interface"].browse(interface.id),
            )

    @api.model
    def _destination(self, backend, interface):
        """All that :meth:`_call` needs to know, as plain values.

        :raises HealthError: something is missing that nobody can send without
        """
        raise NotImplementedError

    @api.model
    def _call(self, destination, outgoing):
        """Speak to the partner; no access to the database."""
        raise NotImplementedError

    @api.model
    def _check_interface(self, interface):
        """Refuse an outbound interface that cannot be sent this way.

        :raises ValidationError: with a text that says what to do
        """
