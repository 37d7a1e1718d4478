"""What a local path holds."""

import os
import socket
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from transport_core import (
    IsADirectoryTransferError,
    NotADirectoryTransferError,
    Symlinks,
    TransferError,
    UnsafePathError,
)
from transport_core.authoring import Entry, EntryKind, open_source, require_kind, scan


def listed(root: Path, symlinks: Symlinks = Symlinks.KEEP) -> list[tuple[bytes, EntryKind]]:
    return [(b"/".join(entry.path), entry.kind) for entry in scan(os.fsencode(root), symlinks)]


def test_a_file_is_its_own_root(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    (tmp_path / "f").chmod(0o4751)
    (tmp_path / "link").symlink_to("f")
    for name in ("f", "link"):
        (entry,) = scan(os.fsencode(tmp_path / name), Symlinks.KEEP)
        assert entry == Entry(path=(), kind=EntryKind.FILE, size=3, mode=0o751)


def test_directories_come_before_their_members_in_order(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "x").touch()
    (tmp_path / "a").touch()
    (tmp_path / "c").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    assert listed(tmp_path) == [
        (b"", EntryKind.DIRECTORY), (b"a", EntryKind.FILE), (b"b", EntryKind.DIRECTORY),
        (b"b/deep", EntryKind.DIRECTORY), (b"b/x", EntryKind.FILE), (b"c", EntryKind.LINK),
        (b"\xff", EntryKind.FILE),
    ]  # fmt: skip


def test_links_are_kept_with_their_target_or_followed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch()
    (tmp_path / "to-d").symlink_to("d")
    assert listed(tmp_path)[-1] == (b"to-d", EntryKind.LINK)
    assert list(scan(os.fsencode(tmp_path), Symlinks.KEEP))[-1].target == b"d"
    assert listed(tmp_path, Symlinks.FOLLOW)[-1] == (b"to-d/f", EntryKind.FILE)


def test_an_endless_tree_ends(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "up").symlink_to("..")
    with pytest.raises(TransferError, match="endless"):
        listed(tmp_path, Symlinks.FOLLOW)
    (tmp_path / "a-loop").symlink_to("a-loop")
    with pytest.raises(OSError, match="a-loop"):
        listed(tmp_path, Symlinks.FOLLOW)


def test_special_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnsafePathError):
        listed(tmp_path)
    with pytest.raises(UnsafePathError):
        listed(Path("/dev/null"))
    with socket.socket(socket.AF_UNIX) as listener:
        (tmp_path / "s").mkdir()
        listener.bind(str(tmp_path / "s" / "x"))
        with pytest.raises(UnsafePathError):
            listed(tmp_path / "s")


def test_a_tree_as_deep_as_a_path_can_be_is_listed(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    depth = 1200
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    try:
        assert len(listed(tmp_path)) == depth + 1
    finally:  # what pytest removes folders with is recursive, and would fail
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_what_is_missing_is_the_operating_system_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        listed(tmp_path / "absent")


@pytest.mark.parametrize(
    ("kind", "tree", "error"),
    [
        (None, True, None),
        (None, False, None),
        ("file", False, None),
        ("tree", True, None),
        ("file", True, IsADirectoryTransferError),
        ("tree", False, NotADirectoryTransferError),
        ("folder", False, ValueError),
    ],
)
def test_a_caller_can_insist(kind: Any, *, tree: bool, error: type[Exception] | None) -> None:
    if error is None:
        require_kind(kind, is_tree=tree)
    else:
        with pytest.raises(error):
            require_kind(kind, is_tree=tree)


def test_of_a_directory_only_its_names_are_kept(tmp_path: Path) -> None:
    """Of 5000 members deep in a tree: 100 bytes each, where a path and a set each were 1700."""
    deep = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyz")
    deep.mkdir(parents=True)
    for number in range(5000):
        (deep / f"{number:04}").touch()
    entries = scan(os.fsencode(tmp_path), Symlinks.KEEP)
    tracemalloc.start()
    try:
        next(entry for entry in entries if entry.kind is EntryKind.FILE)
        assert tracemalloc.get_traced_memory()[0] < 5000 * 100
    finally:
        tracemalloc.stop()
        list(entries)


def test_a_source_that_cannot_be_opened_leaves_no_descriptor(tmp_path: Path) -> None:
    """A directory above all: it can be opened, and is no file."""
    before = os.listdir("/proc/self/fd")
    (tmp_path / "link").symlink_to("f")
    for path, follow, kind in (
        (tmp_path, True, IsADirectoryError),
        (tmp_path / "f", True, FileNotFoundError),
        (tmp_path / "link", False, OSError),
    ):
        with pytest.raises(kind):
            open_source(path, follow=follow)
    assert os.listdir("/proc/self/fd") == before


def test_a_pipe_is_opened_without_its_writer(tmp_path: Path) -> None:
    """So that the caller can see what it is."""
    os.mkfifo(tmp_path / "p")
    with open_source(os.fsencode(tmp_path / "p")) as file:
        assert not os.path.isfile(f"/proc/self/fd/{file.fileno()}")
