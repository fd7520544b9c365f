"""A field for hot tables. Plain Python, no model."""

from odoo import fields
from odoo.tools import SQL


class ImpliedMany2one(fields.Many2one):
    """A link without a foreign key of its own, which saves checks on the hot table.

    Company and backend: those of the row's interface, which has a foreign key and
    cannot be deleted before the message. Other messages: they may leave by retention
    before this one; a key would cost a search of the table for each that leaves. The
    message of a payload or an attempt: who writes one holds the message, retention
    deletes all of it together, and a key would cost a check and a row lock each."""

    def update_db_foreign_key(self, model, column):
        """There is none, and one of an earlier version goes."""
        model.env.cr.execute(
            SQL(
                "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s",
                SQL.identifier(model._table),
                SQL.identifier(f"{model._table}_{self.name}_fkey"),
            )
        )
