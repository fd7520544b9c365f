{
    "name": "Health Connector HL7 v2",
    "summary": "HL7 v2 messages over MLLP: listener, sender, codec",
    "version": "19.0.1.0.0",
    "category": "Healthcare",
    "author": "Odoo Health Connector contributors",
    "license": "LGPL-3",
    "depends": ["health_connector"],
    "data": [
        "views/health_interface_views.xml",
        "views/health_backend_views.xml",
    ],
}
