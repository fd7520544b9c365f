from . import (
    test_applying,
    test_configuration,
    test_drain,
    test_inbound,
    test_meta,
    test_order,
    test_choice,
    test_rehearsal,
    test_replay,
    test_route,
    test_stat,
    test_transition,
)
