{
    "name": "Bench: the EDI framework of the OCA",
    "summary": "The same result applied to the same order by edi_core_oca",
    "version": "19.0.1.0.0",
    "category": "Hidden",
    "author": "Odoo Health Connector contributors",
    "license": "LGPL-3",
    "depends": ["edi_queue_oca", "health_connector_lab"],
    "data": ["data/edi.xml"],
    "installable": True,
}
