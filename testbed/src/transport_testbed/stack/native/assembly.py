"""One start, step by step: configure, launch everything, wait until usable, describe.

Must not know how to write any daemon's configuration.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from transport_testbed.stack import _logins
from transport_testbed.stack._keys import authority_pin, pin
from transport_testbed.stack._processes import Daemon, spawn
from transport_testbed.stack._ready import greets, until
from transport_testbed.stack._runs import Run, login_uid
from transport_testbed.stack._spec import Endpoint, Stack, StackSpec
from transport_testbed.stack._timings import Timings
from transport_testbed.stack.native import keys, logins, namespace, shells, slurm, sshd
from transport_testbed.stack.native.namespace import Inhabitant, Outcome
from transport_testbed.stack.native.prefix import Prefix
from transport_testbed.stack.native.shells import Account
from transport_testbed.stack.native.site import Site, free_ports
from transport_testbed.stack.native.sshd import Server

#: The login host's address, on the loopback device of its own network.
LOGIN_HOST = "127.0.0.66"

#: Servers in direct reach, and in what each differs; the third and later are endpoints by name.
OUTSIDE: Mapping[str, Mapping[str, Any]] = {
    "direct": {},
    "noisy": {"internal_sftp": True},
    "defaults": {"defaults": True},
    "one-session": {"extra": ("MaxSessions 1",)},
    "alone": {},
    "no-sftp": {"sftp": False},
    # Whatever is asked for, an SFTP server answers.
    "sftp-only": {"internal_sftp": True, "extra": ("ForceCommand internal-sftp",)},
}


class Assembly:
    """The state of one start."""

    def __init__(self, run: Run, prefix: Prefix, spec: StackSpec, timings: Timings) -> None:
        self.site = Site(run=run, prefix=prefix, spec=spec, uid=login_uid())
        self.timings = timings
        self.people = shells.accounts(self.site)
        nodes = spec.nodes if spec.slurm else 0
        own, codes, hop, controller, *ports = free_ports(4 + nodes + len(OUTSIDE))
        self.cluster = slurm.Cluster(controller=controller, nodes=tuple(ports[:nodes]))
        # Opened before anything else and never closed in between: its port cannot be lost.
        self.gate = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.outside = tuple(
            replace(_server(name, port), **how)
            for (name, how), port in zip(OUTSIDE.items(), ports[nodes:], strict=True)
        )
        self.logins = logins.Logins.of(self.site)
        self.guarded = self.logins.servers(self.site, (own, codes)) if spec.logins else None
        self.behind: tuple[Server, ...] = self._behind(hop) if spec.jump else ()
        self.inhabitants: list[Inhabitant] = []
        self.started: list[tuple[Daemon, int]] = []

    def _behind(self, hop: int) -> tuple[Server, ...]:
        login, noisy, alone = free_ports(3, LOGIN_HOST)
        gate = self.gate.getsockname()[:2]
        return (
            _server("login", login, LOGIN_HOST),
            replace(_server("login-noisy", noisy, LOGIN_HOST), internal_sftp=True),
            _server("login-alone", alone, LOGIN_HOST),
            Server(name="bastion", listen=("127.0.0.1", hop), dial=gate, login="hop"),
        )

    def bring_up(self) -> Stack:
        """Carry out every step; what was started is the run's to end if one fails."""
        with self.gate:
            self._configure()
            self.timings.mark("configure")
            self._launch()
            self.timings.mark("launch")
        outcome = self._settle()
        self._await_ready(outcome)
        self.timings.mark("ready")
        return self._describe(outcome)

    def _configure(self) -> None:
        others = self.logins.accounts.values() if self.guarded else ()
        shells.create(self.site, (*self.people, *others))
        every = (*self.outside, *(self.guarded or ()), *self.behind)
        servers = {each.name: each.dial[0] for each in every}
        more = _logins.KEYS if self.guarded else ()
        locked = {_logins.ENCRYPTED: self.logins.secrets.passphrase} if self.guarded else {}
        keys.create(self.site, servers, ("user", "hop", *more), locked)
        keys.client_tools(self.site)
        if self.site.spec.slurm:
            slurm.configure(self.site, self.cluster)

    def _launch(self) -> None:
        """Start everything; Slurm last, because its daemons have to wait for each other."""
        controller = self.cluster.controller if self.site.spec.slurm else None
        for server in self.outside:
            self._spawn(sshd.daemon(self.site, server))
        if self.guarded:
            self._launch_logins(self.guarded)
        if self.behind:
            self.inhabitants = [
                Inhabitant(daemon=sshd.daemon(self.site, each), answers=each.listen)
                for each in self.behind
            ]
            hop = self.behind[-1].listen
            self.namespace = namespace.launch(
                self.site, self.gate, hop, self.inhabitants, controller
            )
            if controller is not None:
                self.started.append(namespace.bridge(self.site, controller))
        if controller is not None:
            self.cluster_started = slurm.launch(self.site, self.cluster)
            self.started += self.cluster_started

    def _launch_logins(self, servers: tuple[Server, Server]) -> None:
        self.started.append(logins.launch_agent(self.site))
        for daemon in self.logins.daemons(self.site, servers):
            self._spawn(daemon)

    def _spawn(self, daemon: Daemon) -> None:
        self.started.append((daemon, spawn(daemon)))

    def _settle(self) -> Outcome:
        """Learn whether there is a namespace; without one, its daemons start in ours."""
        if not self.behind:
            return Outcome(pids={}, why_not="no jump host was asked for")
        outcome = namespace.outcome(self.site, *self.namespace, self.inhabitants)
        if outcome.why_not:
            self.behind = tuple(replace(each, dial=each.listen) for each in self.behind)
            for each in self.inhabitants:
                self._spawn(each.daemon)
        return outcome

    def _await_ready(self, outcome: Outcome) -> None:
        every = (*self.outside, *(self.guarded or ()), *self.behind)
        servers = {each.daemon_name: each for each in every}
        for daemon, pid in self.started:
            if daemon.name in servers:
                host, port = servers[daemon.name].dial
                until(partial(greets, host, port), daemon, pid, awaiting="its banner")
        if outcome.pids:
            until(partial(greets, *self.behind[-1].dial), *self.namespace, awaiting="a banner")
        if self.guarded:
            logins.certify(self.site, self.logins)
            agent = next(each for each in self.started if each[0].name == logins.AGENT)
            logins.fill_agent(self.site, agent)
        if self.site.spec.slurm:
            slurm.await_ready(self.site, self.cluster, self.cluster_started)

    def _describe(self, outcome: Outcome) -> Stack:
        site = self.site
        pids = {**{daemon.name: pid for daemon, pid in self.started}, **outcome.pids}
        return Stack(
            provider="native",
            token=site.run.token,
            root=str(site.root),
            uid=site.uid,
            versions=site.prefix.versions,
            endpoints=tuple(self._endpoints()),
            environment=site.clients | {"PATH": local_path(site)},
            logs={name: str(site.path("log", f"{name}.log")) for name in pids},
            isolated=bool(outcome.pids),
            why_not_isolated=outcome.why_not,
            python_free=outcome.python_free,
            accounting=False,
            timings=self.timings.total(),
            pids=pids,
            host_keys={
                each.daemon_name: str(keys.host_key(site, each.name))
                for each in (*self.outside, *(self.guarded or ()), *self.behind)
            },
            spare_host_key=str(keys.host_key(site, keys.SPARE)),
        )

    def _endpoints(self) -> Iterator[Endpoint]:
        direct, noisy, *others = self.outside
        for account in self.people:
            server, prefix = (noisy, "noisy-") if account.noisy else (direct, "")
            yield self._endpoint(prefix + account.login_shell, server, account)
        for server in others:
            yield self._endpoint(server.name, server, self.people[0])
        if self.guarded:
            yield from self._endpoints_guarded(*self.guarded)
        if self.behind:
            yield from self._endpoints_behind(*self.behind)

    def _endpoints_guarded(self, plain: Server, asking: Server) -> Iterator[Endpoint]:
        for kind, account in self.logins.accounts.items():
            server = plain if kind in _logins.BY_SSHD else asking
            endpoint = self._endpoint(f"auth-{kind}", server, account)
            yield self.logins.endpoint(self.site, kind, endpoint)

    def _endpoints_behind(
        self, login: Server, noisy: Server, alone: Server, hop: Server
    ) -> Iterator[Endpoint]:
        users = [
            Account(user=user, login_shell="none", noisy=False, home=str(self.site.root))
            for user in shells.HOP_USERS
        ]
        bastion, bastion_alone = (
            self._endpoint(name, hop, user)
            for name, user in zip(("bastion", "bastion-alone"), users, strict=True)
        )
        yield bastion
        yield bastion_alone
        for account in self.people:
            server, prefix = (noisy, "jump-noisy-") if account.noisy else (login, "jump-")
            yield self._endpoint(prefix + account.login_shell, server, account, via=bastion)
        yield self._endpoint("jump-alone", alone, self.people[0], via=bastion_alone)

    def _endpoint(
        self, name: str, server: Server, account: Account, *, via: Endpoint | None = None
    ) -> Endpoint:
        host, port = server.dial
        return Endpoint(
            name=name, host=host, port=port, user=account.user, home=account.home, via=via,
            known_hosts=pin(keys.host_key(self.site, server.name), host, port),
            authority=authority_pin(keys.authority(self.site), host, port),
            identity=str(keys.identity(self.site, server.login)),
            login_shell=account.login_shell, server=server.name,
            wrong=_logins.wrong(keys.identity(self.site, "user").parent) if self.guarded else {},
        )  # fmt: skip


def local_path(site: Site) -> str:
    """The caller's own PATH with the stack's client tools first."""
    return f"{site.root / 'bin'}:{os.environ.get('PATH', os.defpath)}"


def _server(name: str, port: int, host: str = "127.0.0.1") -> Server:
    """Describe a server that is dialled where it listens."""
    return Server(name=name, listen=(host, port), dial=(host, port))
