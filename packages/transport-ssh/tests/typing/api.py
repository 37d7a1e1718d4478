"""Never run, type-checked only: SSHTransport is a Transport."""

from transport_core import Transport
from transport_ssh import SSHTransport

_: type[Transport] = SSHTransport
