"""How long an interface keeps what it exchanged."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

#: what retention deletes on its own, with the field that says after how many days
STAGES = {
    "raw": "raw_days",
    "canonical": "canonical_days",
    "sent": "sent_days",
    "answer": "answer_days",
    "attempt": "attempt_days",
    "envelope": "envelope_days",
}


def _days(label, default, text):
    return fields.Integer(string=label, default=default, required=True, help=text)


class HealthInterface(models.Model):
    """Days are counted from when a message was closed: done, ignored, cancelled or
    reverted. A message that is open is never deleted, however old."""

    _inherit = "health.interface"

    raw_days = _days("As received (days)", 90, "Content as the partner sent it.")
    canonical_days = _days(
        "Canonical (days)", 90, "The mapped document; reverting a message needs it."
    )
    sent_days = _days("As sent (days)", 90, "Content as it was sent to the partner.")
    answer_days = _days("Answers (days)", 90, "What the partner answered.")
    attempt_days = _days("Attempts (days)", 365, "The record of each try.")
    envelope_days = _days(
        "Messages (days)",
        730,
        "The message itself, without content. With it leaves the key by which a "
        "repeated message is recognised: keep it longer than a partner may repeat.",
    )
    stuck_days = _days(
        "Report open ones (days)",
        30,
        "Messages that are open for longer are reported as an exception; they are "
        "never deleted.",
    )
    legal_hold = fields.Boolean(
        readonly=True,
        copy=False,
        help="Nothing of this interface is deleted until the hold is lifted.",
    )

    _days_positive = models.Constraint(
        "CHECK (LEAST(raw_days, canonical_days, sent_days, answer_days, attempt_days, "
        "envelope_days, stuck_days) > 0)",
        "Keep everything for one day at least.",
    )

    @api.constrains(*STAGES.values())
    def _check_order_of_leaving(self):
        """A message outlives all that hangs on it."""
        for interface in self:
            longest = max(interface[name] for name in STAGES.values())
            if interface.envelope_days < longest:
                raise ValidationError(
                    self.env._(
                        "Interface %(code)s: messages must be kept for at least "
                        "%(days)s days, as long as their content and attempts.",
                        code=interface.code,
                        days=longest,
                    )
                )

    def write(self, vals):
        """A hold is set and lifted with a reason only, by its wizard."""
        self.env["health.legal.hold"]._refuse_plain_write(vals)
        return super().write(vals)
