import time

from odoo import api, fields, models


class HealthBenchJob(models.Model):
    """When a job that does nothing was created and when it ran."""

    _name = "health.bench.job"
    _description = "Bench job"
    _log_access = False
    _company_rule_exempt = "exists in benchmarks only"

    created = fields.Datetime()
    ended = fields.Datetime()

    @api.model
    def _enqueue_nothing(self):
        self.with_delay()._nothing(time.time())

    @api.model
    def _nothing(self, created):
        """All that it does is note the time."""
        self.env.cr.execute(
            """INSERT INTO health_bench_job (created, ended)
               VALUES (to_timestamp(%s) AT TIME ZONE 'UTC',
                       clock_timestamp() AT TIME ZONE 'UTC')""",
            [created],
        )
