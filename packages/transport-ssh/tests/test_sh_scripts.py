"""Files by ``sh``: the scripts as real shells run them, and how their answers are read."""

import errno
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from transport_core import AlreadyExistsError, SizeMismatchError, UnsafePathError
from transport_core.authoring import EntryKind
from transport_ssh import _sh_scripts as scripts
from transport_ssh._tree import Found, parent_of, temp_beside

APPLETS = ("cat", "chmod", "df", "ln", "ls", "mkdir", "mv", "printf", "readlink", "rm")
SHELLS = [name for name in ("dash", "bash", "busybox", "mksh") if shutil.which(name)]
NAMES = [
    b"-rf", b"a b", b"new\nline", b"end\n", b"*", b"[a]", b"$x`id`", b"\\", b"'\"", b" -> ",
    b".dot", b"..two", b"...", b".[!.]*", b"\xff\xfe", b"n" * 255,
]  # fmt: skip


class Shell:
    """One shell, with the utilities that come with it."""

    def __init__(self, name: str, folder: Path) -> None:
        self._program = shutil.which(name) or name
        self.path = os.environ["PATH"]
        if name == "busybox":
            folder.mkdir()
            for applet in APPLETS:
                (folder / applet).symlink_to(self._program)
            self.path = str(folder)

    def run(
        self,
        argv: tuple[bytes, ...],
        stdin: bytes = b"",
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> bytes:
        """Run a script to its end; its failure is the error that it stands for."""
        done = subprocess.run(
            argv,
            executable=self._program,
            input=stdin,
            env={"PATH": self.path, "LANG": "C.UTF-8", **env},
            capture_output=True,
            timeout=20,
            check=False,
        )
        if done.returncode:
            raise scripts.failure(done.returncode, done.stderr)
        return done.stdout

    def look(
        self, path: bytes, *, follow: bool = False, env: Mapping[str, str] = MappingProxyType({})
    ) -> Found:
        """Return what stands there."""
        argv = scripts.look(path, follow=follow)
        line, target, _ = self.run(argv, env=env).split(b"\0")
        return scripts.found(line, argv[-1], target)

    def put(
        self, path: bytes, data: bytes, *, size: int | None = None, overwrite: bool = True
    ) -> None:
        """Write a file."""
        argv = scripts.put_file(
            path, temp_beside(path), parent_of(path), overwrite=overwrite,
            size=len(data) if size is None else size, mode=0o640,
        )  # fmt: skip
        self.run(argv, data)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    """Each shell that is there."""
    return Shell(request.param, tmp_path / "applets")


@pytest.fixture
def place(tmp_path: Path) -> bytes:
    """A directory of its own."""
    (tmp_path / "place").mkdir()
    return os.fsencode(tmp_path / "place")


def test_a_directory_is_listed_with_every_name(shell: Shell, place: bytes) -> None:
    """Hidden ones too, each as it is, whatever the pieces are in which the answer comes."""
    for number, name in enumerate(NAMES):
        with open(os.path.join(place, name), "wb") as file:
            file.write(b"x" * number)
    os.mkdir(place + b"/folder", 0o750)
    os.symlink(b"to \n -> \xff\n", place + b"/link")
    os.mkfifo(place + b"/pipe")
    told = shell.run(scripts.members(place))
    for step in (1, len(told)):
        listing = scripts.Members(place)
        pieces = [told[at : at + step] for at in range(0, len(told), step)]
        found = {name: each for piece in pieces for name, each in listing.feed(piece)}
        assert set(found) == {*NAMES, b"folder", b"link", b"pipe"}
        assert [found[name].size for name in NAMES] == list(range(len(NAMES)))
        assert found[b"folder"].kind is EntryKind.DIRECTORY
        assert found[b"folder"].mode == 0o750
        assert (found[b"link"].kind, found[b"link"].target) == (EntryKind.LINK, b"to \n -> \xff\n")
        assert found[b"pipe"].kind is None
    assert shell.run(scripts.members(place + b"/folder")) == b""
    for path, kind in ((b"/a b", NotADirectoryError), (b"/no", FileNotFoundError)):
        with pytest.raises(kind):
            shell.run(scripts.members(place + path))


def test_what_stands_at_a_path_is_told(shell: Shell, place: bytes) -> None:
    """Itself or what it leads to, whatever the environment says of formats."""
    os.chmod(place, 0o4751)
    file = place + b"/-file"
    with open(file, "wb") as new:
        new.write(b"12345")
    os.chmod(file, 0o6711)
    os.symlink(b"-file", place + b"/link")
    strange = {"TIME_STYLE": "full-iso", "QUOTING_STYLE": "c", "BLOCK_SIZE": "1K", "LS_COLORS": "x"}
    assert shell.look(file, env=strange) == Found(kind=EntryKind.FILE, size=5, mode=0o711)
    assert shell.look(place + b"/link").target == b"-file"
    assert shell.look(place + b"/link", follow=True).size == 5
    assert shell.look(place + b"/").mode == 0o751
    assert shell.look(b"/dev/null").kind is None
    for path, kind in (
        (place + b"/no/such", FileNotFoundError),
        (file + b"/below", NotADirectoryError),
        (file + b"/much/further/below", NotADirectoryError),
        (file + b"/", NotADirectoryError),
    ):
        with pytest.raises(kind):
            shell.look(path)
    with pytest.raises(OSError, match=os.strerror(errno.ENAMETOOLONG)):
        shell.look(place + b"/" + b"n" * 300)


def test_a_file_is_put_whole_under_its_name(shell: Shell, place: bytes) -> None:
    """New, over an old one, over a link, and never over a directory."""
    for name in (*NAMES, b"old"):
        path = os.path.join(place, name)
        for data in (b"", b"\0\xff" * 50_000):
            shell.put(path, data)
            assert Path(os.fsdecode(path)).read_bytes() == data
        assert os.stat(path).st_mode & 0o7777 == 0o640
    os.mkdir(place + b"/folder")
    os.symlink(b"folder", place + b"/to-folder")
    os.symlink(b"old", place + b"/to-file")
    with pytest.raises(IsADirectoryError):
        shell.put(place + b"/folder", b"x")
    shell.put(place + b"/to-file", b"new")
    assert Path(os.fsdecode(place + b"/to-file")).read_bytes() == b"new"
    assert os.path.getsize(place + b"/old") == 100_000
    try:
        shell.put(place + b"/to-folder", b"x")  # replaced where mv can, or refused
    except IsADirectoryError:
        assert os.readlink(place + b"/to-folder") == b"folder"
    assert os.listdir(place + b"/folder") == []
    assert {name for name in os.listdir(place) if name.startswith(b".intercede")} == set()


def test_without_overwrite_nothing_is_replaced(shell: Shell, place: bytes) -> None:
    """Neither a file, a directory, nor a link that leads nowhere."""
    shell.put(place + b"/file", b"old", overwrite=False)
    os.mkdir(place + b"/folder")
    os.symlink(b"nowhere", place + b"/link")
    for name in (b"/file", b"/folder", b"/link"):
        with pytest.raises(AlreadyExistsError):
            shell.put(place + name, b"new", overwrite=False)
        argv = scripts.put_link(
            place + name, temp_beside(place + name), place, overwrite=False, points_to=b"-x"
        )
        with pytest.raises(AlreadyExistsError):
            shell.run(argv)
    assert Path(os.fsdecode(place + b"/file")).read_bytes() == b"old"
    assert sorted(os.listdir(place)) == [b"file", b"folder", b"link"]


def test_a_file_that_ends_early_or_late_is_not_there(shell: Shell, place: bytes) -> None:
    """What stood under the name stays, and nothing stands beside it."""
    shell.put(place + b"/file", b"old")
    for size in (2, 4):
        with pytest.raises(SizeMismatchError):
            shell.put(place + b"/file", b"new", size=size)
    assert Path(os.fsdecode(place + b"/file")).read_bytes() == b"old"
    assert os.listdir(place) == [b"file"]


def test_links_and_directories_are_made(shell: Shell, place: bytes) -> None:
    """A directory that is there is said to be; what else is there is an error."""
    link = place + b"/-link"
    for target in (b"-rf", b"a\nb\n", b"\xff"):
        argv = scripts.put_link(link, temp_beside(link), place, overwrite=True, points_to=target)
        shell.run(argv)
        assert os.readlink(link) == target
    folder = place + b"/-d"
    assert shell.run(scripts.make_directory(folder, place, follow=False)) == b"made\n"
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert shell.run(scripts.make_directory(folder, place, follow=False)) == b"there\n"
    os.symlink(b"-d", place + b"/to-d")
    to_d = place + b"/to-d"
    assert shell.run(scripts.make_directory(to_d, place, follow=True)) == b"there\n"
    for path, parent in ((to_d, place), (link, place), (link + b"/x", link)):
        with pytest.raises((NotADirectoryError, FileNotFoundError)):
            shell.run(scripts.make_directory(path, parent, follow=False))
    shell.run(scripts.make_parents(place + b"/a/-b/c"))
    assert os.path.isdir(place + b"/a/-b/c")
    for given in (0o700, 0o2700):  # a setgid bit that it was given stays
        os.chmod(folder, given)
        shell.run(scripts.set_mode(folder, 0o511))
        assert os.stat(folder).st_mode & 0o7777 == 0o511 | given & 0o2000
    shell.put(place + b"/plain", b"")
    with pytest.raises(NotADirectoryError):
        shell.run(scripts.make_parents(place + b"/plain/x/y"))
    with pytest.raises(NotADirectoryError):
        shell.put(place + b"/plain/x", b"")
    with pytest.raises(FileNotFoundError):
        shell.put(place + b"/no/x", b"")
    with pytest.raises(FileNotFoundError):
        shell.run(scripts.set_mode(place + b"/no", 0o700))


def test_a_file_is_read_and_nothing_else(shell: Shell, place: bytes) -> None:
    """A pipe would be waited for."""
    shell.put(place + b"/-", b"\0content\n")
    os.mkfifo(place + b"/pipe")
    assert shell.run(scripts.read(place + b"/-")) == b"\0content\n"
    for path, kind in (
        (place + b"/pipe", UnsafePathError),
        (place, IsADirectoryError),
        (place + b"/no", FileNotFoundError),
    ):
        with pytest.raises(kind):
            shell.run(scripts.read(path))


def test_a_name_has_an_end() -> None:
    """What the other side sends is not kept without a bound."""
    listing = scripts.Members(b"d")
    assert list(listing.feed(b"n" * 60_000)) == []
    with pytest.raises(OSError, match="without end"):
        list(listing.feed(b"n" * 10_000))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [(b"a", b"a"), (b"-a", b"./-a"), (b"-", b"./-"), (b"a//", b"a"), (b"/", b"/"), (b"//", b"/")],
)
def test_no_operand_looks_like_an_option(path: bytes, wanted: bytes) -> None:
    """Nor does it end with a slash."""
    assert scripts.operand(path) == wanted


