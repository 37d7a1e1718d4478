"""The native stack, looked at from outside: OpenSSH's client, sockets, /proc. No transport.

One stack serves the module; only what stops or breaks a stack brings up its own.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from transport_testbed.stack import Endpoint, Stack, StackError, StackSpec
from transport_testbed.stack.native import NativeProvider, sshd
from transport_testbed.stack.native.site import Site

PROVIDER = NativeProvider()
SHELLS = StackSpec().shells
NOISY = ("bash", "zsh", "tcsh", "fish")

if reason := PROVIDER.unavailable():
    pytest.skip(f"no native stack here: {reason}", allow_module_level=True)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A whole stack."""
    up = PROVIDER.start(StackSpec())
    yield up
    PROVIDER.stop(up)


def block(stack: Stack, endpoint: Endpoint) -> str:
    """Configuration of OpenSSH's client for an endpoint and the hops before it."""
    known = Path(stack.root, f"known-{endpoint.name}")
    known.write_text(endpoint.known_hosts)
    lines = [
        f"Host {endpoint.name}", f"HostName {endpoint.host}", f"Port {endpoint.port}",
        f"User {endpoint.user}", f"IdentityFile {endpoint.identity}", "IdentitiesOnly yes",
        f"UserKnownHostsFile {known}", "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes", "BatchMode yes", "ConnectTimeout 10",
    ]  # fmt: skip
    before = block(stack, endpoint.via) if endpoint.via else ""
    if endpoint.via:
        lines.append(f"ProxyJump {endpoint.via.name}")
    return "\n".join(lines) + "\n\n" + before


def client(
    stack: Stack, name: str, *command: str, tool: str = "ssh", text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run OpenSSH's client of the stack against one of its endpoints."""
    config = Path(stack.root, f"client-{name}.conf")
    config.write_text(block(stack, stack.endpoint(name)))
    program = str(Path(stack.root, "openssh", tool))
    own_ssh = ("-S", str(Path(stack.root, "openssh", "ssh"))) if tool == "sftp" else ()
    argv = (program, *own_ssh, "-F", str(config), name, *command)
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=30, check=False)


