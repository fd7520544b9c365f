from . import (
    health_interface_stat_recompute,
    health_message_cancel,
    health_message_settle,
    health_replay_cancel,
)
