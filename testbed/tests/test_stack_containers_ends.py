"""How stacks in containers end, and what is left of them: nothing. Each test brings up its own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from transport_testbed.stack import Stack, StackError
from transport_testbed.stack._runs import Run, runs, state_directory
from transport_testbed.stack.containers import engine, images

from .containers_client import (
    PROVIDER,
    SPEC,
    container,
    eventually,
    left,
    need_containers,
    ssh,
)

need_containers()

# The first on a machine builds the images.
pytestmark = pytest.mark.timeout(300)

#: A program that starts a stack, says so, and waits to be killed.
RUNNER = """
import sys, time
from transport_testbed.stack import StackSpec
from transport_testbed.stack.containers import ContainersProvider
print(ContainersProvider().start(StackSpec(accounting=False), keep=KEEP).to_json(), flush=True)
"""


@contextmanager
def runner(*, keep: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that starts a stack, which it keeps or not; it is killed."""
    code = RUNNER.replace("KEEP", str(keep)) + "time.sleep(600)"
    with subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def started(process: subprocess.Popen[bytes]) -> Stack:
    """The stack that another process has started."""
    assert process.stdout is not None
    return Stack.from_json(process.stdout.readline().decode())


def listeners() -> set[tuple[str, int]]:
    """Addresses off loopback on which a program of the engine listens on this machine."""
    held = set()
    for entry in Path("/proc").iterdir():
        try:
            if (entry / "comm").read_text().startswith("docker"):
                held |= {os.readlink(each) for each in (entry / "fd").iterdir()}
        except (OSError, ValueError):
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path("/proc/net", table).read_text().splitlines()[1:]:
            local, state, inode = (row.split()[each] for each in (1, 3, 9))
            address, port = local.split(":")
            loopback = (
                address.endswith("7F") if table == "tcp" else address == "0" * 24 + "01000000"
            )
            if state == "0A" and not loopback and f"socket:[{inode}]" in held:
                found.add((address, int(port, 16)))
    return found


def test_two_stacks_side_by_side_share_nothing() -> None:
    """No port, key or secret; stopping one leaves the other, and of itself nothing."""
    before = listeners()
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: PROVIDER.start(SPEC), range(2))
    try:
        assert not listeners() - before
        assert not ports(one) & ports(two)
        assert not new(one) & new(two)
        for each in (one, two):
            assert ssh(each, "jump-bash", "sinfo -h -o %D").strip() == "2"
            container(each, "c1").exec_run("sleep 1000", detach=True)
        ssh(one, "bash", "sleep 1000 >/dev/null 2>&1 & mkdir -p a/b && chmod 0 a")
        assert left(one.token)
        PROVIDER.stop(Stack.from_json(one.to_json()))
        assert left(one.token) == []
        PROVIDER.stop(one)
        assert ssh(two, "jump-bash", "hostname").strip() == "login"
    finally:
        PROVIDER.stop(one)
        PROVIDER.stop(two)
    assert left(two.token) == []


def ports(stack: Stack) -> set[int]:
    """Ports of this machine that lead to a stack."""
    return {each.port for each in stack.endpoints if each.via is None}


def new(stack: Stack) -> set[bytes]:
    """All that has to be another one in each run; each is there once in this one too."""
    root = Path(stack.root)
    paths = [*(root / "secrets").iterdir(), root / "munge.key", *(root / "keys").glob("*.pub")]
    # A certified key is there twice, as it is signed twice.
    paths = [path for path in paths if path.name != "certified-stranger.pub"]
    found = {b" ".join(path.read_bytes().split()[:2]) for path in paths}
    assert len(found) == len(paths) > 20
    return found


def test_what_a_killed_runner_leaves_is_swept() -> None:
    """Several at once may sweep, one of them where the records of runs are out of sight.

    What is kept, by hand, or of a runner that lives is left alone.
    """
    docker = engine.client()
    with runner() as living:
        # The first start on a machine builds the images, and a container by hand needs one.
        alive = started(living)
        with by_hand() as (strange, network):
            with runner() as killed, runner(keep=True) as keeper:
                lost, kept = started(killed), started(keeper)
            try:
                assert left(lost.token)
                sweep_elsewhere()
                assert engine.containers(lost.token) == []
                assert engine.containers(kept.token)
                assert engine.containers(alive.token)
                with ThreadPoolExecutor(3) as pool:
                    list(pool.map(lambda _: PROVIDER.sweep(), range(3)))
                assert left(lost.token) == []
                assert ssh(alive, "jump-bash", "echo alive") == "alive\n"
                assert docker.containers.get(strange).status == "created"
                assert docker.networks.get(network)
                assert ssh(kept, "jump-bash", "echo kept") == "kept\n"
            finally:
                # What `down` does.
                PROVIDER.stop(kept)
    PROVIDER.sweep()
    assert left(kept.token) + left(alive.token) == []


