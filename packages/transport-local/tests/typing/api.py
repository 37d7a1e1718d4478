"""Never run, type-checked only: LocalTransport is a Transport that streams."""

from transport_core import StreamingTransport, Transport
from transport_local import LocalTransport

_: type[Transport] = LocalTransport
_streams: type[StreamingTransport] = LocalTransport
