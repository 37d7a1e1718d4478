"""The stack in containers, looked at from outside: an SSH client, the engine, /proc. No transport.

One stack serves the module; how stacks end is in test_stack_containers_ends.py.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path

import pytest
from transport_testbed.stack import Stack, StackSpec
from transport_testbed.stack.containers import engine

from .containers_client import (
    PROVIDER,
    SPEC,
    client,
    connected,
    container,
    eventually,
    need_containers,
    networks,
    ssh,
)

need_containers()

# The first on a machine builds the images.
pytestmark = pytest.mark.timeout(300)

SHELLS = StackSpec().shells


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack."""
    up = PROVIDER.start(SPEC)
    yield up
    PROVIDER.stop(up)


@pytest.mark.parametrize("name", ("bash", "jump-bash", "jump-fish", "jump-busybox"))
def test_an_account_is_reached_and_quiet(stack: Stack, name: str) -> None:
    """By the pinned host key, in its home, as an unprivileged user."""
    done = client(stack, name, "pwd; id -u; command -v touch; touch /etc/testbed 2>/dev/null")
    home, uid, *_ = done.stdout.splitlines()
    assert (home, uid, done.stderr) == (stack.endpoint(name).home, str(stack.uid), "")
    assert (done.returncode, stack.uid != 0) == (1, True)


@pytest.mark.parametrize("where", ("", "jump-"))
def test_every_shell_is_a_login_shell(stack: Stack, where: str) -> None:
    """Of the account that is named after it."""
    shells = dict(zip(SHELLS, (f"/{name}" for name in SHELLS), strict=True))
    shells |= {"tcsh": "/tcsh", "busybox": "/busybox"}

    async def shown(shell: str, held: AsyncExitStack) -> str:
        connection = await connected(stack.endpoint(where + shell), held)
        pid = "$fish_pid" if shell == "fish" else "$$"
        done = await connection.run(f"readlink /proc/{pid}/exe; true", timeout=20)
        return str(done.stdout).strip()

    async def work() -> list[str]:
        async with AsyncExitStack() as held:
            return await asyncio.gather(*(shown(shell, held) for shell in SHELLS))

    programs = dict(zip(SHELLS, asyncio.run(work()), strict=True))
    assert {name for name in SHELLS if not programs[name].endswith(shells[name])} <= {"tcsh"}
    assert programs["tcsh"].endswith(("/tcsh", "/bsd-csh"))


@pytest.mark.parametrize("name", ("noisy-zsh", "jump-noisy-tcsh"))
def test_noisy_accounts_print_before_the_command(stack: Stack, name: str) -> None:
    """One line on either stream."""
    shell = name.rpartition("-")[2]
    done = client(stack, name, "echo said")
    assert done.stdout == f"noise from {shell}\nsaid\n"
    assert done.stderr == f"noise-on-stderr from {shell}\n"


def test_the_login_host_has_no_python(stack: Stack) -> None:
    """So that nothing that needs one can pass for a shell's work."""
    assert stack.python_free
    looked = "command -v python3 || command -v python || ls /usr/bin/python* /usr/lib/python3*"
    done = client(stack, "jump-bash", f"{looked} 2>/dev/null")
    assert (done.returncode != 0, done.stdout) == (True, "")


@pytest.mark.parametrize("name", ("bash", "jump-bash"))
def test_jobs_are_submitted_from_either_host(stack: Stack, name: str) -> None:
    """And their output appears in the home that all share, readable from here."""
    assert ssh(stack, name, "sinfo -h -o '%D %t %n' | sort").split() == [
        "1", "idle", "c1", "1", "idle", "c2",
    ]  # fmt: skip
    job = ssh(stack, name, "sbatch --parsable --wrap 'echo from $SLURMD_NODENAME'").strip()
    output = Path(stack.endpoint(name).home, f"slurm-{job}.out")
    assert eventually(lambda: output.exists() and output.read_text().startswith("from c"))
    assert output.stat().st_uid == stack.uid


def test_versions_are_those_that_answer(stack: Stack) -> None:
    """As the programs themselves say."""
    banner = ssh(stack, "bash", "ssh -V 2>&1; sinfo -V")
    assert f"OpenSSH_{stack.versions['openssh']} " in banner
    assert f"slurm-wlm {stack.versions['slurm']}\n" in banner
    assert {"openssh", "slurm", "munge", *SHELLS} == set(stack.versions)


def test_servers_are_processes_of_this_machine_with_logs_here(stack: Stack) -> None:
    """The suite counts them, stops their sessions, and reads what they log."""
    servers = {f"sshd-{each.server}" for each in stack.endpoints}
    assert servers == set(stack.pids) == set(stack.host_keys)
    for name, pid in stack.pids.items():
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        assert f"{stack.root}/etc/{name}.conf [listener]" in words
    log = Path(stack.logs["sshd-login"])
    before = log.read_text().count("Accepted publickey")
    ssh(stack, "jump-bash", "true")
    assert log.read_text().count("Accepted publickey") == before + 1


def test_a_stack_survives_json(stack: Stack) -> None:
    """As it is passed on to other processes."""
    assert Stack.from_json(stack.to_json()) == stack
    assert (stack.provider, stack.isolated, stack.accounting) == ("containers", True, False)


