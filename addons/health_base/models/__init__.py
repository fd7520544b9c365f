from . import health_blind
from . import health_clinic
from . import health_department
from . import health_identifier
from . import health_practitioner
from . import res_partner
from . import res_users
