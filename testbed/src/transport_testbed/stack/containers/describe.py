"""What came up, from the files that the bastion wrote and the ports that were published.

Starts and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from transport_testbed.stack import _logins
from transport_testbed.stack._keys import authority_pin, pin
from transport_testbed.stack._spec import Endpoint

#: Names of the programs by the packages that they are in.
PROGRAMS = {"openssh-server": "openssh", "slurmctld": "slurm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the file that lists what there is to log in to."""

    name: str
    server: str
    host: str
    port: int
    user: str
    login_shell: str
    #: Name of the endpoint before it; "-" for none.
    via: str

    @classmethod
    def parse(cls, line: str) -> Row:
        """Read one line: seven words."""
        name, server, host, port, user, login_shell, via = line.split()
        return cls(name=name, server=server, host=host, port=int(port), user=user,
                   login_shell=login_shell, via=via)  # fmt: skip


def endpoints(root: Path, published: Mapping[int, int]) -> tuple[Endpoint, ...]:
    """Return all endpoints; *published* has this machine's port for each of the bastion's."""
    rows = [Row.parse(line) for line in (root / "endpoints").read_text().splitlines()]
    secrets = (root / "secrets").iterdir()
    told = _logins.Secrets(**{each.name: each.read_text().strip() for each in secrets})
    made: dict[str, Endpoint] = {}
    for row in rows:
        plain = _plain(root, row, published, made.get(row.via))
        kind = row.name.removeprefix("auth-")
        made[row.name] = (
            _logins.completed(kind, plain, root / "keys", root / "agent" / "socket", told)
            if kind != row.name
            else plain
        )
    return tuple(made.values())


def _plain(root: Path, row: Row, published: Mapping[int, int], via: Endpoint | None) -> Endpoint:
    keys = root / "keys"
    port = row.port if via else published[row.port]
    return Endpoint(
        name=row.name, host=row.host, port=port, user=row.user, login_shell=row.login_shell,
        known_hosts=pin(keys / f"host-{row.server}", row.host, port),
        authority=authority_pin(keys / "authority", row.host, port),
        identity=str(keys / ("hop" if row.server == "bastion" else "user")),
        home=str(root / "home" / row.user), server=row.server, via=via, wrong=_logins.wrong(keys),
    )  # fmt: skip


def servers(root: Path) -> list[str]:
    """Return the names of the servers, by their configurations."""
    return sorted(path.stem.removeprefix("sshd-") for path in (root / "etc").glob("sshd-*.conf"))


def server_pids(root: Path, processes: Iterator[tuple[int, str]]) -> dict[str, int]:
    """Return the number of each sshd, by "sshd-" and its name."""
    found: dict[str, int] = {}
    names = {str(root / "etc" / f"sshd-{name}.conf"): f"sshd-{name}" for name in servers(root)}
    for pid, words in processes:
        said = words.split()
        # The listener's title has its whole command line; that of a session has none of it. One
        # that has no title yet still has the listener's words, and "-R" behind them.
        name = next((names[word] for word in said if word in names), None)
        if name and "sshd" in said[0] and "-R" not in said:
            found.setdefault(name, pid)
    return found


def versions(root: Path) -> dict[str, str]:
    """Return the versions of what runs: "openssh", "slurm" and the shells."""
    lines = [line.split() for line in (root / "versions").read_text().splitlines()]
    return {PROGRAMS.get(name, name): _upstream(version) for name, version in lines}


def _upstream(version: str) -> str:
    """Strip what Debian adds: an epoch before, a revision behind."""
    upstream = version.rpartition(":")[2]
    return upstream.rpartition("-")[0] or upstream