def ssh(stack: Stack, name: str, command: str) -> str:
    """Standard output of a command that succeeds."""
    done = client(stack, name, command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def local(stack: Stack, *argv: str) -> str:
    """Output of a local program within the stack."""
    environment = {**os.environ, **stack.environment}
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, timeout=30, check=True
    ).stdout


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether the condition comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def carriers(token: str) -> list[str]:
    """Command lines of the processes that show the token, found without the provider's help."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            shown = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if token.encode() in shown:
            found.append((entry / "cmdline").read_text(errors="replace").replace("\0", " "))
    return found


@pytest.mark.parametrize("where", ("", "jump-"))
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_the_login_shell_of_a_quiet_account(
    stack: Stack, where: str, shell: str
) -> None:
    """The command reaches that shell, in its home, and nothing is said besides."""
    endpoint = stack.endpoint(where + shell)
    done = client(stack, endpoint.name, "pwd; readlink /proc/$$/exe; true")
    if shell == "fish":
        done = client(stack, endpoint.name, "pwd; readlink /proc/$fish_pid/exe; true")
    home, program = done.stdout.splitlines()
    assert (home, done.stderr) == (endpoint.home, "")
    assert Path(program).name.startswith({"tcsh": ("tcsh", "bsd-csh")}.get(shell, (shell,)))


@pytest.mark.parametrize("where", ("noisy-", "jump-noisy-"))
@pytest.mark.parametrize("shell", NOISY)
def test_noisy_accounts_print_before_the_command(stack: Stack, where: str, shell: str) -> None:
    """One line on either stream, as rc files in the field do."""
    done = client(stack, where + shell, "echo said")
    assert done.stdout == f"noise from {shell}\nsaid\n"
    assert done.stderr == f"noise-on-stderr from {shell}\n"


@pytest.mark.parametrize("name", ("bash", "noisy-fish", "jump-zsh", "jump-noisy-tcsh", "defaults"))
def test_files_go_over_sftp_even_where_rc_files_print(stack: Stack, name: str) -> None:
    """The noisy accounts have an SFTP server that no login shell starts."""
    done = client(stack, name, tool="sftp", text="pwd\n")
    assert f"Remote working directory: {stack.endpoint(name).home}" in done.stdout, done.stderr


def test_one_server_has_no_sftp_and_one_has_nothing_else(stack: Stack) -> None:
    """Both let the same account in; what is refused says so."""
    assert ssh(stack, "no-sftp", "echo in") == "in\n"
    assert client(stack, "no-sftp", tool="sftp", text="pwd\n").returncode != 0
    assert "directory:" in client(stack, "sftp-only", tool="sftp", text="pwd\n").stdout
    refused = client(stack, "sftp-only", "echo in")
    assert (refused.returncode, refused.stdout) == (
        1, "This service allows sftp connections only.\n",
    )  # fmt: skip


def test_logins_are_those_of_an_unprivileged_user(stack: Stack) -> None:
    """Permission errors and signals are as for real users."""
    assert ssh(stack, "bash", "id -u").strip() == str(stack.uid)
    assert stack.uid != 0
    assert client(stack, "bash", "touch /etc/testbed").returncode == 1


def test_the_login_host_is_reached_by_way_of_the_bastion_only(stack: Stack) -> None:
    """Where the kernel allows it; where it does not, the stack says so."""
    if not stack.isolated:
        pytest.skip(f"not isolated: {stack.why_not_isolated}")
    login = stack.endpoint("jump-bash")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((login.host, login.port), timeout=5)


def test_the_login_host_has_no_python(stack: Stack) -> None:
    """So that nothing that needs one can pass for a shell's work."""
    if not stack.python_free:
        pytest.skip("Python is hidden only in a namespace")
    done = client(stack, "jump-dash", f"python3 -c 0 || {shlex.quote(sys.executable)} -c 0")
    assert done.returncode != 0
    assert client(stack, "jump-dash", "true").returncode == 0


@pytest.mark.parametrize("name", ("bash", "jump-bash"))
def test_jobs_are_submitted_from_either_login_host(stack: Stack, name: str) -> None:
    """And their output appears in the home that both share."""
    home = stack.endpoint(name).home
    job = ssh(stack, name, "sbatch --parsable --wrap 'echo from $SLURMD_NODENAME'").strip()
    assert job in ssh(stack, name, "squeue -h -t all -o %i").split()
    output = Path(home, f"slurm-{job}.out")
    assert eventually(lambda: output.exists() and output.read_text().startswith("from n"))


def test_jobs_are_submitted_from_here(stack: Stack) -> None:
    """With nothing but Stack.environment, and still marked if they ask for no environment."""
    output = Path(stack.root, "local.out")
    script = ("--export=NONE", "-D", "/", "-o", str(output), "--wrap", "env; echo end")
    job = local(stack, "sbatch", "--parsable", *script).strip()
    assert eventually(lambda: output.exists() and "end\n" in output.read_text())
    assert stack.token in output.read_text()
    assert eventually(lambda: "COMPLETED" in local(stack, "squeue", "-h", "-j", job, "-t", "all",
                                                   "-o", "%T"))  # fmt: skip


def test_logins_can_be_counted_in_the_log(stack: Stack) -> None:
    """One line per login, in the log of the server that took it."""
    log = Path(stack.logs["sshd-login"])
    before = log.read_text().count("Accepted publickey")
    ssh(stack, "jump-bash", "true")
    assert log.read_text().count("Accepted publickey") == before + 1


