"""A user's own OpenSSH configuration that leads to an endpoint behind a hop, and wrong ones.

Writes files from what endpoints say. Must not know any transport, nor the suite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transport_testbed.stack import Endpoint

ALIAS = "tt-login"

_CONFIG = """\
# The first value counts: what stands below is for others.
Include "{folder}/parts/*.conf"

Host tt-* !tt-gate
    ProxyJump tt-gate
    ConnectTimeout 25
    ServerAliveInterval 7

Match host {host} originalhost tt-login
    UserKnownHostsFile "{folder}/known to nobody" "{folder}/known target"

Host *
    User nobody-here
    Port 1
    HostKeyAlias tt-somebody-else
    IdentityFile {folder}/no-such-key
    UserKnownHostsFile {folder}/none
    GlobalKnownHostsFile none
    ForwardAgent yes
"""
_GATE = """\
Host tt-gate
    HostName {gate_host}
    Port {gate_port}
    User {gate_user}
    IdentityFile {gate_identity}
    HostKeyAlias tt-gate-pinned
    UserKnownHostsFile "{folder}/known gate"
"""
_LOGIN = """\
Host tt-login
    HostName {host}
    Port {port}
    User {user}
    IdentityFile {identity}
    HostKeyAlias tt-pinned
"""

_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "another port": {"port": 1},
    "another user at the hop": {"gate_user": "stranger"},
    "no pins": {"pins": ""},
    "no pins at the hop": {"gate_pins": ""},
}
_UNSUPPORTED: Mapping[str, str] = {
    "another way": "ProxyCommand nc %h %p",
    "a condition that is a program": "Match exec true",
    "no check of host keys": "StrictHostKeyChecking no",
    "names from a resolver": "CanonicalizeHostname yes",
}


def configured(
    folder: Path, endpoint: Endpoint, other: Endpoint
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Write configurations below a folder; return the facts of the right one, and the variants.

    *other* is another account on the same server. Each variant differs in one value.
    """
    right = _values(endpoint)
    path = _write(folder / "right", right)
    facts = {"ssh_config": path, "alias": ALIAS, "home": endpoint.home}
    changes: dict[str, Mapping[str, Any]] = {
        **_CHANGES,
        "another key": {"identity": right["gate_identity"]},
        "another user": {"user": other.user},
    }
    variants: dict[str, dict[str, Any]] = {
        name: {"ssh_config": _write(folder / name.replace(" ", "-"), {**right, **change})}
        for name, change in changes.items()
    }
    variants["another user"]["home"] = other.home
    variants["another spelling"] = {"ssh_config": _write(folder / "odd", right, odd=True)}
    for name, line in _UNSUPPORTED.items():
        path = _write(folder / name.replace(" ", "-"), right, first=line)
        variants[name] = {"ssh_config": path, "names": (" ".join(line.split()[:2]), f"{path}:1")}
    return facts, variants


def _values(endpoint: Endpoint) -> dict[str, Any]:
    gate = endpoint.via
    if gate is None:
        message = f"{endpoint.name} has no hop before it"
        raise ValueError(message)
    return {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "identity": endpoint.identity,
        "pins": _pinned("tt-pinned", endpoint),
        "gate_host": gate.host,
        "gate_port": gate.port,
        "gate_user": gate.user,
        "gate_identity": gate.identity,
        "gate_pins": _pinned("tt-gate-pinned", gate),
    }


def _pinned(alias: str, endpoint: Endpoint) -> str:
    return " ".join([alias, *endpoint.known_hosts.split()[1:]]) + "\n"


def _write(folder: Path, values: Mapping[str, Any], *, first: str = "", odd: bool = False) -> str:
    """Write the files of one configuration; return the path of the first to be read."""
    (folder / "parts").mkdir(parents=True)
    texts = {"config": _CONFIG, "parts/gate.conf": _GATE, "parts/login.conf": _LOGIN}
    files = {name: text.format(folder=folder, **values) for name, text in texts.items()}
    files["config"] = f"{first}\n{files['config']}" if first else files["config"]
    if odd:
        files = {name: _respelled(text) for name, text in files.items()}
    pins = {"known target": values["pins"], "known gate": values["gate_pins"]}
    for name, text in {**files, **pins}.items():
        (folder / name).write_text(text, newline="")
        # OpenSSH reads no configuration that others can write, whatever the umask is here.
        (folder / name).chmod(0o600)
    return str(folder / "config")


def _respelled(text: str) -> str:
    """Write the same as another editor would: capitals, equals signs, quotes, line ends."""
    text = re.sub(r"^( *)(\w+) ", lambda m: f"\t{m[2].upper()} = ", text, flags=re.MULTILINE)
    text = re.sub(r"= (tt-pinned|\d+)$", r'= "\1"  # quoted', text, flags=re.MULTILINE)
    return text.replace("\n", "\r\n")
