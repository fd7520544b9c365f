"""A field for hot tables. Plain Python, no model."""

from odoo import fields


class ImpliedMany2one(fields.Many2one):
    """A link without a foreign key of its own, which saves checks on the hot table.

    Company and backend: those of the row's interface, which has a foreign key and
    cannot be deleted before the message. Other messages: they may leave by retention
    before this one; a key would cost a search of the table for each that leaves."""

    def update_db_foreign_key(self, model, column):
        """There is none."""
