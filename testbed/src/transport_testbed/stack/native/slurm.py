"""munged, slurmctld, the slurmd, and the client tools: configuration and order of start.

Must not know sshd; jobs run on the nodes of one machine, as whoever submits them.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from transport_testbed.stack._processes import Daemon, spawn
from transport_testbed.stack._ready import listening, until
from transport_testbed.stack._runs import TOKEN_VARIABLE
from transport_testbed.stack.native.site import Site

CLIENTS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun", "sacct")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The ports of one Slurm cluster."""

    controller: int
    nodes: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"n{number}" for number in range(1, len(self.nodes) + 1))


def configure(site: Site, cluster: Cluster) -> None:
    """Write slurm.conf, the munge key, the shims of the client tools."""
    site.path("slurm", "state", "x")
    key = site.path("munge", "key")
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(64))
    # The sacct of any user opens it for writing.
    site.write(site.path("slurm", "jobcomp"), "", 0o666)
    prolog = _PROLOG.format(name=TOKEN_VARIABLE, value=site.run.token)
    site.write(site.path("slurm", "prolog"), prolog, 0o755)
    for tool in CLIENTS:
        site.shim("bin", tool)
    site.write(site.root / "slurm.conf", _conf(site, cluster))


def launch(site: Site, cluster: Cluster) -> list[tuple[Daemon, int]]:
    """Start the daemons, each once the one that it depends on answers."""
    munged, controller = _munged(site), _controller(site)
    started = [(munged, spawn(munged))]
    answers = site.root / "munge" / "socket"
    until(answers.exists, *started[-1], awaiting="its socket")
    started.append((controller, spawn(controller)))
    until(lambda: listening("127.0.0.1", cluster.controller), *started[-1], awaiting="its port")
    for name in cluster.names:
        node = _node(site, name)
        started.append((node, spawn(node)))
    return started


def await_ready(site: Site, cluster: Cluster, started: list[tuple[Daemon, int]]) -> None:
    """Return when every node is idle and a job is accepted."""
    for (daemon, pid), name in zip(started[-len(cluster.nodes) :], cluster.names, strict=True):
        until(partial(_idle, site, name), daemon, pid, awaiting="an idle node")
    controller, pid = started[1]
    until(partial(_accepts, site), controller, pid, awaiting="id of a canary job")


def _idle(site: Site, node: str) -> bool:
    return _client(site, "sinfo", "-h", "-n", node, "-o", "%T") == "idle"


def _accepts(site: Site) -> bool:
    """Whether a job is accepted: the controller may still refuse when the nodes are idle."""
    options = ("--parsable", "-o", "/dev/null", "-D", "/", "-J", "canary", "--wrap", "true")
    return _client(site, "sbatch", *options).isdecimal()


def _client(site: Site, tool: str, *arguments: str) -> str:
    """Return the output of a client tool, empty when it fails; what it complains of is logged."""
    environment = {**site.clients, **site.names}
    argv = (str(site.root / "bin" / tool), *arguments)
    with site.path("log", "slurm-clients.log").open("a") as log:
        done = subprocess.run(
            argv, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, check=False
        )
    return "" if done.returncode else done.stdout.strip()


def _munged(site: Site) -> Daemon:
    place = site.root / "munge"
    return site.daemon(
        "munged", site.prefix.program("munged"), "--foreground", f"--key-file={place / 'key'}",
        f"--socket={place / 'socket'}", f"--pid-file={place / 'pid'}",
        f"--log-file={site.path('log', 'munged.log')}", f"--seed-file={place / 'seed'}",
    )  # fmt: skip


def _controller(site: Site) -> Daemon:
    return site.daemon("slurmctld", _slurm_program(site, "slurmctld"), "-D", "-f", _conf_path(site))


def _node(site: Site, name: str) -> Daemon:
    return site.daemon(
        f"slurmd-{name}", _slurm_program(site, "slurmd"), "-D", "-f", _conf_path(site),
        "-N", name, "-d", _step_daemon(site),
    )  # fmt: skip


def _conf_path(site: Site) -> str:
    return str(site.root / "slurm.conf")


def _slurm_program(site: Site, name: str) -> str:
    """Debian adds a suffix and leaves the plain name to alternatives."""
    return site.prefix.program(f"{name}-wlm" if site.prefix.has(f"{name}-wlm") else name)


def _step_daemon(site: Site) -> str:
    """The program that slurmd starts for each job step, at a path of this run."""
    return site.own(Path(_slurm_program(site, "slurmstepd")).name)


#: A job may be submitted without its environment, and is still to be found when the stack ends.
_PROLOG = '#!/bin/sh\necho "export {name}={value}"\n'


def _conf(site: Site, cluster: Cluster) -> str:
    host = socket.gethostname().partition(".")[0]
    owner = "root" if os.geteuid() == 0 else _first_name(site)
    place = site.root / "slurm"
    lines = [
        "ClusterName=testbed",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={cluster.controller}",
        f"SlurmUser={owner}",
        f"SlurmdUser={owner}",
        "AuthType=auth/munge",
        f"AuthInfo=socket={site.root / 'munge' / 'socket'}",
        "CredType=cred/munge",
        f"PluginDir={site.prefix.plugins}",
        f"StateSaveLocation={place / 'state'}",
        f"SlurmdSpoolDir={place}/%n",
        f"SlurmctldPidFile={place / 'slurmctld.pid'}",
        f"SlurmdPidFile={place}/%n.pid",
        f"TaskProlog={place / 'prolog'}",
        f"JobCompLoc={place / 'jobcomp'}",
        _CONF.strip(),
    ]
    lines += [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 State=UNKNOWN"
        for name, port in zip(cluster.names, cluster.nodes, strict=True)
    ]
    lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def _first_name(site: Site) -> str:
    """The name that our own uid has in this run's user database."""
    table = (site.root / "passwd").read_text(errors="surrogateescape").splitlines()
    return next(line.split(":")[0] for line in table if line.split(":")[2] == str(site.uid))


_CONF = """
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
KillWait=3
MinJobAge=3600
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
MailProg=/bin/true
"""
