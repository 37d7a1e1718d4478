"""interCEde's SSH transport: run an argv, put files, get files, over one connection.

Importing this does not import asyncssh; opening a transport does.
"""

from ._auth import Agent, KeyboardInteractive, Password, PrivateKey
from ._options import Hop, KnownHosts, SSHOptions
from ._transport import SSHTransport

__all__ = [
    "Agent",
    "Hop",
    "KeyboardInteractive",
    "KnownHosts",
    "Password",
    "PrivateKey",
    "SSHOptions",
    "SSHTransport",
]
