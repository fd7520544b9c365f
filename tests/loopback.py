"""The MLLP listener with the core's group commit and a store in memory."""

from health_connector.lib.committer import Committer
from health_connector.lib.memory_store import MemoryStore
from health_connector_hl7.lib import loopback
from health_connector_hl7.lib.loopback import Peer, Unit

__all__ = ["Loopback", "MemoryStore", "Peer", "Unit"]


class Loopback(loopback.Loopback):
    def __init__(self, flows=None, limits=None, store=None, tls=None):
        flows = flows if flows is not None else (loopback.Flow("any"),)
        super().__init__(Committer, store or MemoryStore(), flows, limits, tls)
