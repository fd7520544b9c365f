from . import (
    test_applying,
    test_configuration,
    test_drain,
    test_error_policy,
    test_inbound,
    test_meta,
    test_order,
    test_rehearsal,
    test_route,
    test_stat,
    test_transition,
)
