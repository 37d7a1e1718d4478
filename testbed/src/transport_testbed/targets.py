"""The bridge between the stack and the suite: what is up, as places that tests can run on.

The only module that knows both. Must not know any transport.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from transport_core import FILES_MINIMUM, MINIMUM

from transport_testbed import _pins, _ssh_config
from transport_testbed._codes import fresh
from transport_testbed._faults import HostKey, LoginFaults, Sessions
from transport_testbed._outside import LocalProbe, ServerLog
from transport_testbed._shared import NoStackError, SharedStack
from transport_testbed.conformance._target import HarnessError, NotOfferedError, Target
from transport_testbed.stack import Endpoint, Stack, StackError, StackSpec
from transport_testbed.stack._runs import Run, sweep
from transport_testbed.stack._trees import remove

HERE = "here"
STACK = "stack"

LOGINS = ("certificate", "agent", "encrypted-key", "password", "totp", "two-factors")
"""Ways to log in besides a plain key."""

_SHELLS = StackSpec().shells
_WITH_RC = ("bash", "zsh", "tcsh", "fish")

ENDPOINTS: Mapping[str, str] = {
    "direct": "bash",
    "jump": "jump-bash",
    "defaults": "defaults",
    "no-sftp": "no-sftp",
    "sftp-only": "sftp-only",
    "ssh-config": "jump-bash",
    "one-session": "one-session",
    **{f"login-{shell}": shell for shell in _SHELLS},
    **{f"jump-{shell}": f"jump-{shell}" for shell in _SHELLS},
    **{f"noisy-{shell}": f"noisy-{shell}" for shell in _WITH_RC},
    **{f"jump-noisy-{shell}": f"jump-noisy-{shell}" for shell in _WITH_RC},
    **{f"auth-{login}": f"auth-{login}" for login in LOGINS},
}
"""Places that one logs in to, and the endpoint of the stack that each is."""

ASPECTS: Mapping[str, str] = {
    STACK: "jobs",
    **{name: "shell" for name in ENDPOINTS if name.startswith(("login-", "noisy-"))},
    # The same shells once more: what the hop could change is the words on their way to them.
    **{name: "words" for name in ENDPOINTS if name.startswith("jump-")},
    "one-session": "sessions",
    "ssh-config": "config",
    **{name: "login" for name in ENDPOINTS if name.startswith("auth-")},
    "no-sftp": "files",
}
"""Places that differ from ``here`` or ``direct`` in one thing only, and what it is."""

_FILES_ONLY = frozenset({"sftp-only"})
"""Places that grant files and nothing else: there a transport need not run commands."""

_WITH_JOBS = frozenset({"direct", "jump"})
_WITH_CODES = frozenset({"totp", "two-factors"})
_REACH = 40  # steps of 30 s that a code may be ahead or behind; the server takes some more

_ALONE: Mapping[str, str] = {"direct": "alone", "jump": "jump-alone"}
"""For tests that need a server to themselves: the same place on one that no other test uses."""

DEAD_AFTER = 1.2
"""Seconds in which an impatient transport is to notice a dead peer."""


class Places:
    """Opens the places of this package; each test gets a directory of its own."""

    names: tuple[str, ...] = (HERE, STACK, *ENDPOINTS)
    aspects: Mapping[str, str] = ASPECTS

    def __init__(self, mode: str, stack_file: str, *, mine: bool = True) -> None:
        self.shared = SharedStack(mode, stack_file, mine=mine)
        self._own: Run | None = None

    def start(self, wanted: Iterable[str]) -> None:
        """Start the stack if one of the places needs it."""
        if set(wanted) & {STACK, *ENDPOINTS}:
            self.shared.start()

    def stop(self) -> None:
        """Stop the stack if this process started it, and end what tests left here."""
        own, self._own = self._own, None
        try:
            self.shared.stop()
        finally:
            if own:
                own.end()

    def _here(self) -> str:
        """Return the directory of this process: as a run's, it is swept if we are killed."""
        if self._own is None:
            sweep()
            self._own = Run.create(keep=False)
        return str(self._own.root)

    def facts(self) -> dict[str, Any]:
        """Return what a report says of the stack; empty if none was started."""
        if not self.shared.started:
            return {}
        try:
            stack = self.shared.get()
        except (NoStackError, StackError) as error:
            return {"absent": str(error)}
        return {
            "provider": stack.provider,
            "versions": dict(stack.versions),
            "timings": dict(stack.timings),
            "isolated": stack.isolated,
            "why_not_isolated": stack.why_not_isolated,
            "python_free": stack.python_free,
        }

    @contextmanager
    def open(self, name: str, *, alone: bool = False) -> Iterator[Target]:
        """Open a fresh place; *alone*: while no other process has one on the same server."""
        if name == HERE:
            with _workdir(self._here()) as workdir:
                yield _here(workdir)
            return
        stack = self._stack()
        if name == STACK and not stack.environment:
            raise NotOfferedError("Slurm's commands are within the containers: see 'inside'")
        endpoint = None if name == STACK else _endpoint(stack, name, alone=alone)
        server = endpoint.server if endpoint else STACK
        uid = stack.uid if endpoint else None
        with _turn(stack, server, alone=alone), _workdir(stack.root, uid) as workdir:
            target = (
                _remote(stack, name, endpoint, workdir) if endpoint else _within(stack, workdir)
            )
            with _workdir(self._here()) as folder:
                yield _by_config(stack, target, folder) if name == "ssh-config" else target

    def _stack(self) -> Stack:
        try:
            return self.shared.get()
        except NoStackError as error:
            raise NotOfferedError(str(error)) from error
        except StackError as error:
            raise HarnessError(str(error)) from error


