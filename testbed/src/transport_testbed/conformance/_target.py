"""The place a transport is tested on: its facts, how to look at it from outside, how to break it.

Must not know any transport, nor how the place came to be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from transport_core import MINIMUM, Capability


class HarnessError(Exception):
    """The testbed could not do its part; says nothing about the transport under test."""


class NotOfferedError(Exception):
    """There is no such place here; the text says why."""


class Probe(Protocol):
    """Looks at the target from outside: synchronous, and never by the transport under test."""

    def read(self, path: bytes) -> bytes:
        """Return the content of a file."""
        ...

    def write(self, path: bytes, data: bytes, mode: int = 0o644) -> None:
        """Make a file that belongs to the login."""
        ...

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Return what stands at a path, links not followed; None if nothing does."""
        ...

    def listdir(self, path: bytes) -> list[bytes]:
        """Return the names in a directory."""
        ...

    def readlink(self, path: bytes) -> bytes:
        """Return what a symbolic link holds."""
        ...

    def make_dir(self, path: bytes, mode: int = 0o755) -> None:
        """Make a directory that belongs to the login."""
        ...

    def make_pipe(self, path: bytes) -> None:
        """Make a named pipe."""
        ...

    def make_link(self, target: bytes, path: bytes) -> None:
        """Make a symbolic link at ``path`` that holds ``target``."""
        ...

    def processes(self, marker: str) -> list[int]:
        """Return live processes whose environment or argv holds the marker; not the suite's own."""
        ...

    def command_lines(self) -> list[bytes]:
        """Return the argv of every process that can be seen, the suite's own excluded."""
        ...

    def logins(self) -> int | None:
        """Return how many logins the server has logged; None where they cannot be counted."""
        ...

    def refusals(self) -> int | None:
        """Return how many attempts to log in the server has refused; None as for ``logins``."""
        ...

    def attempts(self) -> int | None:
        """Return a number that grows when somebody tries to log in, let in or not; or None.

        Of who came before this target was made nothing is counted: it may be told late.
        """
        ...

    def attempts_at_hop(self) -> int | None:
        """Return the same of the hop before it; None where there is none."""
        ...

    def offers_at_hop(self, key: str) -> int | None:
        """Return how often the hop was offered a public key, by its fingerprint; or None."""
        ...


class Faults(Protocol):
    """Breaks the target."""

    def cut(self) -> AbstractContextManager[int]:
        """End the connections of this target's login; gives how many sessions were ended.

        Raises:
            HarnessError: There was none to end, so nothing was tested.
        """
        ...

    def freeze(self) -> AbstractContextManager[int]:
        """Stop the processes that serve this target's login: nothing answers, nothing ends.

        They go on at the end of the context. Later logins are served. Gives how many it were.

        Raises:
            HarnessError: There was none to stop, or they did not stop or go on.
        """
        ...

    def freeze_hop(self) -> AbstractContextManager[int]:
        """Do the same at the hop before it.

        Raises:
            HarnessError: There was none to stop, or they did not stop or go on.
        """
        ...

    def new_host_key(self) -> AbstractContextManager[None]:
        """Let the server show another host key to later logins, and its own after the context.

        Raises:
            HarnessError: It does not change its key, or not back.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place, for one test.

    Attributes:
        name: ``"here"``, ``"stack"``, ``"direct"``, ``"jump"``, ``"login-bash"`` and so on.
        workdir: Absolute directory on the target: fresh, writable by the login, removed after.
        facts: What ``make_transport`` needs, such as ``"endpoint"``; ``"dead_after"``, if it is
            there, the seconds in which the transport is to notice a dead peer; ``"host_key"``, the
            fingerprint of the key that the server shows; ``"login_key"`` and ``"hop_login_key"``,
            those of the keys that open target and hop. Where a secret is asked for, ``"secret"``
            is called, gives it, and keeps in ``given`` what it gave.
        variants: The same place known differently, by name: facts that replace those of ``facts``,
            such as a ``known_hosts`` text that pins another key.
        variant: Name of the variant that this is; empty for the place itself.
        environment: For local transports that run within a stack.
        offers: Facts of the place, such as ``"posix"``, ``"slurm"``, ``"cut"``.
        not_offered: Why a fact does not hold here, by fact.
        probe: Looks from outside.
        faults: Breaks the place; None where it cannot be broken.
        minimum: What a transport must declare here: the place's category (CAP-01).
        home: Where relative paths start, on the target; None where only ``run`` can tell.
    """

    name: str
    workdir: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variant: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    offers: frozenset[str] = frozenset()
    not_offered: Mapping[str, str] = field(default_factory=dict)
    probe: Probe
    faults: Faults | None = None
    minimum: frozenset[Capability] = MINIMUM
    home: str | None = None

    def as_variant(self, name: str) -> Target:
        """Return the same place known differently.

        Raises:
            HarnessError: It has no such variant.
        """
        if name not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise HarnessError(f"{self.name} has no variant {name!r}; it has: {known}")
        return replace(self, variant=name, facts={**self.facts, **self.variants[name]})

    def why_not(self, fact: str) -> str:
        """Say why a fact does not hold here."""
        return self.not_offered.get(fact, f"{self.name} does not offer it")
