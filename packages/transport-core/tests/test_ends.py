"""At which end of a transfer it failed, and where: what an error says of it."""

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from transport_core import (
    ConnectionLostError,
    NotFoundError,
    SizeMismatchError,
    TransferError,
    TransferLimitError,
    UnsafePathError,
)
from transport_core.authoring import End, stdin_error, transfer_error

SOURCE = End("local", "source", b"mine")
TARGET = End("remote", "destination", b"theirs/")


def failing(end: End, error: OSError, *member: bytes) -> Any:
    """Return what comes out of what fails at an end."""
    with pytest.raises(OSError) as caught, end.at(member):  # noqa: PT011 - looked at outside
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("end", "error", "member", "message", "filename"),
    [
        (SOURCE, errno.ENOENT, (), "the local source does not exist", b"mine"),
        (TARGET, errno.ENOENT, (), "the remote parent directory does not exist", b"theirs/"),
        (SOURCE, errno.EACCES, (), "local source: Permission denied", b"mine"),
        (TARGET, errno.EISDIR, (), "remote destination: Is a directory", b"theirs/"),
        (
            TARGET, errno.EACCES, (b"sub", b"x\n"),
            r"remote destination: Permission denied ('sub/x\n')", b"theirs/sub/x\n",
        ),
        (
            SOURCE, errno.ENOENT, (b"link",),
            "local source: No such file or directory ('link')", b"mine/link",
        ),
    ],
)  # fmt: skip
def test_an_error_says_its_side_its_member_and_its_path(
    end: End, error: int, member: tuple[bytes, ...], message: str, filename: bytes
) -> None:
    """It is typed, keeps its number and its cause, and survives a pickle."""
    raw = OSError(error, os.strerror(error))
    found = failing(end, raw, *member)
    assert isinstance(found, TransferError)
    assert (found.message, found.side, found.filename) == (message, end.side, filename)
    assert (found.errno, found.__cause__) == (error, raw)
    back = pickle.loads(pickle.dumps(found))
    assert (back.side, back.filename) == (end.side, filename)
    typed = transfer_error(found, local=b"mine", remote=b"theirs/", transport="t")
    assert (typed, typed.filename, typed.local, typed.remote) == (
        found,
        filename,
        b"mine",
        b"theirs/",
    )


def test_what_failed_inside_is_what_counts() -> None:
    """Of reading the source while the destination is written, the source is told."""
    with pytest.raises(TransferError) as caught, TARGET.at((b"a",)), SOURCE.at((b"b",)):
        raise OSError(errno.EIO, "broken")
    assert caught.value.message == "local source: broken ('b')"
    assert caught.value.side == "local"


@pytest.mark.parametrize(
    ("end", "side", "kind"),
    [
        (SOURCE, "local", SizeMismatchError),
        (SOURCE, "local", UnsafePathError),
        (TARGET, None, SizeMismatchError),
        (TARGET, None, UnsafePathError),
    ],
)
def test_a_sentence_is_kept_and_blames_nobody_if_either_side_may_be_wrong(
    end: End, side: str | None, kind: type[TransferError]
) -> None:
    """A destination finds out what the source sent too little of."""
    own = kind("it is odd")
    assert failing(end, own, b"a") is own
    assert (own.message, own.side) == ("it is odd ('a')", side)


def test_what_has_no_end_passes_as_it_is() -> None:
    """A lost connection, a limit of the caller's, and what is no error of files."""
    for error in (ConnectionLostError("lost"), TransferLimitError("more"), ZeroDivisionError()):
        before = dict(vars(error))
        with pytest.raises(type(error)) as caught, TARGET.at((b"a",)):
            raise error
        assert caught.value is error
        assert vars(error) == before


@pytest.mark.parametrize(
    ("end", "hint"),
    [
        (TARGET, "parents=True"),
        (SOURCE, None),
        (End("remote", "destination", b"~/x"), "~ is not expanded: a relative path starts"),
        (End("remote", "source", b"~alice/x"), "~ is not expanded: a relative path starts"),
        (End("local", "source", b"~/x"), "expanduser"),
    ],
)
def test_what_is_not_there_comes_with_what_to_try(end: End, hint: str | None) -> None:
    """Parents can be made; and nobody expands a tilde."""
    found = failing(end, FileNotFoundError(errno.ENOENT, "no"))
    assert (found.hint is None) if hint is None else hint in found.hint


def test_a_stdin_that_cannot_be_read_is_told_as_that() -> None:
    """Nothing was sent, and the file is a local one."""
    raw = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    found = stdin_error(raw, Path("~/in"), "t")
    assert isinstance(found, NotFoundError)
    assert found.message == "stdin cannot be read: No such file or directory"
    assert (found.side, found.transport, found.retry_safe) == ("local", "t", True)
    assert "expanduser" in (found.hint or "")
    assert stdin_error(PermissionError(errno.EACCES, "no"), b"~", "t").hint is None
