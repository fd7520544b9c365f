"""What this addon brings into the gateway process, which loads no models."""

from .lib.peek import peek_hl7v2

#: codecs by name
PEEKS = {"hl7v2": peek_hl7v2}
