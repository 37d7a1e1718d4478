"""Never run, type-checked only: SSHTransport is a Transport that streams."""

from transport_core import StreamingTransport, Transport
from transport_ssh import SSHTransport

_: type[Transport] = SSHTransport
_streams: type[StreamingTransport] = SSHTransport
