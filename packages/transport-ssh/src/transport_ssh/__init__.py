"""interCEde's SSH transport: run an argv, put files, get files, over one connection.

Importing this does not import asyncssh; opening a transport does.
"""

from ._options import Hop, KnownHosts, PrivateKey, SSHOptions
from ._transport import SSHTransport

__all__ = ["Hop", "KnownHosts", "PrivateKey", "SSHOptions", "SSHTransport"]