def test_this_machine_has_no_way_to_the_login_host(stack: Stack) -> None:
    """Neither its name, nor an address on its network, nor a route to it.

    Nothing is sent: without a route, it would leave this machine.
    """
    back = networks(stack)["back"]
    assert back.attrs["Internal"]
    subnet = ip_network(back.attrs["IPAM"]["Config"][0]["Subnet"])
    address = container(stack, "login").attrs["NetworkSettings"]["Networks"][back.name]["IPAddress"]
    assert ip_address(address) in subnet
    try:
        resolved = {each[4][0] for each in socket.getaddrinfo("login", None)}
    except socket.gaierror:
        resolved = set()
    assert address not in resolved
    # The table of all addresses of this machine, and the networks that they are on.
    trie = Path("/proc/net/fib_trie").read_text()
    ours = {ip_address(line.split()[1]) for line in trie.splitlines() if line.startswith("  ") and
            line.split()[0] == "|--"}  # fmt: skip
    assert ip_address("127.0.0.1") in ours
    assert not [each for each in ours if each in subnet]
    ways = [way for way, _ in routes(Path("/proc/net/route").read_text())]
    assert not [way for way in ways if way.prefixlen and way.overlaps(subnet)]
    # It speaks no other protocol: not even the address that each interface gives itself.
    asked = container(stack, "login").exec_run("cat /proc/net/if_inet6")
    assert [line.split()[-1] for line in asked.output.decode().splitlines()] in ([], ["lo"])


def routes(table: str) -> list[tuple[IPv4Network, str]]:
    """What is sent where, as the kernel's table has it: networks and gateways."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [(IPv4Network((_dotted(row[1]), _dotted(row[7]))), _dotted(row[2])) for row in rows]


def _dotted(word: str) -> str:
    return socket.inet_ntoa(bytes.fromhex(word)[::-1])


def test_only_the_bastion_reaches_the_login_host(stack: Stack) -> None:
    """Who is on the bastion's other network alone has no way either, nor have the others out.

    From there, nothing is sent to the login host: this machine would pass it on to its own router.
    """
    both = networks(stack)
    back, front = both["back"].name, both["front"].name
    login, bastion = container(stack, "login"), container(stack, "bastion")
    address = login.attrs["NetworkSettings"]["Networks"][back]["IPAddress"]
    greeting = ["timeout", "5", "bash", "-c", f"head -c 4 </dev/tcp/{address}/2201"]
    assert bastion.exec_run(greeting).output == b"SSH-"
    within = bastion.attrs["NetworkSettings"]["Networks"][front]["IPAddress"]
    gateway = both["front"].attrs["IPAM"]["Config"][0]["Gateway"]
    beside = engine.client().containers.create(
        bastion.image.id, entrypoint=["sleep", "60"], network=front, init=True,
        labels={engine.RUN: stack.token, engine.OWNER: engine.owner()},
    )  # fmt: skip
    try:
        beside.start()
        greeting[-1] = f"head -c 4 </dev/tcp/{within}/2201"
        assert beside.exec_run(greeting).output == b"SSH-"
        assert beside.exec_run("getent hosts login").exit_code != 0
        table = routes(beside.exec_run("cat /proc/net/route").output.decode())
        assert [(str(way), by) for way, by in table if by != "0.0.0.0"] == [("0.0.0.0/0", gateway)]
        assert not [way for way, _ in table if way.prefixlen and ip_address(address) in way]
    finally:
        beside.remove(force=True)
    # Their way out would be by an address that nobody has.
    done = login.exec_run(greeting)
    assert any(each in done.output for each in (b"No route to host", b"Network is unreachable"))


def test_all_that_is_published_is_on_loopback(stack: Stack) -> None:
    """And it is the bastion's alone."""
    for each in engine.containers(stack.token):
        bound = each.attrs["NetworkSettings"]["Ports"]
        asked = each.attrs["HostConfig"]["PortBindings"] or {}
        addresses = {one["HostIp"] for list_ in (*bound.values(), *asked.values()) for one in list_}
        service = each.labels["com.docker.compose.service"]
        assert addresses == ({"127.0.0.1"} if service == "bastion" else set())
        assert not each.attrs["HostConfig"]["Privileged"]
    assert {each.host for each in stack.endpoints if each.via is None} == {"127.0.0.1"}


def test_nobody_else_reads_keys_and_secrets(stack: Stack) -> None:
    """What is private has one reader; the rest is there to be read."""
    root = Path(stack.root)
    private = [path for path in (root / "keys").iterdir() if path.suffix != ".pub"]
    private += [
        *(root / "secrets").iterdir(),
        root / "munge.key",
        root / "pam",
        root / "agent",
    ]
    assert len(private) > 20
    assert not [path for path in private if path.stat().st_mode & 0o077]
    for name in ("bash", "jump-bash"):
        paths = " ".join(map(str, private))
        done = client(stack, name, f"for each in {paths}; do test -r $each && echo $each; done")
        assert (done.stdout, done.stderr) == ("", "")


def test_no_secret_is_in_the_repr_of_a_stack(stack: Stack) -> None:
    """Nor of its endpoints: a failed test prints them. Nor does the engine show one."""
    secrets = {path.read_text().strip() for path in Path(stack.root, "secrets").iterdir()}
    assert secrets == {each.secret for each in stack.endpoints if each.secret} | secrets
    assert len(secrets) == 3
    told = repr(stack) + "".join(repr(each) for each in stack.endpoints)
    told += "".join(
        repr(each.attrs) + each.logs().decode() for each in engine.containers(stack.token)
    )
    told += "".join(Path(path).read_text() for path in stack.logs.values())
    assert not [secret for secret in secrets if secret in told]
