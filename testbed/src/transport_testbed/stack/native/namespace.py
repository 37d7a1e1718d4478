"""Put the login host and the jump host where the client cannot reach them, if the kernel lets us.

The part outside of the namespace: plan, start, and read the report of inside.py. Must not know
what the daemons in there do.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transport_testbed.stack._processes import Daemon, spawn
from transport_testbed.stack._provider import StackError
from transport_testbed.stack._ready import until
from transport_testbed.stack.native import inside
from transport_testbed.stack.native.site import Site

#: The jump host's listener, opened outside and used inside.
INHERITED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhabitant:
    """A daemon of the namespace, and where it answers in there."""

    daemon: Daemon
    answers: tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the namespace."""

    pids: Mapping[str, int]
    why_not: str = ""
    python_free: bool = False


def launch(
    site: Site, gate: socket.socket, to: tuple[str, int], inhabitants: Sequence[Inhabitant],
    controller: int | None,
) -> tuple[Daemon, int]:  # fmt: skip
    """Start the namespace; connections to *gate* go to the address *to* in there."""
    relays: list[dict[str, Any]] = [{"listen": INHERITED, "to": to}]
    if controller is not None:
        relays.append({"listen": ["127.0.0.1", controller], "to": str(_bridge(site))})
    daemon = _script(site, "namespace", relays=relays, inhabitants=inhabitants)
    return daemon, spawn(daemon, inherit=gate.fileno())


def bridge(site: Site, controller: int) -> tuple[Daemon, int]:
    """Start the way out of the namespace: a unix socket, which is bound to no network."""
    relays = [{"listen": str(_bridge(site)), "to": ["127.0.0.1", controller]}]
    daemon = _script(site, "relay", relays=relays)
    return daemon, spawn(daemon)


def outcome(site: Site, daemon: Daemon, pid: int, known: Sequence[Inhabitant] = ()) -> Outcome:
    """Wait for the report; StackError when a daemon in there is at fault.

    That the kernel does not allow the namespace is no error, but a fact.
    """
    path = _report(site, daemon.name)
    try:
        until(path.exists, daemon, pid, awaiting="its report")
    except StackError:
        if not daemon.last_output().startswith("unshare:"):
            raise
        return Outcome(pids={}, why_not=daemon.last_output(lines=1))
    facts = json.loads(path.read_text())
    for each in known:
        if each.daemon.name == facts["at_fault"]:
            output = each.daemon.last_output()
            raise StackError(each.daemon.name, "does not answer in its namespace", output=output)
    if facts["why"]:
        return Outcome(pids={}, why_not=facts["why"])
    return Outcome(pids={**facts["pids"], daemon.name: pid}, python_free=True)


def _bridge(site: Site) -> Path:
    return site.root / "controller.sock"


def _report(site: Site, name: str) -> Path:
    return site.path("etc", f"{name}.report.json")


def _script(
    site: Site, name: str, *, relays: Sequence[Mapping[str, Any]],
    inhabitants: Sequence[Inhabitant] = (),
) -> Daemon:  # fmt: skip
    """Describe a run of inside.py: in a namespace if anybody lives there, else where we are."""
    plan = {
        # Entering a user namespace clears the parent-death signal, so the script asks for it.
        "parent": 0 if site.run.keep else os.getpid(),
        "namespace": bool(inhabitants),
        "search": os.get_exec_path(),
        "relays": relays,
        "daemons": [
            {"name": each.daemon.name, "argv": each.daemon.argv, "log": str(each.daemon.log),
             "environment": dict(each.daemon.environment), "answers": each.answers}
            for each in inhabitants
        ],
        "report": str(_report(site, name)),
    }  # fmt: skip
    path = site.path("etc", f"{name}.plan.json")
    path.write_text(json.dumps(plan))
    run = (sys.executable, "-I", "-S", inside.__file__, str(path))
    argv = (*_unshare(), *run) if inhabitants else run
    # HOME and PATH tell where to look for Pythons.
    caller = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    environment = {**caller, "LC_ALL": "C", **_token(site)}
    log = site.path("log", f"{name}.log")
    return Daemon(name=name, argv=argv, environment=environment, log=log)


def _token(site: Site) -> dict[str, str]:
    """The mark alone: our Python must not load what the daemons need."""
    return {key: value for key, value in site.names.items() if value == site.run.token}


def _unshare() -> tuple[str, ...]:
    """Root has the right to; others get it over a user namespace of their own."""
    if os.geteuid() == 0:
        return ("unshare", "-n", "-m", "--")
    return ("unshare", "-U", "--map-current-user", "--keep-caps", "-n", "-m", "--")
