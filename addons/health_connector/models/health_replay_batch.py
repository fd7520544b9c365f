"""The work of a replay: one batch is one transaction, and may be repeated."""

from datetime import timedelta

from odoo import api, fields, models

from ..lib import replay as rules, states

# Whoever holds the row works on this replay; another job leaves it to that one.
_HOLD = """
SELECT position, targets[position + 1 : position + %(size)s],
       next_batch_at > clock_timestamp() AT TIME ZONE 'UTC'
  FROM health_replay
 WHERE id = %(replay)s AND state = 'running'
   FOR UPDATE SKIP LOCKED
"""

# served by health_message_replay_idx; what waits behind a parked one waits for a person
_OPEN = """
SELECT count(*), min(accepted_at) FROM health_message
 WHERE replay_id = %s AND state IN ('pending', 'processing', 'waiting')
   AND NOT (state = 'waiting' AND next_try_at = %s)
"""


class HealthReplayBatch(models.AbstractModel):
    """Hands messages of a replay over to the drain, batch by batch. No fields.

    Transaction rule: the copies and how far the replay has come are stored by the same
    transaction, which the job commits. A worker killed at any point leaves either both
    or nothing; the job runs again, or the cron enqueues another.
    """

    _name = "health.replay.batch"
    _description = "Batches of replays"

    @api.model
    def _enqueue(self, replay, seconds=0):
        """Enqueue the next batch unless a job for it waits already.

        :return: the waiting ``queue.job`` record, if there was one
        """
        job = self.with_delay(
            identity_key=f"health.replay:{replay.id}",
            description=f"Replay {replay.id}",
            priority=20,
            eta=seconds or None,
        )._run_job(replay.id)
        return job if isinstance(job, models.BaseModel) else None

    @api.model
    def _run_job(self, replay_id):
        """Queue job: one batch, then the next one's job. Carries an id only."""
        replay = self.env["health.replay"].browse(replay_id).exists()
        if replay:
            pause = self._run(replay)
            if pause is not None:
                self._enqueue(replay, pause)

    @api.model
    def _continue(self, replay):
        """Cron: see that a job is there; where no job runner takes it, do its work."""
        job = self._enqueue(replay)
        if job and max(job.date_created, job.eta or job.date_created) < _minutes_ago(1):
            self._run(replay)

    @api.model
    def _run(self, replay):
        """One batch, if it is due and the drain keeps up.

        :return: seconds until the next look, None when there is nothing to do here
        """
        replay.flush_recordset()
        size = rules.batch_size(replay.per_minute)
        self.env.cr.execute(_HOLD, {"replay": replay.id, "size": size})
        row = self.env.cr.fetchone()
        if row is None:
            return None
        position, ids, early = row
        self.env.cr.execute(_OPEN, [replay.id, states.BEHIND])
        waiting, oldest = self.env.cr.fetchone()
        if not ids:
            return self._end(replay, waiting, oldest)
        if waiting >= size:
            return self._look_again(oldest)
        if early:
            return max(1, (replay.next_batch_at - fields.Datetime.now()).seconds)
        return self._hand_over(replay, position, ids)

    @api.model
    def _hand_over(self, replay, position, ids):
        """Store the copies of ``ids`` and note how far the replay has come."""
        copies = self.env["health.replay.copy"]
        found = copies._read(ids)
        copies._store(found, f"replay:{replay.id}", replay.id)
        pause = rules.seconds_between(replay.per_minute)
        replay.sudo().write(
            {
                "position": position + len(ids),
                "skipped": replay.skipped + len(ids) - len(found),
                "next_batch_at": fields.Datetime.now() + timedelta(seconds=pause),
            }
        )
        return max(1, round(pause))

    @api.model
    def _end(self, replay, waiting, oldest):
        """All is handed over: done once nothing of it is on its way."""
        if waiting:
            return self._look_again(oldest)
        replay.sudo().write(
            {"state": rules.DONE, "ended_at": fields.Datetime.now()},
        )
        return None

    @api.model
    def _look_again(self, oldest):
        """Soon, unless the drain stands still: then the cron looks once a minute."""
        return None if oldest < _minutes_ago(2) else 3


def _minutes_ago(minutes):
    return fields.Datetime.now() - timedelta(minutes=minutes)
