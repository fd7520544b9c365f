"""How plug-ins are found: abstract models that carry a name of their own."""

from odoo import api, models

from ..lib.errors import BUG, HealthError


class HealthPlugin(models.AbstractModel):
    """Looks plug-ins up by name.

    A plug-in is an abstract model with a class attribute: ``_codec = "json"``,
    ``_transport = "mllp"`` or ``_handler = "lab.result"``. Installing the addon that
    defines it is all the registration there is.
    """

    _name = "health.plugin"
    _description = "Connector plug-ins"

    @api.model
    def _names(self, kind):
        """Names of all plug-ins of a kind (``codec``, ``transport``, ``handler``),
        each with its model's description, for a selection field."""
        found = self._models(kind)
        return [
            (name, self.env[model]._description)
            for name, model in sorted(found.items())
        ]

    @api.model
    def _get(self, kind, name):
        """The plug-in's model.

        :raises HealthError: ``plugin.missing``: its addon is not installed
        """
        model = self._models(kind).get(name)
        if model is None:
            raise HealthError("plugin.missing", BUG, {"kind": kind, "name": name})
        return self.env[model]

    @api.model
    def _models(self, kind):
        """{plug-in name: model name}, kept on the registry, which is rebuilt whenever
        an addon comes or goes."""
        registry = self.env.registry
        cache = registry.__dict__.setdefault("_health_plugins", {})
        if kind not in cache or cache[kind][0] != len(registry.models):
            attribute = f"_{kind}"
            found = {
                getattr(cls, attribute): model
                for model, cls in registry.models.items()
                if isinstance(getattr(cls, attribute, None), str)
            }
            cache[kind] = (len(registry.models), found)
        return cache[kind][1]
