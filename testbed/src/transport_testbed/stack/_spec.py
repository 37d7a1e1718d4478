"""What to bring up and what came up: frozen values that survive a round trip through JSON.

Knows nothing of how a provider works: it must not import one, nor open a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

SHELLS = ("bash", "dash", "zsh", "tcsh", "fish", "busybox")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSpec:
    """The parts that are wanted."""

    shells: tuple[str, ...] = SHELLS
    slurm: bool = True
    jump: bool = True
    #: Accounts to log in to by certificate, agent, encrypted key, password and one-time code.
    logins: bool = True
    nodes: int = 2
    #: Slurm's database, where the provider has one, so that sacct tells of jobs.
    accounting: bool = True
    #: A host with Python within the stack's own network, where the provider has networks.
    workstation: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        facts = json.loads(text)
        return cls(**{**facts, "shells": tuple(facts["shells"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One account on one sshd, and everything a client must know to log in to it."""

    name: str
    host: str
    port: int
    user: str
    #: known_hosts text that pins exactly this endpoint.
    known_hosts: str
    #: known_hosts text that trusts the authority that signed this endpoint's host key.
    authority: str
    #: Path of the private key, readable by the user who runs the tests; for an agent, of the
    #: public key; empty if no key is asked for.
    identity: str
    login_shell: str
    #: Home directory, on the file system of the runner.
    home: str
    #: Name of the sshd, as in ``Stack.logs["sshd-<server>"]``.
    server: str
    #: The hop before this one; None means that the client reaches it directly.
    via: Endpoint | None = None
    #: How one logs in, by "key", "certificate", "agent", "encrypted-key", "password", "totp" or
    #: "two-factors", which is a key and then a code.
    login: str = "key"
    #: Path of the certificate for the key; empty if there is none.
    certificate: str = ""
    #: Socket of the agent that has the key; empty if there is none.
    agent: str = ""
    #: The passphrase, the password, or what codes are made from (base32), as ``login`` says.
    secret: str = field(default="", repr=False)
    #: Values that in place of those above let nobody in.
    wrong: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Rebuild from the mapping that ``asdict`` makes."""
        via = facts["via"]
        return cls(**{**facts, "via": None if via is None else Endpoint.from_facts(via)})

    def mistaken(self) -> Endpoint:
        """Return it as somebody has it who knows it wrongly."""
        facts: dict[str, Any] = dict(self.wrong)
        return replace(self, **facts)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls.from_facts(json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack that is up."""

    provider: str
    #: Random name of this run, carried by every process of it.
    token: str
    #: Directory of this run; gone once the stack is stopped.
    root: str
    #: The uid that ssh logins run as.
    uid: int
    versions: Mapping[str, str]
    endpoints: tuple[Endpoint, ...]
    #: What a local process needs to be "within the stack", such as PATH and SLURM_CONF.
    environment: Mapping[str, str]
    logs: Mapping[str, str]
    #: Whether the login host behind the jump host is out of the client's direct reach.
    isolated: bool
    why_not_isolated: str
    #: Whether the login host behind the jump host has no Python.
    python_free: bool
    #: Whether sacct tells of jobs.
    accounting: bool
    #: Seconds spent in each phase of the start, in order, and their "total".
    timings: Mapping[str, float]
    pids: Mapping[str, int]
    #: Path of the private host key of each sshd, by its name in ``pids``.
    host_keys: Mapping[str, str]
    #: Path of a private host key that no sshd shows, for one that is to change its own.
    spare_host_key: str

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint called *name*; KeyError lists the names there are."""
        for endpoint in self.endpoints:
            if endpoint.name == name:
                return endpoint
        known = ", ".join(endpoint.name for endpoint in self.endpoints)
        message = f"no endpoint {name!r} in this stack; there are: {known}"
        raise KeyError(message)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild from what ``to_json`` of this version made; ValueError for anything else."""
        facts = json.loads(text)
        try:
            endpoints = tuple(Endpoint.from_facts(each) for each in facts["endpoints"])
            return cls(**{**facts, "endpoints": endpoints})
        except (KeyError, TypeError) as error:
            raise ValueError("no stack as this version describes it") from error

    @classmethod
    def remains(cls, text: str) -> Self:
        """Rebuild what another version described, as far as ending it takes; else ValueError."""
        facts = json.loads(text)
        try:
            known = {name: str(facts[name]) for name in ("provider", "token", "root")}
        except (KeyError, TypeError) as error:
            raise ValueError("no stack of any version") from error
        return cls(
            **known, uid=0, versions={}, endpoints=(), environment={}, logs={}, isolated=False,
            why_not_isolated="", python_free=False, accounting=False, timings={}, pids={},
            host_keys={}, spare_host_key="",
        )  # fmt: skip
