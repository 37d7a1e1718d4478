"""A local destination: whole or not at all, and never outside."""

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from transport_core import SizeMismatchError, UnsafePathError
from transport_core.authoring import Landing


@contextlib.contextmanager
def landing(path: Path, *, overwrite: bool = True, parents: bool = False) -> Iterator[Landing]:
    with Landing(os.fsencode(path), overwrite=overwrite, parents=parents) as found:
        yield found


def write(
    place: Landing, *path: bytes, data: bytes = b"new", size: int | None = 3, mode: int = 0o640
) -> None:
    with place.new_file(path, size=size, mode=mode) as file:
        file.write(data)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_stands_whole_with_its_mode_and_was_private_before(tmp_path: Path) -> None:
    with landing(tmp_path / "f") as place, place.new_file((), size=3, mode=0o640) as file:
        (temp,) = names(tmp_path)
        assert temp.startswith(".intercede-")
        assert mode_of(tmp_path / temp) == 0o600
        file.write(b"new")
    assert names(tmp_path) == ["f"]
    assert mode_of(tmp_path / "f") == 0o640


@pytest.mark.parametrize(("data", "size"), [(b"ab", 3), (b"abcd", 3), (b"", 1), (b"a", 0)])
def test_another_size_than_announced_leaves_the_old(data: bytes, size: int, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with landing(tmp_path / "f") as place, pytest.raises(SizeMismatchError):
        write(place, data=data, size=size)
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_an_exception_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")

    def half(file: BinaryIO) -> None:
        file.write(b"half")
        raise ZeroDivisionError

    with (
        landing(tmp_path / "f") as place,
        pytest.raises(ZeroDivisionError),
        place.new_file((), size=None, mode=0o600) as file,
    ):
        half(file)
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_without_overwrite_what_comes_meanwhile_is_kept(tmp_path: Path) -> None:
    with landing(tmp_path / "f", overwrite=False) as place:
        with pytest.raises(FileExistsError), place.new_file((), size=None, mode=0o600):
            (tmp_path / "f").write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            write(place)
    assert (tmp_path / "f").read_bytes() == b"mine"
    assert names(tmp_path) == ["f"]


def test_without_overwrite_a_tree_is_new(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with landing(tmp_path / "there", overwrite=False) as place, pytest.raises(FileExistsError):
        place.make_directory((), 0o755)
    with landing(tmp_path / "new", overwrite=False) as place:
        place.make_directory((), 0o755)
        write(place, b"f")
        place.make_link((b"l",), b"f")
        with pytest.raises(FileExistsError):
            place.make_link((b"l",), b"f")
        place.finish()
    assert names(tmp_path / "new") == ["f", "l"]


def test_a_directory_without_write_permission_is_filled_first(tmp_path: Path) -> None:
    with landing(tmp_path / "t") as place:
        place.make_directory((), 0o500)
        place.make_directory((b"d",), 0o000)
        write(place, b"d", b"f")
        assert mode_of(tmp_path / "t" / "d") == 0o700
        place.finish()
    assert mode_of(tmp_path / "t") == 0o500
    assert mode_of(tmp_path / "t" / "d") == 0
    (tmp_path / "t").chmod(0o700)
    (tmp_path / "t" / "d").chmod(0o700)


def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir(0o711)
    with landing(tmp_path / "t") as place:
        place.make_directory((), 0o755)
        place.finish()
    assert mode_of(tmp_path / "t") == 0o711


def test_a_file_replaces_no_directory_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    with landing(tmp_path / "d") as place, pytest.raises(IsADirectoryError):
        write(place)
    with landing(tmp_path / "f") as place, pytest.raises(NotADirectoryError):
        place.make_directory((), 0o755)
    with landing(tmp_path) as place, pytest.raises(OSError, match="directory"):
        place.make_link((b"d",), b"f")
    assert names(tmp_path) == ["d", "f"]


@pytest.mark.parametrize("name", [b"..", b".", b"", b"a/b", b"/x", b"a\0"])
def test_a_member_s_name_cannot_lead_out(name: bytes, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    with landing(tmp_path / "t") as place:
        for path in ((name,), (name, b"f")):
            with pytest.raises(UnsafePathError):
                write(place, *path)
            with pytest.raises(UnsafePathError):
                place.make_directory(path, 0o755)
    assert names(tmp_path) == ["t"]


def test_a_link_that_is_in_the_way_is_neither_followed_nor_written_through(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_bytes(b"old")
    tree = tmp_path / "t"
    tree.mkdir()
    (tree / "d").symlink_to(tmp_path / "outside")
    (tree / "f").symlink_to(tmp_path / "outside" / "f")
    with landing(tree) as place:
        with pytest.raises(UnsafePathError):
            write(place, b"d", b"f")
        with pytest.raises(UnsafePathError):
            place.make_directory((b"d",), 0o755)
        write(place, b"f")  # the link itself is replaced
    assert (tmp_path / "outside" / "f").read_bytes() == b"old"
    assert (tree / "f").read_bytes() == b"new"
    assert not (tree / "f").is_symlink()


def test_the_root_may_be_a_link_that_the_caller_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with landing(tmp_path / "link") as place:
        place.make_directory((), 0o755)
        write(place, b"f")
        place.finish()
    assert names(tmp_path / "real") == ["f"]


def test_links_stay_inside_unless_told_otherwise(tmp_path: Path) -> None:
    with landing(tmp_path) as place:
        with pytest.raises(UnsafePathError):
            place.make_link((b"out",), b"/etc/passwd")
        place.make_link((b"out",), b"/etc/passwd", inside=False)
        place.make_link((b"in",), b"out")
    assert names(tmp_path) == ["in", "out"]


def test_parents_and_odd_destinations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        Landing(b"a/b/c", overwrite=True, parents=False)
    with Landing(b"a/b/c", overwrite=True, parents=True) as place:
        write(place)
    with Landing(b"plain", overwrite=True, parents=True) as place:
        write(place)
    with Landing(b"slash/", overwrite=True, parents=False) as place:
        place.make_directory((), 0o755)
    for here in (b".", b"./", b"a/..", b"/"):
        with Landing(here, overwrite=True, parents=False) as place:
            place.make_directory((), 0o755)
            with pytest.raises(IsADirectoryError):
                write(place)
    assert names(tmp_path) == ["a", "plain", "slash"]


def test_parents_as_deep_as_a_path_can_be_are_made(tmp_path: Path) -> None:
    deep = os.fsencode(tmp_path) + b"/d" * 1500
    try:
        with Landing(deep + b"/f", overwrite=True, parents=True) as place:
            write(place)
        assert os.path.isfile(deep + b"/f")
    finally:  # what pytest removes folders with is recursive, and would fail
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


@pytest.mark.parametrize("above", [b"f", b"dangling", b"f/x", b"dangling/x"])
def test_parents_are_not_made_where_something_else_stands(above: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(NotADirectoryError):
        Landing(os.fsencode(tmp_path) + b"/" + above + b"/f", overwrite=True, parents=True)
    assert names(tmp_path) == ["dangling", "f"]


def test_a_tree_does_not_go_where_a_link_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "t").symlink_to("nowhere")
    with landing(tmp_path / "t") as place, pytest.raises(NotADirectoryError):
        place.make_directory((), 0o755)
    with landing(tmp_path / "t", overwrite=False) as place, pytest.raises(FileExistsError):
        place.make_directory((), 0o755)


def test_a_setgid_bit_that_a_new_directory_inherits_stays(tmp_path: Path) -> None:
    """Whoever shares a project's directory relies on it."""
    tmp_path.chmod(0o2775)
    with landing(tmp_path / "t") as place:
        place.make_directory((), 0o755)
        place.make_directory((b"d",), 0o700)
        write(place, b"f", mode=0o644)
        place.finish()
    assert mode_of(tmp_path / "t") == 0o2755
    assert mode_of(tmp_path / "t" / "d") == 0o2700
    assert mode_of(tmp_path / "t" / "f") == 0o644


def test_a_drop_box_that_nobody_may_list_takes_files_and_trees(tmp_path: Path) -> None:
    """In a process of a user who may not read it."""
    script = (
        "import os, sys; from transport_core.authoring import Landing\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "for name in (b'f', b'there'):\n"
        "    with Landing(name, overwrite=True, parents=False) as place:\n"
        "        if name == b'there': place.make_directory((), 0o755)\n"
        "        path = (b'f',) if name == b'there' else ()\n"
        "        with place.new_file(path, size=3, mode=0o640) as file: file.write(b'new')\n"
        "        place.finish()\n"
    )
    (tmp_path / "there").mkdir()
    for shut in (tmp_path / "there", tmp_path):
        shut.chmod(0o333)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    for shut in (tmp_path, tmp_path / "there"):
        shut.chmod(0o755)
    assert done.stderr == ""
    assert (tmp_path / "f").read_bytes() == (tmp_path / "there" / "f").read_bytes() == b"new"


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    place = Landing(os.fsencode(tmp_path / "t"), overwrite=True, parents=False)
    place.make_directory((), 0o755)
    place.make_directory((b"d",), 0o755)
    with contextlib.suppress(UnsafePathError):
        write(place, b"d", b"..")
    write(place, b"d", b"f")
    place.finish()
    place.close()
    place.close()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_pipe_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    os.mkfifo(tmp_path / "f")
    with landing(tmp_path / "f", overwrite=overwrite) as place:
        with pytest.raises(UnsafePathError):
            write(place)
        with pytest.raises(UnsafePathError):
            place.make_link((), b"x", inside=False)
    assert stat.S_ISFIFO((tmp_path / "f").lstat().st_mode)
    assert names(tmp_path) == ["f"]
