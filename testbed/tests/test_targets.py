"""The bridge: places of a real stack, looked at and broken by OpenSSH's own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from transport_testbed import _state
from transport_testbed.conformance import HarnessError, Target
from transport_testbed.conformance._target import NotOfferedError
from transport_testbed.stack import Stack, providers
from transport_testbed.targets import ENDPOINTS, Places


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """A stack and its places; without one there is nothing to test here."""
    if reason := providers()[0].unavailable():
        pytest.skip(f"no stack here: {reason}")
    found = Places("auto", str(tmp_path_factory.mktemp("shared") / "stack.json"))
    found.start(["direct"])
    yield found
    found.stop()


def client(places: Places, target: Target, command: str) -> subprocess.Popen[bytes]:
    """Start OpenSSH's client of the stack."""
    stack: Stack = places.shared.get()
    known, config = Path(stack.root, "known"), Path(stack.root, "config")
    known.write_text("".join(each.known_hosts for each in stack.endpoints))
    config.write_text(_state.ssh_config(stack, known))
    argv = [str(Path(stack.root, "openssh", "ssh")), "-F", str(config)]
    argv += [target.facts["endpoint"].name, command]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def await_file(target: Target, name: bytes) -> None:
    """Wait until a session has made a file in the directory of the test."""
    end = time.monotonic() + 10
    while target.probe.lstat(os.fsencode(target.workdir) + b"/" + name) is None:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_every_place_opens_with_a_directory_that_its_login_can_write(places: Places) -> None:
    """Fresh for each test, and gone after it, whatever is in it then."""
    seen = []
    for name in places.names:
        with places.open(name) as target:
            found = os.stat(target.workdir)
            assert os.path.isabs(target.workdir)
            assert found.st_uid == (places.shared.get().uid if name in ENDPOINTS else os.geteuid())
            target.probe.make_dir(os.fsencode(target.workdir) + b"/closed", 0o000)
            seen.append(target.workdir)
            assert not set(target.offers) & set(target.not_offered)
    assert len(set(seen)) == len(seen)
    assert not [path for path in seen if os.path.exists(path)]


@pytest.mark.parametrize("name", ["direct", "jump", "noisy-fish"])
def test_logins_are_counted_and_cut(places: Places, name: str) -> None:
    """One login is one; a cut ends it, and only sessions of this target."""
    with places.open(name, alone=True) as target:
        before = target.probe.logins()
        with client(places, target, f"touch {target.workdir}/in; sleep 60") as session:
            await_file(target, b"in")
            after = target.probe.logins()
            assert target.faults is not None
            with target.faults.cut() as ended:
                assert ended >= 1
            assert session.wait(10) == 255
        assert before is not None
        assert after == before + 1
        with pytest.raises(HarnessError), target.faults.cut():
            pass


@pytest.mark.parametrize("what", ["freeze", "freeze_hop"])
def test_frozen_sessions_answer_when_they_go_on(places: Places, what: str) -> None:
    """Nothing comes while they are stopped, at the target or the hop; nothing is lost by it."""
    with places.open("jump", alone=True) as target:
        command = f"touch {target.workdir}/in; read x; echo $x"
        with client(places, target, command) as session:
            await_file(target, b"in")
            with getattr(target.faults, what)() as stopped:
                assert stopped >= 1
                with pytest.raises(subprocess.TimeoutExpired):
                    session.communicate(b"word\n", timeout=0.2)
            assert session.communicate(timeout=10)[0] == b"word\n"
            assert session.returncode == 0


@pytest.mark.parametrize("name", ["direct", "jump"])
def test_a_server_shows_another_host_key_for_a_while(places: Places, name: str) -> None:
    """Who pins the old one is not let in by his own client, and tries no login; then he is."""
    with places.open(name, alone=True) as target:
        assert target.faults is not None
        with client(places, target, "true") as session:
            assert session.wait(10) == 0
        before = target.probe.attempts()
        assert before
        with target.faults.new_host_key(), client(places, target, "true") as session:
            assert session.wait(10) == 255
        assert target.probe.attempts() == before
        with client(places, target, "true") as session:
            assert session.wait(10) == 0
        after = target.probe.attempts()
        assert after is not None
        assert after > before


