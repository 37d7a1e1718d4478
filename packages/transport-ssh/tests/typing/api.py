"""Never run, type-checked only: SSHTransport streams; callbacks may be async."""

from transport_core import StreamingTransport, Transport
from transport_ssh import (
    Agent,
    Hop,
    KeyboardInteractive,
    KnownHosts,
    Password,
    PrivateKey,
    SSHOptions,
    SSHTransport,
)

_: type[Transport] = SSHTransport
_streams: type[StreamingTransport] = SSHTransport


async def later() -> str:
    """Answer from a coroutine function."""
    return ""


async def answers(name: str, instructions: str, prompts: object) -> list[str]:
    """Answer each prompt."""
    return [name, instructions]


Hop(
    host="h",
    user="u",
    auth=(PrivateKey("k", passphrase=later, certificate=b""), KeyboardInteractive(answers)),
    known_hosts=KnownHosts(text=""),
)
Hop(host="h", user="u", auth=Password(lambda: ""), known_hosts=KnownHosts(text=""))
Hop(host="h", user="u", auth=Agent("SHA256:x"), known_hosts=KnownHosts(text=""))

transport: SSHTransport = SSHTransport.from_ssh_config("alias", path="config", on_event=print)
options: SSHOptions = SSHOptions.from_ssh_config("alias", user="alice")
several = KnownHosts(path=("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"))
