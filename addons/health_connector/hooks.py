"""Installation hooks."""


def post_init_hook(env):
    """Give backends that came as data their runtime row."""
    env["health.backend"].with_context(active_test=False).search([])._ensure_state()
