"""Which of our records is which of the partner's."""

from odoo import api, fields, models
from odoo.fields import NO_ACCESS

from ..lib.errors import CONFLICT, HealthError
from .implied import ImpliedMany2one


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

    @api.model
    def _store(self, backend, rows):
        """Remember bindings; the newest version is kept.

        :param rows: list of (model, record id, external id, version, message id)
        :raises HealthError: ``binding.taken``: the external id belongs to another
            record, or the record to another external id
        """
        keyed = {
            (model, self._key(backend, model, external_id)): (res_id, version, message)
            for model, res_id, external_id, version, message in rows
        }
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
                (backend.id, model, key, res_id, version or None, message, now)
                for (model, key), (res_id, version, message) in keyed.items()
            ],
            fetch=True,
        )
        for pair in set(keyed) - {tuple(row) for row in stored}:
            self._refresh(backend, pair, *keyed[pair], now)

    @api.model
    def _refresh(self, backend, pair, res_id, version, message_id, now):
        """Note the newest version on a binding that exists."""
        self.env.cr.execute(
            """UPDATE health_binding
                  SET version = %s, last_message_id = %s, updated_at = %s
                WHERE backend_id = %s AND res_model = %s AND external_key = %s
                  AND res_id = %s""",
            [version or None, message_id, now, backend.id, *pair, res_id],
        )
        if not self.env.cr.rowcount:
            raise HealthError("binding.taken", CONFLICT, {"model": pair[0]})
