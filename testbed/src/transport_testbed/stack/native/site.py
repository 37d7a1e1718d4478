"""What the configuration of every daemon of one run draws on.

Must not know any daemon in particular.
"""

from __future__ import annotations

import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from transport_testbed.stack._processes import Daemon, guarded
from transport_testbed.stack._runs import TOKEN_VARIABLE, Run
from transport_testbed.stack._spec import StackSpec
from transport_testbed.stack.native.prefix import Prefix

#: Below the range that the kernel gives to outgoing connections, which would race with us.
PORTS = range(12000, 32000)

PLAIN_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One run, the programs it uses, and the user that logs in to it."""

    run: Run
    prefix: Prefix
    spec: StackSpec
    #: The uid that sshd and its logins run as, never root.
    uid: int

    @property
    def root(self) -> Path:
        return self.run.root

    def path(self, *parts: str) -> Path:
        """A path in this run's directory, whose parents are made if need be."""
        path = self.root.joinpath(*parts)
        for folder in reversed(path.relative_to(self.root).parents[:-1]):
            if not (self.root / folder).exists():
                (self.root / folder).mkdir()
                (self.root / folder).chmod(0o755)
        return path

    def write(self, path: Path, text: str, mode: int = 0o644) -> Path:
        """Write a file that the logins can read, whatever the caller's umask."""
        path.write_text(text, errors="surrogateescape")
        path.chmod(mode)
        return path

    def give(self, path: Path, mode: int) -> Path:
        """Hand *path* to the user who logs in."""
        path.chmod(mode)
        os.chown(path, self.uid, self.uid if os.geteuid() == 0 else -1)
        return path

    @property
    def names(self) -> dict[str, str]:
        """Environment in which this run's users exist, and which marks a process as its own."""
        libraries = (self.prefix.nss_wrapper, *self.prefix.preload)
        return {
            TOKEN_VARIABLE: self.run.token,
            "LD_PRELOAD": ":".join(libraries),
            "NSS_WRAPPER_PASSWD": str(self.root / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.root / "group"),
        }

    @property
    def clients(self) -> dict[str, str]:
        """Environment in which Slurm's client tools are at hand."""
        slurm = {"SLURM_CONF": str(self.root / "slurm.conf")} if self.spec.slurm else {}
        return {"PATH": f"{self.root / 'bin'}:{PLAIN_PATH}", **slurm}

    def shim(self, folder: str, program: str) -> None:
        """Write a script that runs a client program for whoever calls it, anywhere.

        By the loader, not by LD_LIBRARY_PATH and LD_PRELOAD: what the program starts, a job for
        one, must see the host's libraries only. The user database is for a caller who is in none.
        """
        path = self.path(folder, program)
        names = (f'{key}="{value}"' for key, value in self.names.items() if key.startswith("NSS_"))
        text = (
            f"#!/bin/sh\nexport {' '.join(names)}\n"
            f'exec "{self.prefix.loader}" --library-path "{self.prefix.library_path}" '
            f'--preload "{self.prefix.nss_wrapper}" --argv0 "{path}" '
            f'"{self.prefix.program(program)}" "$@"\n'
        )
        self.write(path, text, 0o755)

    def own(self, program: str) -> str:
        """Copy a program into this run's directory, where Run.carried_by recognises it."""
        copy = self.path("sbin", program)
        if not copy.exists():
            copy.write_bytes(Path(self.prefix.program(program)).read_bytes())
            copy.chmod(0o755)
        return str(copy)

    def daemon(self, name: str, *argv: str, uid: int | None = None) -> Daemon:
        """Describe a daemon that runs with our libraries, as *uid*."""
        return Daemon(
            name=name,
            argv=guarded(argv, die_with_parent=not self.run.keep, uid=uid),
            environment={
                "PATH": f"{PLAIN_PATH}:/usr/sbin:/sbin",
                "LD_LIBRARY_PATH": self.prefix.library_path,
                **self.names,
            },
            log=self.path("log", f"{name}.log"),
        )


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Different ports of *host* that nothing listens on."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found
