"""Wait until a server is usable, or say which one is at fault, with its last output.

Must not know how a server is started.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from transport_testbed.stack._processes import Daemon, ended
from transport_testbed.stack._provider import StackError

#: Seconds that any one server may take.
PATIENCE = 15.0


def until(condition: Callable[[], bool], daemon: Daemon, pid: int, *, awaiting: str) -> None:
    """Return once *condition* holds; StackError if *daemon* ends first or patience does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if ended(pid):
            problem, hint = f"ended while waiting for {awaiting}", "its configuration is at fault"
        elif time.monotonic() > deadline:
            problem, hint = f"no {awaiting} within {PATIENCE:g} s", "the machine may be overloaded"
        else:
            time.sleep(0.003)
            continue
        raise StackError(daemon.name, problem, output=daemon.last_output(), hint=hint)


def listening(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def greets(host: str, port: int) -> bool:
    """Whether an SSH server answers there with its banner."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def until_success(daemon: Daemon, pid: int) -> None:
    """Wait for a child that ends by itself; StackError when it fails."""
    _, status = os.waitpid(pid, 0)
    if status:
        problem = f"ended with status {os.waitstatus_to_exitcode(status)}"
        raise StackError(daemon.name, problem, output=daemon.last_output())
