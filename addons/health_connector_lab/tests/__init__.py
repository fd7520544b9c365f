from . import test_access
from . import test_demo
from . import test_matching
from . import test_prefetch
from . import test_privacy
from . import test_revert
from . import test_revert_wizard
from . import test_status
