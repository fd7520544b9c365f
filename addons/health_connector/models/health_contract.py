"""Versioned JSON Schemas of canonical documents."""

import json

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib.errors import HealthError
from ..lib.schema import Contract, check_schema


class HealthContract(models.Model):
    """What a canonical document of one kind looks like, in one version."""

    _name = "health.contract"
    _description = "Contract"
    _order = "name, version desc"
    _rec_name = "reference"

    name = fields.Char(required=True, help="For example lab.result.")
    version = fields.Char(required=True, default="1.0")
    reference = fields.Char(compute="_compute_reference", store=True)
    company_id = fields.Many2one(
        "res.company", help="Empty: the contract may be used by all companies."
    )
    schema = fields.Text(required=True, help="JSON Schema, draft 2020-12.")
    valid_from = fields.Date()
    valid_to = fields.Date()
    description = fields.Text()

    _version_unique = models.Constraint(
        "UNIQUE NULLS NOT DISTINCT (name, version, company_id)",
        "This version of the contract exists already.",
    )

    @api.depends("name", "version")
    def _compute_reference(self):
        for contract in self:
            contract.reference = f"{contract.name}/{contract.version}"

    @api.constrains("schema")
    def _check_schema(self):
        for contract in self:
            try:
                check_schema(json.loads(contract.schema))
            except ValueError as exc:
                raise ValidationError(
                    self.env._("The schema is not JSON: %s", exc)
                ) from exc
            except HealthError as exc:
                raise ValidationError(
                    self.env._(
                        "The schema breaks JSON Schema 2020-12 at %(path)s (%(rule)s).",
                        path=exc.params["path"],
                        rule=exc.params["rule"],
                    )
                ) from exc

    def _compiled(self):
        """The compiled contract, kept per process and text of the schema."""
        self.ensure_one()
        cache = self.env.registry.__dict__.setdefault("_health_contracts", {})
        if cache.get(self.id, (None,))[0] != self.schema:
            cache[self.id] = (self.schema, Contract(json.loads(self.schema)))
        return cache[self.id][1]
