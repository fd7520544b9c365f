from . import health_message_cancel
