"""What becomes of each entry of a transfer, as tables."""

import pytest
from transport_core import AlreadyExistsError, TransferError, UnsafePathError
from transport_core.authoring import TEMP_PREFIX, Entry, EntryKind
from transport_ssh import _tree
from transport_ssh._tree import Found

FILE = Found(kind=EntryKind.FILE, size=3, mode=0o640)
FOLDER = Found(kind=EntryKind.DIRECTORY, size=4096, mode=0o750)
LINK = Found(kind=EntryKind.LINK, size=4, mode=0o777, target=b"to")
PIPE = Found(kind=None)


@pytest.mark.parametrize(
    ("root", "path", "wanted"),
    [
        (b"d", (), b"d"),
        (b"d/", (), b"d/"),
        (b"d", (b"a", b"b"), b"d/a/b"),
        (b"d//", (b"a",), b"d/a"),
        (b"/", (b"a",), b"/a"),
    ],
)
def test_members_are_below_the_root(root: bytes, path: tuple[bytes, ...], wanted: bytes) -> None:
    """A slash at the end of the root changes nothing."""
    assert _tree.below(root, path) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"a", b"."),
        (b"a/", b"."),
        (b"a/b", b"a"),
        (b"a//b/", b"a"),
        (b"/a", b"/"),
        (b"//a", b"/"),
        (b"/", b"/"),
        (b"/a/b", b"/a"),
    ],
)
def test_the_parent_of_a_path(path: bytes, wanted: bytes) -> None:
    """Relative names stand in the working directory."""
    assert _tree.parent_of(path) == wanted


def test_a_temporary_stands_beside_its_target() -> None:
    """In the same directory, so that a rename is enough; never the same twice."""
    for path, folder in ((b"a", b""), (b"/a", b"/"), (b"d/a", b"d/"), (b"/d/a", b"/d/")):
        first, second = _tree.temp_beside(path), _tree.temp_beside(path)
        assert first.startswith(folder + TEMP_PREFIX)
        assert b"/" not in first[len(folder) :]
        assert first != second


def test_what_was_found_becomes_an_entry() -> None:
    """Sizes are of files only; a device is refused."""
    path = (b"a",)
    assert _tree.entry_of(path, FILE) == Entry(path=path, kind=EntryKind.FILE, size=3, mode=0o640)
    folder = Entry(path=path, kind=EntryKind.DIRECTORY, mode=0o750)
    assert _tree.entry_of(path, FOLDER) == folder
    assert _tree.entry_of(path, LINK).target == b"to"
    assert _tree.entry_of(path, Found(kind=EntryKind.LINK)).target == b""
    with pytest.raises(UnsafePathError):
        _tree.entry_of(path, PIPE)


def test_a_missing_source_is_told_from_one_below_a_file() -> None:
    """As the operating system tells them."""
    assert isinstance(_tree.missing(None), FileNotFoundError)
    assert isinstance(_tree.missing(FOLDER), FileNotFoundError)
    assert isinstance(_tree.missing(FILE), NotADirectoryError)


def test_nesting_has_an_end() -> None:
    """No path of a real file system is so deep."""
    _tree.check_depth((b"a",) * 255, b"a" * 4095, 30)
    for path, remote in (((b"a",) * 256, b"a"), ((b"a",), b"a" * 4096)):
        with pytest.raises(TransferError, match="256"):
            _tree.check_depth(path, remote, 0)
    with pytest.raises(TransferError, match="endless"):
        _tree.check_depth((b"a",) * 31, b"a" * 62, 31)


def test_a_listing_has_each_plain_name_once() -> None:
    """What leads elsewhere, or comes again, is refused."""
    listing = _tree.Listing()
    assert [listing.admits(name) for name in (b"a", b".", b"..")] == [True, False, False]
    for name in (b"a", b"", b".", b"..", b"b/c", b"b\0"):
        with pytest.raises(UnsafePathError):
            listing.admits(name)


OPEN: list[tuple[Found | None, bytes, bool, bool]] = [
    (None, b"new", False, False),
    (None, b"new", True, False),
    (None, b"new/", True, False),
    (FILE, b"old", False, True),
    (LINK, b"old", False, True),
    (FOLDER, b"old", True, True),
]
SHUT: list[tuple[Found | None, bytes, bool, bool, type[Exception]]] = [
    (None, b"new/", False, True, IsADirectoryError),
    (FILE, b"old", False, False, AlreadyExistsError),
    (FOLDER, b"old", True, False, AlreadyExistsError),
    (FOLDER, b"old", False, True, IsADirectoryError),
    (FILE, b"old", True, True, NotADirectoryError),
    (LINK, b"old", True, True, NotADirectoryError),
    (PIPE, b"old", True, True, NotADirectoryError),
    (PIPE, b"old", False, True, UnsafePathError),
]


@pytest.mark.parametrize(("there", "path", "is_tree", "overwrite"), OPEN)
def test_a_destination_that_will_do(
    there: Found | None, path: bytes, is_tree: bool, overwrite: bool
) -> None:
    """Nothing, or the same kind."""
    _tree.check_destination(there, path, is_tree=is_tree, overwrite=overwrite)


@pytest.mark.parametrize(("there", "path", "is_tree", "overwrite", "kind"), SHUT)
def test_a_destination_that_will_not(
    there: Found | None, path: bytes, is_tree: bool, overwrite: bool, kind: type[Exception]
) -> None:
    """It exists and must not, or it is of the other kind."""
    with pytest.raises(kind):
        _tree.check_destination(there, path, is_tree=is_tree, overwrite=overwrite)


def test_what_may_be_replaced_by_a_file() -> None:
    """Anything but a directory; nothing at all will do as well."""
    for there in (None, FILE, LINK):
        _tree.check_replaceable(there)
    with pytest.raises(IsADirectoryError):
        _tree.check_replaceable(FOLDER)
