"""Never run, type-checked only: LocalTransport is a Transport."""

from transport_core import Transport
from transport_local import LocalTransport

_: type[Transport] = LocalTransport
