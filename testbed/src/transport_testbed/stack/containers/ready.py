"""Wait until each host says that it is usable, or say which one is at fault, with its last words.

Must not know how hosts are started.
"""

from __future__ import annotations

import time
from typing import NoReturn

from transport_testbed.stack._provider import StackError
from transport_testbed.stack._runs import Run
from transport_testbed.stack._spec import StackSpec
from transport_testbed.stack.containers import engine
from transport_testbed.stack.containers.compose import end_of

#: Seconds in which every host has to be usable.
PATIENCE = 60.0

#: Each waits for some before it: the first that is not usable is at fault.
_HOSTS = ("bastion", "accounting", "controller", "c1", "c2", "login", "workstation")
_OPTIONAL = ("accounting", "workstation")


def await_ready(run: Run, spec: StackSpec) -> None:
    """Return when each host has said that it is usable."""
    hosts = [host for host in _HOSTS if host not in _OPTIONAL or getattr(spec, host)]
    deadline = time.monotonic() + PATIENCE
    looked = time.monotonic()
    while waited := [host for host in hosts if not (run.root / "ready" / host).exists()]:
        if time.monotonic() - looked > 1:
            _check_running(run)
            looked = time.monotonic()
        if time.monotonic() > deadline:
            _fail(run, waited[0], f"is not usable after {PATIENCE:g} s")
        time.sleep(0.01)


def _check_running(run: Run) -> None:
    for container in engine.containers(run.token):
        if container.status != "running":
            _fail(run, engine.service(container), f"has {container.status}")


def _fail(run: Run, host: str, problem: str) -> NoReturn:
    """Raise with the last words of a host: of its container, or if it hangs of its servers."""
    containers = (each for each in engine.containers(run.token) if engine.service(each) == host)
    said = "".join(each.logs(tail=15).decode(errors="replace") for each in containers)
    logs = {log.stem: log for log in sorted((run.root / "log").glob(f"*-{host}.log"))}
    words = [f"{name}: {end_of(log.read_text(errors='replace'), 5)}" for name, log in logs.items()]
    raise StackError(host, problem, output=end_of(said) or "\n".join(words))
