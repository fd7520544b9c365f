"""What follows from one class of error."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..lib import errors
from ..lib.policy import Line, parse_delays

ROLES = [
    ("staff", "Staff of the flow"),
    ("owner", "Interface owner"),
    ("administrator", "Administrator"),
]
_LABELS = [
    (errors.TRANSIENT, "Transient: no answer, or not now"),
    (errors.THROTTLED, "Throttled: told to slow down"),
    (errors.AUTH, "Credentials refused"),
    (errors.REJECTED, "Rejected by a business rule"),
    (errors.CONTRACT, "Does not fit the contract"),
    (errors.MAPPING, "Cannot be matched"),
    (errors.CONFLICT, "Conflicts with what is known"),
    (errors.BUG, "Unexpected fault"),
]


class HealthErrorPolicyLine(models.Model):
    """A class of error: is it tried again, how often, for how long, and who is asked
    to act in the end. Database conflicts are no class: they use up no try."""

    _name = "health.error.policy.line"
    _description = "Error policy line"
    _order = "policy_id, id"
    _rec_name = "error_class"

    policy_id = fields.Many2one(
        "health.error.policy", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    error_class = fields.Selection(_LABELS, string="Class of error", required=True)
    retried = fields.Boolean(string="Tried again")
    base = fields.Float(
        string="First wait", default=5.0, help="Seconds; doubles with each try."
    )
    cap = fields.Float(
        string="Longest wait",
        default=900.0,
        help="Seconds. A time that the partner asks for is honoured beyond it.",
    )
    delays = fields.Char(
        string="Fixed waits",
        help="Seconds, comma separated, in place of the doubling wait; the last one "
        "repeats. Example: 60, 600, 3600.",
    )
    max_tries = fields.Integer(
        string="Tries", default=8, help="The first one included. 0: as time allows."
    )
    max_age_hours = fields.Float(
        string="Hours",
        default=24.0,
        help="From the first failure on. 0: as the number of tries allows.",
    )
    counts_for_breaker = fields.Boolean(
        help="So many in a row open the breaker of the backend."
    )
    opens_breaker = fields.Boolean(
        help="One is enough to stop further calls to the backend."
    )
    goes_to = fields.Selection(
        ROLES,
        required=True,
        default="staff",
        help="Who is asked to act, where the playbook of the cause says nothing else.",
    )

    _class_unique = models.UniqueIndex(
        "(policy_id, error_class)", "The policy has a line for this class of error."
    )
    _figures_sound = models.Constraint(
        "CHECK (base > 0 AND cap >= base AND max_tries >= 0 AND max_age_hours >= 0)",
        "The first wait must be above 0, the longest no shorter; budgets are not "
        "negative.",
    )
    _budget_ends = models.Constraint(
        "CHECK (NOT retried OR max_tries > 0 OR max_age_hours > 0)",
        "Say after how many tries or hours a person is asked.",
    )

    @api.constrains("delays")
    def _check_delays(self):
        for line in self:
            try:
                parse_delays(line.delays)
            except ValueError as exc:
                raise ValidationError(
                    self.env._(
                        "Write fixed waits as seconds above 0, separated by commas, "
                        "for example 60, 600, 3600."
                    )
                ) from exc

    def _pure(self):
        return Line(
            retried=self.retried,
            base=self.base,
            cap=self.cap,
            max_tries=self.max_tries,
            max_age=self.max_age_hours * 3600,
            delays=parse_delays(self.delays),
            counts_for_breaker=self.counts_for_breaker,
            opens_breaker=self.opens_breaker,
            goes_to=self.goes_to,
        )