def test_what_others_use_is_not_broken(places: Places) -> None:
    """A place that is not alone on its server does not change its key; direct has no hop."""
    with places.open("direct") as target:
        assert target.faults is not None
        with pytest.raises(HarnessError, match="shares"), target.faults.new_host_key():
            pass
        with pytest.raises(HarnessError, match="no hop"), target.faults.freeze_hop():
            pass


def test_facts(places: Places) -> None:
    """Of each kind of place, and for the report."""
    offers = {}
    for name in ("here", "stack", "direct", "jump", "noisy-bash", "jump-noisy-zsh"):
        with places.open(name) as target:
            offers[name] = target.offers
    assert "slurm" in offers["stack"] & offers["direct"] & offers["jump"]
    assert "noisy-rc" in offers["noisy-bash"] & offers["jump-noisy-zsh"]
    assert "jump" in offers["jump"] & offers["jump-noisy-zsh"]
    assert "cut" not in offers["here"]
    assert places.facts()["provider"] == "native"


def test_configurations_lead_where_openssh_goes(places: Places) -> None:
    """The right one and its variants, as its own client follows them."""
    with places.open("ssh-config") as target:
        openssh = Path(places.shared.get().root, "openssh", "ssh")

        def home(variant: str) -> str | None:
            facts = (target.as_variant(variant) if variant else target).facts
            argv = [openssh, "-F", facts["ssh_config"], "-o", "BatchMode=yes"]
            done = subprocess.run(
                [*argv, target.facts["alias"], "printenv", "HOME"],
                capture_output=True, text=True, check=False, timeout=30,
            )  # fmt: skip
            return done.stdout.strip() if done.returncode == 0 else None

        found = {name: home(name) for name in ("", *target.variants)}
        rights = {name: found.pop(name) for name in ("", "another spelling", "another user")}
        assert rights[""] == rights["another spelling"] == target.facts["home"]
        assert rights["another user"] == target.variants["another user"]["home"]
        # Refused here for what they are, and not because they would not work.
        for name in (
            "a condition that is a program",
            "no check of host keys",
            "names from a resolver",
        ):
            assert found.pop(name) == target.facts["home"], name
        assert set(found.values()) == {None}, found


def test_without_a_stack_places_say_why(tmp_path: Path) -> None:
    """One's own directory is there all the same."""
    found = Places("none", str(tmp_path / "stack.json"))
    found.start(["here"])
    assert found.facts() == {}
    with pytest.raises(NotOfferedError, match="none"), found.open("direct"):
        pass
    with found.open("here") as target:
        assert target.probe.listdir(os.fsencode(target.workdir)) == []
    found.stop()
    assert not list(tmp_path.iterdir())


def test_a_worker_that_was_told_of_no_stack_has_an_error(tmp_path: Path) -> None:
    """It starts none of its own."""
    worker = Places("auto", str(tmp_path / "stack.json"), mine=False)
    with pytest.raises(HarnessError, match="controlling process"), worker.open("direct"):
        pass


#: A program that opens a place and says where it keeps what; it is killed then.
RUNNER = """
import os, sys, time
from pathlib import Path
from transport_testbed.targets import Places
places = Places("native", sys.argv[1])
places.start(["direct"] if sys.argv[2] == "direct" else [])
with places.open(sys.argv[2]) as target:
    os.mkdir(target.workdir + "/closed", 0)
    print(target.workdir, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("name", ("here", "direct"))
def test_what_a_killed_run_leaves_is_removed_by_the_next(
    places: Places, tmp_path: Path, name: str
) -> None:
    """Its directories, and what it knew of a stack; a secret is in no other file."""
    file = tmp_path / "stack.json"
    argv = (sys.executable, "-c", RUNNER, str(file), name)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        workdir = Path(os.fsdecode(killed.stdout.readline().strip()))
        assert (workdir / "closed").is_dir()
        if name == "direct":
            described = Path(json.loads(file.read_text())["stack"])
            secret = Stack.from_json(described.read_text()).endpoint("auth-password").secret
            assert secret not in file.read_text()
            assert described.stat().st_mode & 0o077 == 0
            assert workdir.is_relative_to(described.parent)
        killed.kill()
    after = Places("none", str(tmp_path / "another.json"))
    with after.open("here"):
        # Another process may be at it, and done a moment later.
        end = time.monotonic() + 10
        while workdir.parent.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
    after.stop()
