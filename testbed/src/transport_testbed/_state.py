"""What ``up`` leaves behind for ``status`` and ``down``: the stack's description, a client's files.

Starts and stops nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transport_testbed.stack import Endpoint, Stack, StackError
from transport_testbed.stack._runs import TOKEN_VARIABLE, state_directory


def folder() -> Path:
    """Directory of all that is left; StackError where there is no home for it."""
    with _told():
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(base).expanduser() / "transport-testbed"


def prepare() -> None:
    """Make the directory, before anything is started; StackError where none can be made."""
    with _told():
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)


def save(stack: Stack) -> None:
    """Describe a stack, and how OpenSSH's client reaches it."""
    with _told():
        known_hosts = folder() / "known_hosts"
        known_hosts.write_text("".join(each.known_hosts for each in stack.endpoints))
        (folder() / "config").write_text(ssh_config(stack, known_hosts))
        new = folder() / "stack.json.new"
        new.write_text(stack.to_json())
        # Renamed into place: half of it would be a stack that nobody takes down.
        new.rename(folder() / "stack.json")


def load() -> Stack | None:
    """Return the stack that was left; StackError if this version cannot read what it is."""
    if (text := _text()) is None:
        return None
    try:
        return Stack.from_json(text)
    except ValueError as error:
        problem = f"{folder() / 'stack.json'} is of another version, or damaged"
        raise StackError("stack.json", problem, hint="down ends what it describes") from error


def remains() -> Stack | None:
    """Return the stack that was left as far as ending it takes; StackError if even that is lost."""
    if (text := _text()) is None:
        return None
    try:
        return Stack.from_json(text)
    except ValueError:
        pass
    try:
        return Stack.remains(text)
    except ValueError as error:
        raise StackError(
            "stack.json", f"{folder() / 'stack.json'} describes no stack: it is damaged",
            hint=f"remove {folder()}. If its stack is still up, its directory is in "
            f"{state_directory()}, and its processes have the name of that as {TOKEN_VARIABLE} in "
            "their environment, its containers as a label",
        ) from error  # fmt: skip


def remove() -> None:
    """Forget the stack that was left."""
    with _told():
        shutil.rmtree(folder())


def _text() -> str | None:
    with _told():
        try:
            return (folder() / "stack.json").read_text(errors="replace")
        except FileNotFoundError:
            return None


@contextmanager
def _told() -> Iterator[None]:
    """Tell where nothing can be kept as a StackError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        hint = "set XDG_STATE_HOME to a directory in which something can be left"
        raise StackError("up", str(error), hint=hint) from error


def ssh_config(stack: Stack, known_hosts: Path) -> str:
    """Return a configuration of OpenSSH's client with a host for each endpoint."""
    return "\n".join(_block(each, known_hosts) for each in stack.endpoints)


def _block(endpoint: Endpoint, known_hosts: Path) -> str:
    lines = [
        f"Host {endpoint.name}",
        f"  HostName {endpoint.host}",
        f"  Port {endpoint.port}",
        f"  User {endpoint.user}",
        f'  IdentityFile "{endpoint.identity or "none"}"',
        f'  IdentityAgent "{endpoint.agent or "none"}"',
        "  IdentitiesOnly yes",
        f'  UserKnownHostsFile "{known_hosts}"',
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
    ]
    lines += [f'  CertificateFile "{endpoint.certificate}"'] if endpoint.certificate else []
    lines += [f"  ProxyJump {endpoint.via.name}"] if endpoint.via else []
    return "\n".join(lines) + "\n"
