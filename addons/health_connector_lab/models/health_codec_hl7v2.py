"""Converters of this connector for mappings of HL7 v2 messages."""

from odoo import api, models

from ..lib import tables

#: characters of a date without a time of day
_DAY = 8


class HealthCodecHl7v2(models.AbstractModel):
    _inherit = "health.codec.hl7v2"

    @api.model
    def _converters(self):
        known = super()._converters()
        return {
            **known,
            "lab.report_status": _one(tables.report_status),
            "lab.observation_status": _one(tables.observation_status),
            "lab.flag": _flag,
            "lab.moment": _moment(known["datetime"]),
        }


def _one(read):
    return lambda value, context: read(value)


def _flag(values, context):
    """The gravest of the repetitions; an HL7 null among them says nothing."""
    return tables.flag(value for value in values if value)


def _moment(read):
    """A time that puts reports in order. A day alone cannot: the reports of that day
    would all be older than one with a time, so it counts as not given."""
    return lambda value, context: (
        read(value, context) if len(value.strip()) > _DAY else None
    )
