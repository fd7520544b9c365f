"""What this addon brings into the gateway process, which loads no models.

The gateway looks for a module of this name in every installed addon.
"""

from .lib import peek

#: codecs by name
PEEKS = {"json": peek.peek_json, "csv": peek.peek_csv}
