"""Never run, type-checked only: SSHTransport is a Transport."""

from transport_core import Transport
from transport_ssh import KnownHosts, SSHOptions, SSHTransport

_: type[Transport] = SSHTransport
transport: SSHTransport = SSHTransport.from_ssh_config("alias", path="config", on_event=print)
options: SSHOptions = SSHOptions.from_ssh_config("alias", user="alice")
several = KnownHosts(path=("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"))
