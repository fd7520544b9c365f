from . import common_meta
