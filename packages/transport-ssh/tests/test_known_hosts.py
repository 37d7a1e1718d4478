"""The known_hosts files of a hop, one or several, there or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from transport_core import ConfigurationError
from transport_ssh import KnownHosts, SSHOptions
from transport_ssh._known_hosts import read_known_hosts

# An ed25519 key: its type, then 32 bytes.
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43


def line(host: str) -> str:
    """Return one pin."""
    return f"{host} ssh-ed25519 {BLOB}\n"


def test_all_files_that_exist_count(tmp_path: Path) -> None:
    """As with OpenSSH, of whose files most users have one; the others may be missing."""
    (tmp_path / "a").write_text(line("a") + "bad\n")
    (tmp_path / "b").write_bytes(b"worse\r\n\xff\n" + line("b").encode())
    paths = [str(tmp_path / name) for name in ("none", "a", "b")]
    pins, skipped = read_known_hosts(KnownHosts(path=paths))
    assert [pin.patterns for pin in pins] == [("a",), ("b",)]
    assert skipped == (f"{paths[1]} line 2", f"{paths[2]} line 1", f"{paths[2]} line 2")


def test_of_one_file_or_a_text_only_the_line_is_said(tmp_path: Path) -> None:
    """There is nothing to tell apart."""
    (tmp_path / "a").write_text("bad\n" + line("a"))
    for source in (KnownHosts(path=tmp_path / "a"), KnownHosts(text="bad\n" + line("a"))):
        pins, skipped = read_known_hosts(source)
        assert (len(pins), skipped) == (1, ("line 1",))


def test_no_file_at_all_is_an_error_that_names_them(tmp_path: Path) -> None:
    """And says what to do: there is no trust on first use."""
    source = KnownHosts(path=(tmp_path / "a", "~nobody-of-this-name/b"))
    with pytest.raises(ConfigurationError, match=r"/a', '~nobody-of-this-name/b' .*no such file"):
        read_known_hosts(source)


def test_a_file_that_is_there_has_to_be_readable(tmp_path: Path) -> None:
    """A pin that was not read might be the one that matters: a revoked key."""
    (tmp_path / "a").write_text(line("a"))
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_known_hosts(KnownHosts(path=(tmp_path / "a", tmp_path)))


def test_paths_are_one_or_several() -> None:
    """A list is kept as a tuple; none is an error."""
    assert KnownHosts(path="a").paths == ("a",)
    assert KnownHosts(path=["a", Path("b")]).paths == ("a", Path("b"))
    assert KnownHosts(text="").paths == ()
    with pytest.raises(ConfigurationError, match="at least one path"):
        KnownHosts(path=())
    plain = {"host": "h", "user": "u", "identity": "k", "known_hosts": ["a", "b"]}
    assert SSHOptions.from_mapping(plain).known_hosts.paths == ("a", "b")