@pytest.mark.parametrize(
    ("status", "said", "number"),
    [
        (81, b"", errno.ENOENT),
        (81, b"ls: x: File name too long", errno.ENAMETOOLONG),
        (81, b"ls: x: Permission denied", errno.ENOENT),
        (83, b"", errno.ENOTDIR),
        (84, b"", errno.EISDIR),
        (85, b"", errno.EACCES),
        (86, b"cat: write error: No space left on device", errno.ENOSPC),
        (90, b"cat: write error: No space left on device", errno.ENOSPC),
        (90, b"ash: write error: Disk quota exceeded", errno.EDQUOT),
        (1, b"cat: x: Permission denied", errno.EACCES),
        (90, b"mv: Filename too long", errno.ENAMETOOLONG),
        (90, b"mv: something else", errno.EIO),
        (3, b"", errno.EIO),
        (None, b"", errno.EIO),
    ],
)
def test_what_an_end_stands_for(status: int | None, said: bytes, number: int) -> None:
    """What was tested is believed before what was said."""
    error = scripts.failure(status, said)
    assert isinstance(error, OSError)
    assert error.errno == number


def test_lines_of_other_systems() -> None:
    """Owners that are names, access lists, dates of any form; and what is no line at all."""
    line = b"-rw-r--r--+  1 root  wheel  123456789012 Jan  1 2020 /x\n"
    assert scripts.found(line, b"/x", b"").size == 123456789012
    assert scripts.found(b"crw-rw-rw- 1 0 0 1, 3 Nov 25 12:00 /x", b"/x", b"").kind is None
    assert scripts.found(b"D--------- 1 0 0 0 Nov 25 12:00 /x", b"/x", b"").kind is None
    link = b"lrwxrwxrwx 1 0 0 3 Nov 25 12:00 /a -> b -> /c -> d\n"
    assert scripts.found(link, b"/a -> b", b"").target == b"/c -> d"
    assert scripts.found(link, b"/a -> b", b"/c -> d\n").target == b"/c -> d"
    assert scripts.found(b"-rwsr-Sr-T 1 0 0 3 Nov 25 12:00 /a", b"/a", b"").mode == 0o744
    with pytest.raises(FileNotFoundError):
        scripts.found(b"\n", b"/x", b"")
    with pytest.raises(OSError, match="POSIX"):
        scripts.found(b"ls: unknown option -- n", b"/x", b"")
