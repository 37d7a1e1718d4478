"""Run by itself in a new network and mount namespace: the login host behind the jump host.

Takes a plan (JSON file), hides every Python, starts the plan's daemons, relays connections, and
reports. A script for ``python -I -S``: it must import nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from typing import Any

#: Linux's numbers: <bits/ioctls.h>, <net/if.h>, <sys/mount.h>, <sys/prctl.h>.
SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP_RUNNING = 0x8914, 0x8916, 0x41
MS_BIND, PR_SET_PDEATHSIG = 0x1000, 1

#: The resolver takes a machine with nothing but 127.* for one without IPv4 and then refuses even
#: "127.0.0.1"; so the loopback device gets one more address, from a range kept for documentation.
ADDRESS = "192.0.2.66"

#: Seconds that a daemon may take to answer.
PATIENCE = 10.0

INTERPRETERS = ("python*", "pypy*")
BINARIES = ("/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin", "/opt/*/bin", "/snap/bin",
            "~/.pyenv/versions/*/bin", "~/.pyenv/shims", "~/.local/bin",
            "~/.local/share/uv/python/*/bin")  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise the OSError of a C call that failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def die_with(parent: int) -> None:
    """End when the parent does, which may have happened already."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        sys.exit("the runner is gone")


def bring_up_loopback() -> None:
    """A new network namespace has a loopback device, but it is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP_RUNNING))
        address = struct.pack("=H2x4s8x", socket.AF_INET, socket.inet_aton(ADDRESS))
        fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s", b"lo:1", address))


def interpreters(search: list[str]) -> list[str]:
    """Real paths of every Python that a login could find; *search* adds to the usual places."""
    own = [os.path.dirname(os.path.realpath(sys.executable)), os.path.dirname(sys.executable)]
    folders = [os.path.expanduser(each) for each in (*BINARIES, *search, *own)]
    patterns = [os.path.join(each, name) for each in folders for name in INTERPRETERS]
    found = {os.path.realpath(path) for pattern in patterns for path in glob.glob(pattern)}
    return sorted(path for path in found if os.path.isfile(path) and os.access(path, os.X_OK))


def hide(paths: list[str]) -> None:
    """Put /dev/null, which cannot be executed, in the place of each path, in this namespace."""
    for path in paths:
        check(libc.mount(b"/dev/null", os.fsencode(path), None, MS_BIND, None), path)


def connect(address: str | list[Any]) -> socket.socket:
    """Connect to a unix socket (path) or a TCP port ([host, port])."""
    if isinstance(address, str):
        target = socket.socket(socket.AF_UNIX)
        target.connect(address)
        return target
    target = socket.create_connection((address[0], address[1]))
    target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return target


def listener(source: int | str | list[Any]) -> socket.socket:
    """Listen on an inherited descriptor, a unix socket (path) or a TCP port ([host, port])."""
    if isinstance(source, int):
        return socket.socket(fileno=source)
    if isinstance(source, str):
        server = socket.socket(socket.AF_UNIX)
        server.bind(source)
        os.chmod(source, 0o777)
        server.listen(1024)
        return server
    return socket.create_server((source[0], source[1]), backlog=1024)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Move bytes one way until the end, then pass the end on."""
    try:
        while data := source.recv(1 << 16):
            if source.family != socket.AF_UNIX:
                # A wire does not delay acknowledgements; Linux resets this by itself.
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # Broken on one side: break the other, so that neither waits for ever.
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def join(client: socket.socket, address: str | list[Any]) -> None:
    """Relay one connection until both directions have ended."""
    with client:
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            target = connect(address)
        except OSError:
            return
        with target:
            back = threading.Thread(target=pump, args=(target, client), daemon=True)
            back.start()
            pump(client, target)
            back.join()


def relay(server: socket.socket, address: str | list[Any]) -> None:
    """Relay every connection to *server* to *address*, for ever."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            time.sleep(0.05)  # out of descriptors, or a client that left
            continue
        threading.Thread(target=join, args=(client, address), daemon=True).start()


def start(daemon: dict[str, Any]) -> int:
    """Start a daemon with its log; a child of the main thread, which lives as long as we do."""
    log = (os.POSIX_SPAWN_OPEN, 1, daemon["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    actions = [null, log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    argv, environment = daemon["argv"], daemon["environment"]
    return os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setsid=True)


def await_answer(name: str, pid: int, address: list[Any]) -> None:
    """Return when the daemon accepts a connection; end when it does not."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with connect(address) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if os.waitpid(pid, os.WNOHANG)[0]:
            break
        time.sleep(0.003)
    raise RuntimeError(name)


def report(plan: dict[str, Any], facts: dict[str, Any]) -> None:
    """Publish facts in one step."""
    with open(plan["report"] + ".new", "w", encoding="utf-8") as file:
        json.dump(facts, file)
    os.rename(plan["report"] + ".new", plan["report"])


def main() -> None:
    """Carry out the plan, then serve until told to end."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    if plan["parent"]:
        die_with(plan["parent"])
    facts: dict[str, Any] = {"pids": {}, "why": "", "at_fault": ""}
    try:
        if plan["namespace"]:
            bring_up_loopback()
            hide(interpreters(plan["search"]))
    except OSError as error:
        report(plan, {**facts, "why": str(error)})
        return
    servers = [(listener(each["listen"]), each["to"]) for each in plan["relays"]]
    facts["pids"] = {each["name"]: start(each) for each in plan["daemons"]}
    try:
        for each in plan["daemons"]:
            await_answer(each["name"], facts["pids"][each["name"]], each["answers"])
    except RuntimeError as error:
        report(plan, {**facts, "at_fault": str(error)})
        return
    report(plan, facts)
    for server, address in servers:
        threading.Thread(target=relay, args=(server, address), daemon=True).start()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            signal.pause()


if __name__ == "__main__":
    main()