def sweep_elsewhere() -> None:
    """Sweep in a process that has a /tmp of its own, as those of services have."""
    code = "from transport_testbed.stack.containers import ContainersProvider as P; P().sweep()"
    hidden = 'mount -t tmpfs none "$0" && exec "$@"'
    within = ("unshare", "-m", "sh", "-c", hidden, str(state_directory()))
    subprocess.run((*within, sys.executable, "-c", code), check=True)


@contextmanager
def by_hand() -> Iterator[tuple[str, str]]:
    """A container and a network as compose makes them for somebody who has no testbed."""
    labels = {engine.RUN: "by hand", engine.OWNER: ""}
    docker = engine.client()
    name = f"intercede-testbed-by-hand-{os.getpid()}"
    with ExitStack() as ours:
        network = docker.networks.create(name, internal=True, labels=labels)
        ours.callback(network.remove)
        made = docker.containers.create(f"{images.prefix()}/node", network=name, labels=labels)
        ours.callback(made.remove, force=True)
        yield made.id, network.id


@pytest.mark.parametrize("moment", ("compose was called", "the first container", "the accounts"))
def test_what_a_runner_leaves_that_is_killed_in_the_middle_is_swept(moment: str) -> None:
    """At once and for good: what it had told compose to do ends with it."""
    reached: dict[str, Callable[[Run], Any]] = {
        "compose was called": lambda run: compose_runs(run.token),
        "the first container": lambda run: engine.containers(run.token),
        "the accounts": lambda run: (run.root / "etc" / "passwd").exists(),
    }
    with runner() as process:
        mine: list[Run] = []

        def begun() -> bool:
            mine.extend(run for run in runs() if run.owner == process.pid)
            return bool(mine)

        assert eventually(begun, 30)
        run = mine[0]
        assert eventually(lambda: bool(reached[moment](run)), 250)
        process.kill()
        process.wait()
    PROVIDER.sweep()
    assert not compose_runs(run.token)
    # One order that was on its way may still be carried out; the next sweep has it.
    PROVIDER.sweep()
    assert left(run.token) == []


def compose_runs(token: str) -> bool:
    """Whether compose works for a run."""
    for entry in Path("/proc").iterdir():
        try:
            if f"-p\0intercede-{token[:12]}".encode() in (entry / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Path, list[Run]]]:
    """A copy of the images' folder, to be broken, and the runs that are made of it."""
    copy = tmp_path / "compose"
    shutil.copytree(images.folder(), copy, ignore=shutil.ignore_patterns("run"))
    usual = images.prefix()
    made: list[Run] = []
    create = Run.create

    def recorded(*, keep: bool) -> Run:
        made.append(create(keep=keep))
        return made[-1]

    monkeypatch.setattr(images, "folder", lambda: copy)
    monkeypatch.setattr(Run, "create", recorded)
    yield copy / "images", made
    assert images.prefix() != usual
    docker = engine.client()
    for host in images.HOSTS:
        if images.present(name := f"{images.prefix()}/{host}"):
            docker.images.remove(name)
    for run in made:
        # An image that is built twice would be here, as the one that lost its name.
        label = f"com.docker.compose.project=intercede-{run.token[:12]}"
        pruned = docker.images.prune(filters={"dangling": True, "label": label})
        assert not pruned["ImagesDeleted"]


def test_a_part_that_fails_is_named_with_its_last_words(broken: tuple[Path, list[Run]]) -> None:
    """And nothing is left of it, nor of the others."""
    folder, made = broken
    role = folder / "node" / "role"
    # The other node stays in order, so that it is known which of them fails.
    fails = "serve() { run odd sh -c 'echo out of order; exit 3'; }; healthy() { false; }"
    role.write_text(f'{role.read_text()}\n[ "$HOSTNAME" != c1 ] || {{\n{fails}\n}}\n')
    with pytest.raises(StackError) as caught:
        PROVIDER.start(SPEC)
    assert caught.value.part == "c1"
    assert "c1: has exited" in str(caught.value)
    words = "c1: odd ended; its last words:\nout of order"
    assert caught.value.output.endswith(words)
    assert [left(run.token) for run in made] == [[]]


def test_a_base_that_was_made_here_is_removed_as_the_images_are(tmp_path: Path) -> None:
    """By the label that compose/README.md names."""
    archive = tmp_path / "base.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(__file__, "file")
    name = f"intercede-testbed-{secrets.token_hex(8)}:made"
    images._import(archive, name)
    docker = engine.client()
    try:
        asked = {"label": images.LABEL.partition("=")[0]}
        assert name in [tag for each in docker.images.list(filters=asked) for tag in each.tags]
    finally:
        docker.images.remove(name)
