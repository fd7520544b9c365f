"""How large the tables of the traffic are."""

from odoo import fields, models
from odoo.tools import SQL

#: table -> SQL of the time of its oldest row; walks an index, counts nothing
_OLDEST = {
    "health_message": "(SELECT accepted_at FROM health_message ORDER BY id LIMIT 1)",
    "health_payload": """(SELECT m.accepted_at FROM health_message m
        WHERE m.id = (SELECT min(message_id) FROM health_payload))""",
    "health_attempt": "(SELECT started_at FROM health_attempt ORDER BY id LIMIT 1)",
    "health_exception": "(SELECT min(first_at) FROM health_exception)",
    "health_binding": "(SELECT updated_at FROM health_binding ORDER BY id LIMIT 1)",
    "health_interface_stat": "(SELECT min(hour) FROM health_interface_stat)",
    "health_legal_hold": "(SELECT at FROM health_legal_hold ORDER BY id LIMIT 1)",
    "health_retention_later": """(SELECT m.accepted_at FROM health_message m
        WHERE m.id = (SELECT min(message_id) FROM health_retention_later))""",
}


class HealthTableSize(models.Model):
    """Read from the database's own bookkeeping whenever it is looked at. The number
    of rows is the database's estimate: counting a million takes too long."""

    _name = "health.table.size"
    _description = "Table size"
    _auto = False
    _order = "total_mb desc"
    _rec_name = "name"
    _company_rule_exempt = "sizes of tables that all companies share; no content"

    name = fields.Char(string="Table", readonly=True)
    row_count = fields.Float(string="Rows (about)", readonly=True, digits=(20, 0))
    heap_mb = fields.Float(string="Rows (MB)", readonly=True, digits=(20, 1))
    index_mb = fields.Float(string="Indexes (MB)", readonly=True, digits=(20, 1))
    toast_mb = fields.Float(
        string="Long values (MB)",
        readonly=True,
        digits=(20, 1),
        help="Sealed content of more than about 2 KB stands here.",
    )
    total_mb = fields.Float(string="Total (MB)", readonly=True, digits=(20, 1))
    oldest_at = fields.Datetime(string="Oldest", readonly=True)

    @property
    def _table_query(self):
        oldest = SQL().join(
            SQL("WHEN %s THEN " + query + " ", table)
            for table, query in _OLDEST.items()
        )
        return SQL(
            """SELECT c.oid::bigint::int AS id, c.relname AS name,
                      GREATEST(c.reltuples, 0) AS row_count,
                      pg_relation_size(c.oid) / 1048576.0 AS heap_mb,
                      pg_indexes_size(c.oid) / 1048576.0 AS index_mb,
                      CASE WHEN c.reltoastrelid = 0 THEN 0
                           ELSE pg_total_relation_size(c.reltoastrelid) / 1048576.0
                      END AS toast_mb,
                      pg_total_relation_size(c.oid) / 1048576.0 AS total_mb,
                      CASE c.relname %sEND AS oldest_at
                 FROM pg_class c
                WHERE c.relnamespace = current_schema::regnamespace
                  AND c.relkind = 'r' AND c.relname IN %s""",
            oldest,
            tuple(_OLDEST),
        )
