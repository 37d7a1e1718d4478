"""A local destination: files and trees that appear whole or not at all.

Everything is done relative to directory descriptors and without following links, so that
neither a name from a remote nor a link planted here leads out of the destination (FILE-8).
Blocking: call it off the event loop. Knows no source.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Generator
from typing import BinaryIO, Self

from ._errors import SizeMismatchError, UnsafePathError
from ._names import check_link, check_member, temp_name
from ._redact import escape

_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# To have what is in a directory made and named there, it need not be readable: drop boxes are not.
_PASS_DIR = _OPEN_DIR | getattr(os, "O_PATH", 0)


class Landing:
    """The place where one file or tree is to stand afterwards, under exactly this name."""

    def __init__(self, path: bytes, *, overwrite: bool, parents: bool) -> None:
        """Open the parent directory.

        Raises:
            OSError: The parent does not exist (unless ``parents``) or cannot be entered.
        """
        parent, self._name = os.path.split(path.rstrip(b"/") or b"/")
        if self._name in (b"", b".", b".."):
            parent, self._name = path, b"."
        if parents:
            _make_directories(parent)
        self._overwrite = overwrite
        self._named_as_directory = path.endswith(b"/")
        self._root = os.open(parent or b".", _PASS_DIR)
        self._finish_dirs: list[tuple[tuple[bytes, ...], int]] = []

    def close(self) -> None:
        """Close the descriptor; twice is silent."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _parent(self, path: tuple[bytes, ...]) -> Generator[tuple[int, bytes], None, None]:
        """Give a descriptor of the directory that holds a member, and its name there."""
        names = (self._name, *(check_member(name) for name in path))
        fd = os.dup(self._root)
        try:
            for depth, name in enumerate(names[:-1]):
                # The root was named by the caller and may be a link; nothing below may.
                nofollow = os.O_NOFOLLOW if depth else 0
                below = _enter(fd, name, _PASS_DIR | nofollow)
                os.close(fd)
                fd = below
            yield fd, names[-1]
        finally:
            os.close(fd)

    def make_directory(self, path: tuple[bytes, ...], mode: int) -> None:
        """Make a directory, or merge into the one that is there (FILE-4).

        Its mode is set by ``finish``, so that one without write permission can be filled.

        Raises:
            FileExistsError: It is the root and ``overwrite`` is off.
            OSError: Something else stands there, or it cannot be made.
        """
        with self._parent(path) as (fd, name):
            try:
                os.mkdir(name, 0o700, dir_fd=fd)
            except FileExistsError:
                if not path and not self._overwrite:
                    raise
                _check_directory(fd, name, os.O_NOFOLLOW if path else 0)
            else:
                self._finish_dirs.append((path, mode))

    def make_link(self, path: tuple[bytes, ...], target: bytes, *, inside: bool = True) -> None:
        """Make a symbolic link that stays inside the tree, by a rename from a temporary name.

        ``inside=False`` keeps any target: for a tree of the caller's own (FILE-8).

        Raises:
            UnsafePathError: It leads out of the tree, or a device, pipe or socket stands there.
            OSError: A directory stands there, or it cannot be made.
        """
        if inside:
            check_link(target, len(path) - 1)
        with self._parent(path) as (fd, name):
            _refuse_what_is_no_file(fd, name)
            temp = temp_name()
            os.symlink(target, temp, dir_fd=fd)
            self._publish(fd, temp, name)

    @contextlib.contextmanager
    def new_file(
        self, path: tuple[bytes, ...], *, size: int | None, mode: int
    ) -> Generator[BinaryIO, None, None]:
        """Give a file to write; on a clean exit it is checked, and stands under its name.

        Readable to nobody else until ``mode`` is set (FILE-3). On an exception it is removed.

        Raises:
            SizeMismatchError: Other than ``size`` bytes were written; None does not check.
            OSError: As the operating system says; FileExistsError with ``overwrite`` off.
        """
        with self._parent(path) as (fd, name):
            if not path and self._named_as_directory:
                raise IsADirectoryError(errno.EISDIR, "it is named as a directory")
            _refuse_what_is_no_file(fd, name)
            if not self._overwrite and _exists(fd, name):
                raise FileExistsError(errno.EEXIST, "exists, and overwrite is off", name)
            temp = temp_name()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.fdopen(os.open(temp, flags, 0o600, dir_fd=fd), "wb", buffering=0)
            try:
                with file:
                    yield file
                    _check_size(file, size)
                    os.fchmod(file.fileno(), mode)
                self._publish(fd, temp, name)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temp, dir_fd=fd)
                raise

    def _publish(self, fd: int, temp: bytes, name: bytes) -> None:
        """Give a temporary entry its final name; never over anything with ``overwrite`` off."""
        try:
            if self._overwrite:
                os.rename(temp, name, src_dir_fd=fd, dst_dir_fd=fd)
            else:
                # A hard link fails if the name exists: no race can overwrite (FILE-4).
                os.link(temp, name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
                os.unlink(temp, dir_fd=fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temp, dir_fd=fd)
            raise

    def finish(self) -> None:
        """Set the modes of the directories that were made, deepest first.

        A setgid bit that the system gave one, as below a directory of a project, stays.
        """
        for path, mode in reversed(self._finish_dirs):
            with self._parent(path) as (fd, name):
                directory = _enter(fd, name, _OPEN_DIR | os.O_NOFOLLOW)
                try:
                    given = os.fstat(directory).st_mode & stat.S_ISGID
                    os.fchmod(directory, mode | given)
                finally:
                    os.close(directory)


def _make_directories(path: bytes) -> None:
    """Make a directory and those above it; by a loop, since they may be 2000."""
    missing: list[bytes] = []
    while path and not os.path.exists(path):
        missing.append(path)
        path = os.path.dirname(path.rstrip(b"/"))
    for each in reversed(missing):
        try:
            os.mkdir(each)
        except FileExistsError:
            # Another call may have made it meanwhile.
            if not os.path.isdir(each):
                raise _no_directory() from None


def _no_directory() -> NotADirectoryError:
    return NotADirectoryError(errno.ENOTDIR, "something else stands where a directory is needed")


def _check_directory(fd: int, name: bytes, nofollow: int) -> None:
    try:
        os.close(_enter(fd, name, _PASS_DIR | nofollow))
    except FileNotFoundError:
        if _is_link(fd, name):  # one that leads nowhere
            raise _no_directory() from None
        raise


def _enter(fd: int, name: bytes, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=fd)
    except OSError as error:
        nofollow = flags & os.O_NOFOLLOW
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and nofollow and _is_link(fd, name):
            raise UnsafePathError(
                f"a link stands where a directory of the tree is needed: '{escape(name)}'"
            ) from error
        raise


def _lstat(fd: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _exists(fd: int, name: bytes) -> bool:
    return _lstat(fd, name) is not None


def _is_link(fd: int, name: bytes) -> bool:
    info = _lstat(fd, name)
    return info is not None and stat.S_ISLNK(info.st_mode)


def _refuse_what_is_no_file(fd: int, name: bytes) -> None:
    info = _lstat(fd, name)
    if info is None or stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
        return
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a directory stands there", name)
    # A rename would replace it, and for root that goes for /dev/null as well.
    raise UnsafePathError("a device, pipe or socket stands at the destination")


def _check_size(file: BinaryIO, announced: int | None) -> None:
    written = os.fstat(file.fileno()).st_size
    if announced is not None and written != announced:
        raise SizeMismatchError(f"{written} bytes came where {announced} were announced")
