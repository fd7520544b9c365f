{
    "name": "Bench: the bare controller",
    "summary": "What the accepting controller is measured against",
    "version": "19.0.1.0.0",
    "category": "Hidden",
    "author": "Odoo Health Connector contributors",
    "license": "LGPL-3",
    "depends": ["web", "queue_job"],
    "installable": True,
}
