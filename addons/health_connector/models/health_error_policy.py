"""What follows from each class of error: a policy, shared by interfaces."""

from odoo import api, fields, models

from ..lib.policy import Policy


class HealthErrorPolicy(models.Model):
    """One line for each class of error. The shipped policy serves every interface that
    names no other; its figures may be changed."""

    _name = "health.error.policy"
    _description = "Error policy"
    _order = "name"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", help="Empty: for the interfaces of every company."
    )
    line_ids = fields.One2many(
        "health.error.policy.line",
        "policy_id",
        copy=True,
        default=lambda self: self._default_lines(),
    )
    interface_ids = fields.One2many("health.interface", "error_policy_id")
    interface_count = fields.Integer(compute="_compute_interface_count")

    @api.depends("interface_ids")
    def _compute_interface_count(self):
        for policy in self:
            policy.interface_count = len(policy.interface_ids)

    @api.model
    def _shipped(self):
        """The policy of interfaces that name none."""
        return (
            self.env.ref(
                "health_connector.error_policy_default", raise_if_not_found=False
            )
            or self.browse()
        )

    @api.model
    def _default_lines(self):
        """A new policy begins as the shipped one."""
        if self.env.context.get("install_mode"):
            return []
        return [
            (0, 0, line.copy_data({"policy_id": False})[0])
            for line in self._shipped().line_ids
        ]

    def _pure(self):
        """The policy as ``lib.policy.Policy``."""
        return Policy({line.error_class: line._pure() for line in self.line_ids})
