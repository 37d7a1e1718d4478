"""interCEde's transport to this machine: programs of one's own, files copied in place."""

from ._transport import LocalTransport

__all__ = ["LocalTransport"]