def _endpoint(stack: Stack, name: str, *, alone: bool) -> Endpoint:
    known = _ALONE.get(name, ENDPOINTS[name]) if alone else ENDPOINTS[name]
    try:
        return stack.endpoint(known)
    except KeyError as error:
        raise NotOfferedError(f"{name}: {error.args[0]}") from error


@contextmanager
def _turn(stack: Stack, server: str, *, alone: bool) -> Iterator[None]:
    """Share a server with the other processes of the run, or have it alone for one test."""
    path = Path(stack.root, f"turn-{server}")
    with open(path, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@contextmanager
def _workdir(base: str, uid: int | None = None) -> Iterator[str]:
    """Make a directory that belongs to who logs in, and remove it whatever is in it then."""
    path = tempfile.mkdtemp(prefix="work-", dir=base)
    try:
        if uid is not None and os.geteuid() == 0:
            os.chown(path, uid, uid)
        yield os.path.realpath(path)
    finally:
        remove(Path(path))


def _here(workdir: str) -> Target:
    offers, lacks = _offers({"posix"}, uid=os.geteuid())
    return Target(
        name=HERE, workdir=workdir, offers=offers, not_offered=lacks, probe=LocalProbe()
    )  # fmt: skip


def _within(stack: Stack, workdir: str) -> Target:
    facts = {"posix", "slurm"} | ({"accounting"} if stack.accounting else set())
    offers, lacks = _offers(facts, uid=os.geteuid())
    return Target(
        name=STACK, workdir=workdir, environment=stack.environment, offers=offers,
        not_offered=lacks, probe=LocalProbe(), facts={"environment": stack.environment},
    )  # fmt: skip


def _remote(stack: Stack, name: str, endpoint: Endpoint, workdir: str) -> Target:
    daemon = _daemon(endpoint)
    facts = {"posix", "login-shell", "login-counter", "cut"}
    facts |= {"host-keys", "freeze", "new-host-key"} if name in _ALONE else set()
    facts |= {"jump"} if endpoint.via else set()
    facts |= {"isolated"} if endpoint.via and stack.isolated else set()
    facts |= {"no-python"} if endpoint.via and stack.python_free else set()
    facts |= {"noisy-rc"} if "noisy-" in name else set()
    facts |= {"slurm"} if name in _WITH_JOBS else set()
    facts |= {"accounting"} if name in _WITH_JOBS and stack.accounting else set()
    facts |= {"wrong"} if endpoint.wrong else set()
    facts |= {"asked"} if endpoint.secret else set()
    offers, lacks = _offers(facts, uid=stack.uid)
    if endpoint.via and not stack.isolated:
        lacks["isolated"] = stack.why_not_isolated
    return Target(
        name=name, workdir=workdir, offers=offers, not_offered=lacks,
        facts={
            **_known(stack, endpoint),
            "shell": endpoint.login_shell,
            "host_key": _pins.fingerprint(endpoint.known_hosts),
            "login_key": _login_key(endpoint),
            "hop_login_key": _login_key(endpoint.via) if endpoint.via else "",
        },
        variants={**_variants(endpoint), "wrong": _known(stack, endpoint.mistaken())},
        probe=LocalProbe(
            uid=stack.uid, log=_log(stack, endpoint),
            hop_log=_log(stack, endpoint.via) if endpoint.via else None,
        ),
        faults=LoginFaults(
            login=Sessions.of(stack, endpoint),
            hop=Sessions.of(stack, endpoint.via) if endpoint.via else None,
            host_key=HostKey.of(stack, daemon) if endpoint.name in _ALONE.values() else None,
        ),
        minimum=FILES_MINIMUM if name in _FILES_ONLY else MINIMUM,
        home=endpoint.home,
    )  # fmt: skip


def _by_config(stack: Stack, target: Target, folder: str) -> Target:
    """Return the same place, to be reached by a user's own configuration."""
    found, other = target.facts["endpoint"], stack.endpoint("jump-dash")
    facts, variants = _ssh_config.configured(Path(folder), found, other)
    lacks = {fact: why for fact, why in target.not_offered.items() if fact != "ssh-config"}
    return replace(
        target, facts={**target.facts, **facts}, variants=variants,
        offers=target.offers | {"ssh-config"}, not_offered=lacks,
    )  # fmt: skip


class Secret:
    """What a client is to be told when it asks, and what it was told so far."""

    def __init__(self, stack: Stack, endpoint: Endpoint) -> None:
        self._endpoint, self._claims = endpoint, Path(stack.root, "codes")
        self.given: list[str] = []

    def __call__(self) -> str:
        """Return the passphrase, the password, or a code that was not used before."""
        self.given.append(self._fresh())
        return self.given[-1]

    def _fresh(self) -> str:
        if self._endpoint.login not in _WITH_CODES:
            return self._endpoint.secret
        self._claims.mkdir(mode=0o700, exist_ok=True)
        return fresh(self._endpoint.secret, self._claims, _REACH)


def _known(stack: Stack, endpoint: Endpoint) -> dict[str, Any]:
    """Return what a client must know to log in."""
    return {"endpoint": endpoint, "secret": Secret(stack, endpoint)}


def _daemon(endpoint: Endpoint) -> str:
    return f"sshd-{endpoint.server}"


def _login_key(endpoint: Endpoint) -> str:
    """Return the fingerprint of the key that opens a login; nothing where none does."""
    if not endpoint.identity:
        return ""
    path = Path(f"{endpoint.identity.removesuffix('.pub')}.pub")
    return _pins.fingerprint(" ".join(path.read_text().split()[:2]))


def _log(stack: Stack, endpoint: Endpoint) -> ServerLog:
    return ServerLog(stack.logs[_daemon(endpoint)], endpoint.user)


def _variants(endpoint: Endpoint) -> Mapping[str, Mapping[str, Any]]:
    """Return the ways to know a login: by other pins, by other pins of its hop, impatiently."""
    found: dict[str, Mapping[str, Any]] = {"impatient": {"dead_after": DEAD_AFTER}}
    for name, text in _pins.texts(endpoint.known_hosts, endpoint.authority).items():
        found[name] = {"endpoint": replace(endpoint, known_hosts=text)}
    if endpoint.via:
        hop = endpoint.via
        for name, text in _pins.texts(hop.known_hosts, hop.authority).items():
            known = replace(hop, known_hosts=text)
            facts = {"host_key": _pins.fingerprint(hop.known_hosts)}
            found[f"{name}, at the hop"] = {"endpoint": replace(endpoint, via=known), **facts}
        found["nothing behind the hop"] = {"endpoint": replace(endpoint, port=1)}
    return found


_WHY_NOT = {
    "ssh-config": "it is reached without a configuration of OpenSSH's",
    "wrong": "nothing is known to be wrong here",
    "asked": "no secret is asked for here",
    "login-shell": "nothing logs in here",
    "noisy-rc": "its rc files print nothing: noisy-* has those that do",
    "login-counter": "nothing logs in here, so no server counts it",
    "cut": "there is no connection to cut here",
    "freeze": "direct and jump have sessions that can be frozen",
    "host-keys": "direct and jump have servers that are known in many ways",
    "new-host-key": "direct and jump have servers that can change their key",
    "jump": "there is no hop before it",
    "isolated": "it is in direct reach",
    "no-python": "it has Python: a host behind the jump has none",
    "slurm": "it has no Slurm: stack, direct and jump have",
    "accounting": "it has no Slurm database: stack, direct and jump in containers have",
    "unprivileged": "it is root, who may do everything",
}


def _offers(facts: set[str], *, uid: int) -> tuple[frozenset[str], dict[str, str]]:
    offers = facts | ({"unprivileged"} if uid != 0 else set())
    return frozenset(offers), {fact: why for fact, why in _WHY_NOT.items() if fact not in offers}
