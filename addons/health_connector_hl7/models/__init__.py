from . import health_codec_out
from . import health_codec_hl7v2
from . import health_transport_mllp
from . import health_interface
from . import health_backend
