"""HL7 v2 in plain Python: reading, writing and querying ER7. No Odoo here."""
