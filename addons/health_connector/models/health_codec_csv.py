"""The table codec: delimited text with a header row, sources are column names."""

import csv
import io

from odoo import api, models

from ..lib.errors import CONTRACT, HealthError
from ..lib.peek import peek_csv


class HealthCodecCsv(models.AbstractModel):
    """Tree: ``{"rows": [{column: text}]}``. A map line ``items[]`` with the source
    ``rows`` opens the list; within it sources are column names."""

    _name = "health.codec.csv"
    _inherit = "health.codec"
    _description = "Delimited text"
    _codec = "csv"
    _content_type = "text/csv"

    @api.model
    def _peek(self, interface, raw, headers):
        return peek_csv(interface, raw, headers)

    @api.model
    def _decode(self, raw, charset):
        try:
            text = raw.decode(charset or "utf-8-sig")
            if "\0" in text:
                raise ValueError("NUL")
            dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
            reader = csv.DictReader(io.StringIO(text), dialect=dialect, strict=True)
            return {"rows": list(reader)}
        except (ValueError, LookupError, csv.Error):
            raise HealthError("csv.syntax", CONTRACT, {"bytes": len(raw)}) from None

    @api.model
    def _encode(self, tree):
        rows = tree["rows"]
        buffer = io.StringIO()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(buffer, columns, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue().encode()

    @api.model
    def _compile(self, expression):
        return lambda node: node.get(expression)
