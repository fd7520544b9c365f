"""What every model of the suite must have; for the tests of all our addons.

    from odoo.addons.health_base.tests.common_meta import guard_faults

    @tagged("post_install", "-at_install")
    class TestMeta(TransactionCase):
        def test_models_are_guarded(self):
            self.assertEqual(guard_faults(self.env, "health_connector"), [])

A model for which a company rule makes no sense (it holds nothing of one company) says
so on its class: ``_company_rule_exempt = "the reason"``.
"""

PREFIX = "health."


def suite_models(env, module=None):
    """The stored models named ``health.*``, of one addon or of all that are loaded."""
    return [
        model
        for name, model in sorted(env.items())
        if name.startswith(PREFIX)
        and not model._abstract
        and module in (None, model._original_module)
    ]


def guard_faults(env, module=None) -> list[str]:
    """One sentence for each missing guard; an empty list is what tests want.

    Each model needs access rights given to named groups only, and (unless transient
    or exempt) a global record rule on the company that holds for every operation.
    """
    faults = []
    for model in suite_models(env, module):
        faults += _access_faults(env, model._name)
        if not model._transient:
            faults += _company_faults(env, model)
    return faults


def _access_faults(env, name):
    rights = env["ir.model.access"].sudo().search([("model_id.model", "=", name)])
    if not rights:
        return [f"{name}: nobody has access rights"]
    if any(not right.group_id for right in rights):
        return [f"{name}: access rights without a group are given to everyone"]
    return []


def _company_faults(env, model):
    if getattr(model, "_company_rule_exempt", ""):
        return []
    rules = env["ir.rule"].sudo().search([("model_id.model", "=", model._name)])
    if any(_is_company_rule(rule) for rule in rules):
        return []
    return [
        f"{model._name}: no global record rule on the company for all operations, "
        "and no _company_rule_exempt with the reason"
    ]


def _is_company_rule(rule) -> bool:
    domain = rule.domain_force or ""
    return (
        not rule.groups
        and "company_id" in domain
        and "company_ids" in domain
        and rule.perm_read
        and rule.perm_write
        and rule.perm_create
        and rule.perm_unlink
    )
