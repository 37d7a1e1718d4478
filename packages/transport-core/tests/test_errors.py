"""The tree of errors: as it is drawn, and what each carries."""

import copy
import errno
import pickle
import re
from typing import Any, cast

import pytest
import transport_core
from transport_core import (
    AlreadyExistsError,
    CommandError,
    CommandResult,
    CommandTimeoutError,
    ConfigurationError,
    ConnectivityError,
    ConnectTimeoutError,
    Delivery,
    HostKeyError,
    IsADirectoryTransferError,
    NoSpaceError,
    NotADirectoryTransferError,
    NotFoundError,
    OutputLimitError,
    PermissionDeniedError,
    TransferError,
    TransferTimeoutError,
    TransportError,
    _errors,
)
from transport_core.authoring import transfer_error

ERRORS = [
    found
    for name in transport_core.__all__
    if isinstance(found := getattr(transport_core, name), type)
    and issubclass(found, TransportError)
]
BUILTIN: dict[type[TransportError], type[Exception]] = {
    ConfigurationError: ValueError,
    ConnectivityError: ConnectionError,
    ConnectTimeoutError: TimeoutError,
    CommandTimeoutError: TimeoutError,
    TransferError: OSError,
    NotFoundError: FileNotFoundError,
    AlreadyExistsError: FileExistsError,
    PermissionDeniedError: PermissionError,
    IsADirectoryTransferError: IsADirectoryError,
    NotADirectoryTransferError: NotADirectoryError,
    TransferTimeoutError: TimeoutError,
}
RESULT = CommandResult(argv=(b"a", b"secret"), exit_status=3, stdout=b"out", duration=1.5)


def drawn_tree() -> dict[str, str]:
    """Read the docstring's drawing: each name's parent."""
    assert _errors.__doc__ is not None
    parents: dict[str, str] = {}
    above = ["TransportError"]
    for line in _errors.__doc__.splitlines():
        if line.startswith("TransportError("):
            continue
        branch = re.match(r"[ │]*[├└]─ ", line)
        if branch is None:
            continue
        depth = len(branch[0]) // 4 if "│" in branch[0] or branch[0].startswith("    ") else 0
        found = re.findall(r"\b([A-Z]\w+Error)\b(?!\))", re.sub(r"\(.*?\)", "", line))
        for name in found:
            parents[name] = above[depth]
        above[depth + 1 :] = [found[0]]
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    wanted = drawn_tree()
    actual = {
        error.__name__: error.__bases__[0].__name__ for error in ERRORS if error != TransportError
    }
    assert wanted == actual


def test_the_builtin_kinds_are_those_that_are_drawn() -> None:
    assert _errors.__doc__ is not None
    drawn = dict(re.findall(r"(\w+Error) \(([A-Z]\w+)\)", _errors.__doc__))
    own = ("NotFoundError", "AlreadyExistsError", "PermissionDeniedError")
    assert drawn == {
        error.__name__: kind.__name__
        for error, kind in BUILTIN.items()
        if error.__name__ not in own and not error.__name__.endswith("DirectoryTransferError")
    }


@pytest.mark.parametrize(("error", "kind"), BUILTIN.items())
def test_each_is_also_what_a_python_user_would_catch(
    error: type[TransportError], kind: type[Exception]
) -> None:
    assert issubclass(error, kind)


@pytest.mark.parametrize("kind", ERRORS)
def test_each_says_message_place_delivery_and_hint(kind: type[TransportError]) -> None:
    error = kind(
        "it broke", delivery=Delivery.UNKNOWN, transport="ssh://a@b:22", hop="hop 1", hint="again"
    )
    assert str(error).startswith("it broke [hop 1] (delivery: unknown); try: again")
    assert "[ssh://a@b:22]" in str(kind("m", transport="ssh://a@b:22"))
    assert not error.retry_safe
    assert kind("m", delivery=Delivery.NOT_SENT).retry_safe
    assert str(kind("only")).startswith("only (delivery: ")


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_pickling_keeps_the_attributes(kind: type[TransportError], way: Any) -> None:
    more: dict[str, Any] = {}
    if issubclass(kind, CommandError):
        more["result"] = RESULT
    if issubclass(kind, TransferError):
        more.update(local="l", remote=b"r\xff", side="local")
    if issubclass(kind, HostKeyError):
        more.update(reason="changed", seen="SHA256:x", expected=("SHA256:y",))
    error = kind("m", delivery=Delivery.UNKNOWN, transport="t", hop="h", hint="i", **more)
    if isinstance(error, (CommandTimeoutError, OutputLimitError)):
        error.stopped = False
    back = way(error)
    assert type(back) is kind
    assert vars(back) == vars(error)
    assert str(back) == str(error)
    if isinstance(error, OSError):
        for name in ("errno", "strerror", "filename"):
            assert getattr(back, name) == getattr(error, name)


def test_paths_are_shown_escaped() -> None:
    error = TransferError("m", local="a\x1b[2J", remote=b"b\xff\n")
    assert str(error) == r"m (delivery: finished); local 'a\x1b[2J', remote 'b\xff\n'"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, NotFoundError),
        (errno.EEXIST, AlreadyExistsError),
        (errno.ENOTEMPTY, AlreadyExistsError),
        (errno.EACCES, PermissionDeniedError),
        (errno.EPERM, PermissionDeniedError),
        (errno.EROFS, PermissionDeniedError),
        (errno.EISDIR, IsADirectoryTransferError),
        (errno.ENOTDIR, NotADirectoryTransferError),
        (errno.ENOSPC, NoSpaceError),
        (errno.EDQUOT, NoSpaceError),
        (errno.EIO, TransferError),
        (errno.ENAMETOOLONG, TransferError),
    ],
)
def test_an_operating_system_s_error_keeps_its_number(
    number: int, kind: type[TransferError]
) -> None:
    found = transfer_error(OSError(number, "why"), local="l", remote="r", transport="t")
    assert type(found) is kind
    assert (found.errno, found.filename, found.message) == (number, "r", "why")
    assert found.strerror
    assert pickle.loads(pickle.dumps(found)).errno == number


def test_a_bare_oserror_has_a_message_and_a_typed_one_is_left_alone() -> None:
    assert transfer_error(OSError("said so")).message == "said so"
    assert transfer_error(OSError()).message == "OSError"
    own = NotFoundError("own")
    assert transfer_error(own) is own


def test_a_typed_error_is_given_what_it_lacks_and_no_more() -> None:
    own = NotFoundError("own", remote="mine")
    assert transfer_error(own, local="l", remote="r", transport="t") is own
    assert (own.local, own.remote, own.transport, own.filename) == ("l", "mine", "t", "mine")


def test_the_file_name_is_that_of_the_side_that_failed() -> None:
    for side, wanted in ((None, "r"), ("remote", "r"), ("local", "l")):
        error = TransferError("m", local="l", remote="r", side=cast(Any, side))
        assert (error.filename, error.side) == (wanted, side)
        bare = TransferError("m", side=cast(Any, side))
        assert transfer_error(bare, local="l", remote="r").filename == wanted
