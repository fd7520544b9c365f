from . import product_template
from . import res_company
from . import health_lab_order
from . import health_lab_order_line
from . import health_codec_hl7v2
from . import health_handler_lab_result