def test_a_stack_survives_json(stack: Stack) -> None:
    """And an endpoint as well; an unknown name lists the known ones."""
    assert Stack.from_json(stack.to_json()) == stack
    assert StackSpec.from_json(StackSpec(jump=False).to_json()) == StackSpec(jump=False)
    jump = stack.endpoint("jump-bash")
    assert Endpoint.from_json(jump.to_json()) == jump
    with pytest.raises(KeyError, match="jump-busybox"):
        stack.endpoint("ksh")


def test_stopping_leaves_nothing_and_other_stacks_alone(stack: Stack) -> None:
    """Neither a process, not even a job or an orphan of a session, nor a directory."""
    other = PROVIDER.start(StackSpec(jump=False))
    ssh(other, "bash", "sleep 1000 >/dev/null 2>&1 & mkdir -p a/b && chmod 0 a")
    local(other, "sbatch", "--export=NONE", "-D", "/", "-o", "/dev/null", "--wrap", "sleep 1000")
    assert eventually(lambda: "R" in local(other, "squeue", "-h", "-o", "%t"))
    assert len(carriers(other.token)) > len(other.pids)
    PROVIDER.stop(Stack.from_json(other.to_json()))
    assert carriers(other.token) == []
    assert not Path(other.root).exists()
    PROVIDER.stop(other)
    assert ssh(stack, "jump-bash", "echo alive") == "alive\n"


def test_what_a_killed_runner_leaves_is_swept(stack: Stack) -> None:
    """Most dies with it; the next sweep ends the rest and removes the directory."""
    code = (
        "import sys, time; from transport_testbed.stack.native import NativeProvider\n"
        "from transport_testbed.stack import StackSpec\n"
        "print(NativeProvider().start(StackSpec()).to_json(), flush=True); time.sleep(600)"
    )
    with subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        lost = Stack.from_json(runner.stdout.readline().decode())
        ssh(lost, "jump-bash", "sleep 1000 >/dev/null 2>&1 &")
        runner.send_signal(signal.SIGKILL)
    assert eventually(lambda: len(carriers(lost.token)) <= 1, 3)
    # Another process may be at it, and done a moment later.
    PROVIDER.sweep()
    assert eventually(lambda: not Path(lost.root).exists())
    assert carriers(lost.token) == []
    assert ssh(stack, "bash", "echo alive") == "alive\n"


def test_a_kept_stack_outlives_its_runner_and_is_stopped_from_elsewhere() -> None:
    """What `up` and `down` do."""
    code = (
        "from transport_testbed.stack.native import NativeProvider\n"
        "from transport_testbed.stack import StackSpec\n"
        "print(NativeProvider().start(StackSpec(slurm=False), keep=True).to_json())"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, check=True)
    kept = Stack.from_json(done.stdout.decode())
    assert kept.root not in PROVIDER.sweep()
    assert ssh(kept, "jump-bash", "echo alive") == "alive\n"
    PROVIDER.stop(kept)
    assert carriers(kept.token) == []


@pytest.mark.parametrize("name", ("direct", "login"))
def test_a_broken_server_is_named_with_its_last_output(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Inside of the namespace and outside."""
    config = sshd._config

    def broken(site: Site, server: sshd.Server) -> str:
        return ("NoSuchOption yes\n" if server.name == name else "") + config(site, server)

    monkeypatch.setattr(sshd, "_config", broken)
    with pytest.raises(StackError) as caught:
        PROVIDER.start(StackSpec(slurm=False))
    assert caught.value.part == f"sshd-{name}"
    assert "NoSuchOption" in str(caught.value)


def test_without_namespaces_the_stack_comes_up_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container that may not make any."""
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted'; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    flat = PROVIDER.start(StackSpec(slurm=False))
    try:
        assert (flat.isolated, flat.python_free) == (False, False)
        assert "not permitted" in flat.why_not_isolated
        assert ssh(flat, "jump-bash", "echo alive") == "alive\n"
    finally:
        PROVIDER.stop(flat)
