from . import test_demo
from . import test_identifier
from . import test_keyring
from . import test_meta
from . import test_people
from . import test_rules
from . import test_screens
from . import test_tour
