{
    "name": "Health Connector",
    "summary": "Governed integrations: accepted once, applied once, shown to staff",
    "version": "19.0.1.0.0",
    "category": "Healthcare",
    "author": "Odoo Health Connector contributors",
    "license": "LGPL-3",
    "depends": ["health_base", "queue_job", "mail"],
    "external_dependencies": {
        "python": ["cryptography", "jmespath", "jsonschema"],
    },
    "data": [
        "security/ir.model.access.csv",
        "security/record_rules.xml",
        "data/ir_cron.xml",
        "data/queue_job.xml",
        "data/health_playbook.xml",
        "views/health_message_views.xml",
        "views/health_exception_views.xml",
        "views/health_interface_views.xml",
        "views/health_backend_views.xml",
        "views/health_contract_views.xml",
        "views/health_mapping_views.xml",
        "views/health_code_map_views.xml",
        "views/health_binding_views.xml",
        "views/health_secret_views.xml",
        "views/health_playbook_views.xml",
        "views/menus.xml",
    ],
    "assets": {
        # Debian's Odoo package lacks this file, and the whole bundle fails on it
        "web.assets_backend": [
            (
                "remove",
                "mail/static/lib/selfie_segmentation/selfie_segmentation.js",
            ),
        ],
    },
    "post_init_hook": "post_init_hook",
    "application": True,
}
