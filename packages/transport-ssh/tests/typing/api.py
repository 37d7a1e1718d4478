"""Never run, type-checked only: SSHTransport is a Transport; callbacks may be async."""

from transport_core import Transport
from transport_ssh import (
    Agent,
    Hop,
    KeyboardInteractive,
    KnownHosts,
    Password,
    PrivateKey,
    SSHTransport,
)

_: type[Transport] = SSHTransport


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
