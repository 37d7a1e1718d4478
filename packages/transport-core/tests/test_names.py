"""Names and links from the other side."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_core import UnsafePathError
from transport_core.authoring import TEMP_PREFIX, check_link, check_member, temp_name


@given(st.binary())
def test_a_member_is_accepted_exactly_if_it_stays_in_its_directory(name: bytes) -> None:
    harmless = bool(name) and b"/" not in name and b"\0" not in name and name not in (b".", b"..")
    if harmless:
        assert check_member(name) == name
    else:
        with pytest.raises(UnsafePathError):
            check_member(name)


@pytest.mark.parametrize("name", [b"", b".", b"..", b"/", b"a/b", b"../x", b"/etc", b"a\0"])
def test_what_is_no_plain_name_is_refused(name: bytes) -> None:
    with pytest.raises(UnsafePathError):
        check_member(name)


def never_above(target: bytes, depth: int) -> bool:
    """Whether no prefix of the target lies above the root, by posixpath."""
    here = b"/".join([b"d"] * depth) or b"."
    parts = target.split(b"/")
    return not any(
        posixpath.normpath(posixpath.join(here, *parts[:end])).startswith(b"..")
        for end in range(1, len(parts) + 1)
    )


parts = st.sampled_from([b"..", b".", b"", b"a", b"b"])


@given(st.lists(parts, min_size=1).map(b"/".join), st.integers(0, 3))
def test_a_link_is_accepted_exactly_if_it_never_leaves_the_tree(target: bytes, depth: int) -> None:
    # After a name, which may be a link itself, ".." climbs from wherever that leads.
    plain = [part for part in target.split(b"/") if part not in (b"", b".")]
    climbs_late = plain != sorted(plain, key=lambda part: part != b"..")
    inside = never_above(target, depth) and not climbs_late
    if target and not target.startswith(b"/") and inside:
        assert check_link(target, depth) == target
    else:
        with pytest.raises(UnsafePathError):
            check_link(target, depth)


@pytest.mark.parametrize(
    ("target", "depth"),
    [
        (b"", 0), (b"/", 3), (b"/etc/passwd", 1), (b"..", 0), (b"../..", 1), (b"a/../..", 0),
        (b"a/../../a", 0), (b"./../x", 0), (b"a\0b", 0), (b"a//../..", 0),
        (b"a/..", 0), (b"../a/..", 1), (b"link/../../x", 2),
    ],
)  # fmt: skip
def test_a_link_that_leads_out_is_refused(target: bytes, depth: int) -> None:
    with pytest.raises(UnsafePathError):
        check_link(target, depth)


def test_a_hostile_name_is_shown_escaped() -> None:
    with pytest.raises(UnsafePathError, match=r"'\\x1b\]0;x/'"):
        check_member(b"\x1b]0;x/")


def test_temporary_names_are_new_plain_and_ours() -> None:
    made = {temp_name() for _ in range(1000)}
    assert len(made) == 1000
    assert all(name.startswith(TEMP_PREFIX) and check_member(name) for name in made)
