"""Which of our records is which of the partner's."""

from odoo import api, fields, models
from odoo.fields import NO_ACCESS

from ..lib.errors import CONFLICT, HealthError
from .implied import ImpliedMany2one

#: bindings of the messages at work, by backend, in the cursor's cache
_REMEMBERED = "health.binding.remembered"


class HealthBinding(models.Model):
    """An Odoo record and its external id on one backend, unique both ways.

    The external id is kept as a keyed hash: it can be looked up, not read. The clear
    value stays where it belongs (an identifier, an order) and in sealed payloads.
    """

    _name = "health.binding"
    _description = "Binding"
    _order = "id desc"
    _log_access = False
    _rec_name = "res_model"

    company_id = fields.Many2one(related="backend_id.company_id")
    backend_id = fields.Many2one("health.backend", required=True, ondelete="cascade")
    res_model = fields.Char(string="Model", required=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", required=True, aggregator=None
    )
    external_key = fields.Char(required=True, groups=NO_ACCESS)
    version = fields.Char(help="Last version or time the partner gave.")
    last_message_id = ImpliedMany2one("health.message")
    updated_at = fields.Datetime()

    _external = models.UniqueIndex("(backend_id, res_model, external_key)")
    _record = models.UniqueIndex("(backend_id, res_model, res_id)")

    @api.model
    def _key(self, backend, res_model, external_id):
        ring = self.env["health.keyring"]._ring()
        return ring.blind(f"binding:{backend.id}:{res_model}", external_id)

    @api.model
    def _find(self, backend, res_model, external_ids):
        """Look up many external ids with one query.

        :return: {external id: (record id, version)}; unknown ones are left out
        """
        self._store_remembered()
        keys = {
            self._key(backend, res_model, external_id): external_id
            for external_id in external_ids
            if external_id
        }
        if not keys:
            return {}
        self.env.cr.execute(
            """SELECT external_key, res_id, version FROM health_binding
                WHERE backend_id = %s AND res_model = %s AND external_key = ANY(%s)""",
            [backend.id, res_model, list(keys)],
        )
        return {
            keys[key]: (res_id, version)
            for key, res_id, version in self.env.cr.fetchall()
        }

    # -- remembered until the run is over ----------------------------------------

    @api.model
    def _remember(self, backend, exchange):
        """Keep the bindings of a message until :meth:`_store_remembered`: a run of
        messages stores its bindings with one statement."""
        if exchange.bindings:
            rows = self.env.cr.cache.setdefault(_REMEMBERED, {})
            rows.setdefault(backend, []).extend(
                (*binding, exchange.message_id) for binding in exchange.bindings
            )

    @api.model
    def _store_remembered(self):
        """Store what was remembered; errors as of :meth:`_store`."""
        for backend, rows in self.env.cr.cache.pop(_REMEMBERED, {}).items():
            self._store(backend, rows)

    @api.model
    def _forget(self):
        """The messages were undone, and with them what they remembered."""
        self.env.cr.cache.pop(_REMEMBERED, None)

    @api.model
    def _store(self, backend, rows):
        """Store bindings; the newest version is kept.

        :param rows: list of (model, record id, external id, version, message id)
        :raises HealthError: ``binding.taken``: the external id belongs to another
            record, or the record to another external id
        """
        keyed = {}
        for model, res_id, external_id, version, message in rows:
            pair = model, self._key(backend, model, external_id)
            if keyed.get(pair, (res_id,))[0] != res_id:
                raise _taken(model)
            keyed[pair] = (res_id, version or None, message)
        if not keyed:
            return
        now = fields.Datetime.now()
        stored = self.env.cr.execute_values(
            """INSERT INTO health_binding (backend_id, res_model, external_key,
                      res_id, version, last_message_id, updated_at)
               VALUES %s
               ON CONFLICT DO NOTHING
               RETURNING res_model, external_key""",
            [
                (backend.id, *pair, *values, now)
                for pair, values in sorted(keyed.items())
            ],
            fetch=True,
            page_size=len(keyed),
        )
        known = set(keyed) - {tuple(row) for row in stored}
        if known:
            self._refresh(backend, {pair: keyed[pair] for pair in known}, now)

    @api.model
    def _refresh(self, backend, keyed, now):
        """Note the newest version on bindings that exist.

        :param keyed: {(model, key): (record id, version, message id)}
        """
        updated = self.env.cr.execute_values(
            """UPDATE health_binding b
                  SET version = v.version, last_message_id = v.message_id,
                      updated_at = v.updated_at::timestamp
                 FROM (VALUES %s) AS v (backend_id, res_model, external_key,
                      res_id, version, message_id, updated_at)
                WHERE b.backend_id = v.backend_id AND b.res_model = v.res_model
                  AND b.external_key = v.external_key AND b.res_id = v.res_id
            RETURNING b.res_model, b.external_key""",
            [
                (backend.id, *pair, *values, now)
                for pair, values in sorted(keyed.items())
            ],
            fetch=True,
            page_size=len(keyed),
        )
        taken = set(keyed) - {tuple(row) for row in updated}
        if taken:
            raise _taken(min(taken)[0])


def _taken(model):
    return HealthError("binding.taken", CONFLICT, {"model": model})
