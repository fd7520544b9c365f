from . import (
    health_backend_breaker,
    health_backend_pause,
    health_interface_stat_recompute,
    health_legal_hold_change,
    health_message_cancel,
    health_message_correct,
    health_message_revert,
    health_message_settle,
    health_replay_cancel,
)
