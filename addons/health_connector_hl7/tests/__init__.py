from . import (
    test_codec,
    test_interface,
    test_listener,
    test_meta,
    test_transport,
)
