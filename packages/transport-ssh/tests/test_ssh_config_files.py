"""A user's own configuration on disk: which files are read, which keys are there, what is told."""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from transport_core import ConfigurationError
from transport_ssh import Agent, PrivateKey, SSHOptions, SSHTransport, _ssh_files

Home = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Make ``~/.ssh`` with these files, keys and all; nothing of the machine is read."""
    real = pwd.getpwuid(os.getuid())
    entry = pwd.struct_passwd((*real[:5], str(tmp_path), real.pw_shell))
    monkeypatch.setattr("pwd.getpwuid", lambda uid: entry)
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(_ssh_files, "_SYSTEM_DIRECTORY", str(tmp_path / "etc"))

    def make(config: str | None = None, **files: str) -> Path:
        folder = tmp_path / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, text in {**files, **({} if config is None else {"config": config})}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        return folder

    return make


def test_a_name_becomes_options(home: Home) -> None:
    """The whole way: files, a jump host, keys, pins."""
    folder = home(
        "Include conf.d/*.conf\nHost *\nUser me\nIdentityFile ~/.ssh/key\n",
        **{"conf.d/b.conf": "Host h\nPort 7\nProxyJump gate\n"},
        **{"conf.d/a.conf": "Host h\nPort 6\n"},
        **{"conf.d/c.conf": "Host gate\nIdentityFile %d/.ssh/gatekey\n"},
        key="", gatekey="",
    )  # fmt: skip
    options = SSHOptions.from_ssh_config("h")
    assert [hop.label for hop in options.hops] == ["me@gate:22", "me@h:6"]
    assert [hop.auth for hop in options.hops] == [
        PrivateKey(f"{folder}/gatekey"),
        PrivateKey(f"{folder}/key"),
    ]
    assert options.known_hosts.paths[0] == f"{folder}/known_hosts"
    assert SSHTransport.from_ssh_config("h").name == "ssh://me@h:6"


def test_a_name_that_stands_nowhere_is_a_host(home: Home) -> None:
    """As for ssh, also where there is no configuration at all."""
    folder = home(id_ed25519="")
    options = SSHOptions.from_ssh_config("plain.example.org", user="u")
    assert options.label == "u@plain.example.org:22"
    assert options.auth == PrivateKey(f"{folder}/id_ed25519")


def test_the_system_comes_after_the_user(home: Home, tmp_path: Path) -> None:
    """Its includes are relative to its own directory."""
    home("User mine\n", key="")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ssh_config").write_text("User its\nInclude more\nIdentityFile ~/.ssh/key\n")
    (tmp_path / "etc/more").write_text("Port 9\n")
    assert SSHOptions.from_ssh_config("h").label == "mine@h:9"


def test_overrides_come_before_the_configuration(home: Home) -> None:
    """As on the command line: they decide, and take part in Match and tokens."""
    folder = home("User a\nPort 1\nMatch user b\nHostName %h.b\nIdentityFile ~/.ssh/%r.%p\n")
    options = SSHOptions.from_ssh_config("h", user="b", port=5, auth=PrivateKey(data=b"k"))
    assert options.label == "b@h.b:5"
    assert options.auth == PrivateKey(data=b"k")
    (folder / "b.5").touch(0o600)
    assert SSHOptions.from_ssh_config("h", user="b", port=5).auth == PrivateKey(f"{folder}/b.5")
    assert SSHOptions.from_ssh_config("h", identity="k", known_hosts="p").known_hosts.path == "p"
    assert SSHOptions.from_ssh_config("h", identity="k", max_sessions=3).max_sessions == 3


def test_a_way_that_is_given_replaces_the_jump_hosts(home: Home) -> None:
    """They are not even looked up; nor does it matter that there was a command."""
    home("Host h\nProxyJump gate\nHost gate\nPort x\nHost c\nProxyCommand nc\n")
    for name in ("h", "c"):
        assert SSHOptions.from_ssh_config(name, identity="k", via=()).via == ()


@pytest.mark.parametrize(
    ("config", "files", "said"),
    (
        ("", (), r"there is no key to log in with \(/.*/.ssh/id_rsa, .*IdentityFile.*auth="),
        ("IdentityFile ~/none\n", (), "there is no key .*/none"),
        ("PubkeyAuthentication no\n", ("id_rsa",), "keys are switched off"),
        ("", ("id_rsa", "id_ed25519"), r"several keys: /.*/id_rsa, /.*/id_ed25519 .*identity="),
        ("UserKnownHostsFile none\nGlobalKnownHostsFile none\n", ("id_rsa",), "no known_hosts"),
        ("CertificateFile ~/c\n", ("id_rsa",), "no CertificateFile is there: /.*/c"),
    ),
)
def test_a_key_is_not_guessed(home: Home, config: str, files: Iterable[str], said: str) -> None:
    """None, or which of several, is for the user to say."""
    home(config, **dict.fromkeys(files, ""))
    with pytest.raises(ConfigurationError, match=said):
        SSHOptions.from_ssh_config("h")


def test_of_several_keys_that_are_named_the_first_that_exists_is_offered(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """And no other; those passed over are told."""
    config = "IdentityFile ~/.ssh/none\nIdentityFile ~/.ssh/b\nIdentityFile ~/.ssh/c\n"
    folder = home(config, b="", c="")
    assert SSHOptions.from_ssh_config("h").auth == PrivateKey(f"{folder}/b")
    assert f"{folder}/b is offered, and no other; not {folder}/c" in caplog.text


def test_a_certificate_goes_with_its_key(home: Home) -> None:
    """The one that is named, or the one that stands beside the key; of several, one that exists."""
    folder = home(
        "IdentityFile ~/.ssh/key\nMatch host named\nCertificateFile ~/.ssh/none\n"
        "CertificateFile ~/.ssh/cert\n",
        key="", cert="", **{"key-cert.pub": ""},
    )  # fmt: skip
    for name, certificate in (("h", "key-cert.pub"), ("named", "cert")):
        auth = SSHOptions.from_ssh_config(name).auth
        assert auth == PrivateKey(f"{folder}/key", certificate=f"{folder}/{certificate}")


def test_another_way_to_log_in_replaces_the_keys(home: Home) -> None:
    """A key of the agent, for one; no file is looked for."""
    home("CertificateFile ~/none\n")
    assert SSHOptions.from_ssh_config("h", agent="SHA256:x").auth == Agent("SHA256:x")


def test_what_is_without_effect_is_told(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """A user may have counted on it; nothing is passed over in silence."""
    folder = home("ForwardAgent yes\nIdentityFile ~/.ssh/key\n", key="")
    with caplog.at_level(logging.INFO, "intercede.transport.ssh_config"):
        SSHOptions.from_ssh_config("h")
    assert f"for h: without effect here: ForwardAgent ({folder}/config:1)" in caplog.text


def test_a_file_that_others_can_write_is_refused(home: Home) -> None:
    """As OpenSSH does: it could send the login anywhere. One that is named by its path is read."""
    folder = home("Port 5\n")
    (folder / "config").chmod(0o620)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        SSHOptions.from_ssh_config("h", identity="k")
    assert SSHOptions.from_ssh_config("h", identity="k", path=folder / "config").port == 5


@pytest.mark.parametrize(
    ("config", "named"),
    (
        ("", False),
        ("Host hh\nPort 1\nHost *\nPort 2\n", False),
        ("Match all\nPort 1\n", False),
        ("Host h\nPort 1\n", True),
        ("Host *h\nPort 1\n", True),
        ("Match host h\nPort 1\n", True),
    ),
)
def test_a_name_that_no_block_is_for_may_be_misspelled(
    home: Home, config: str, named: bool
) -> None:
    """It is a host all the same, but where no key is found for it, that is worth a look."""
    home(config)
    with pytest.raises(ConfigurationError) as caught:
        SSHOptions.from_ssh_config("h")
    assert ("whether h is spelled" in str(caught.value.hint)) == (not named)


def test_a_process_whose_directory_is_gone_may_name_whole_paths(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others lead nowhere, which is told."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    home("Host h\nIdentityFile ~/.ssh/key\n", key="")
    assert SSHOptions.from_ssh_config("h").host == "h"
    home("Host h\nIdentityFile ~/.ssh/key\nUserKnownHostsFile pins\n", key="")
    with pytest.raises(ConfigurationError, match="leads nowhere"):
        SSHOptions.from_ssh_config("h")


def test_paths_are_whole_and_harmless_to_show(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is used later is used where it is used; what is told is told to a terminal."""
    monkeypatch.chdir(tmp_path)
    folder = home("IdentityFile .ssh/key\nUserKnownHostsFile .ssh/pins\n", key="")
    options = SSHOptions.from_ssh_config("h")
    assert options.auth == PrivateKey(f"{folder}/key")
    assert options.known_hosts.paths[0] == f"{folder}/pins"
    home("IdentityFile ~/\x1bx\n")
    for path in (None, tmp_path / "\x1bc"):
        with pytest.raises(ConfigurationError, match=r"\\x1b") as caught:
            SSHOptions.from_ssh_config("h", path=path)
        assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("alias", "options", "said"),
    (
        ("h", {"path": "/nowhere/config"}, "'/nowhere/config' cannot be read: No such file"),
        ("h", {"path": "/"}, "'/' cannot be read"),
        ("-h", {}, "alias must not begin"),
        ("u@h", {}, "a name or an address, and is 'u@h'"),
        ("", {}, "alias must be"),
        (None, {}, "alias must be"),
        ("h", {"user": 5}, "user must be"),
        ("h", {"port": "5"}, "port must be an int"),
        ("h", {"hots": "x", "identity": "k"}, "did you mean 'host'"),
        ("h", {"via": ()}, "there is no key"),
    ),
)
def test_what_is_asked_for_is_checked(
    home: Home, alias: Any, options: dict[str, Any], said: str
) -> None:
    """A typed error for each, and nothing else."""
    home()
    with pytest.raises(ConfigurationError, match=said):
        SSHOptions.from_ssh_config(alias, **options)


def test_a_user_without_an_entry_is_the_environments(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's user may be in no database."""
    folder = home()
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USER", "somebody")

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    options = SSHOptions.from_ssh_config("h", identity="k")
    assert options.user == "somebody"
    assert options.known_hosts.paths[0] == f"{folder}/known_hosts"
    assert os.environ["USER"] == "somebody"
