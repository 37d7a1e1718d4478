"""Text that is safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_core.authoring import escape, short_argv


@given(st.one_of(st.text(), st.binary()))
def test_nothing_that_steers_a_terminal_comes_through(text: str | bytes) -> None:
    shown = escape(text)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C"]
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 東", "plain é 東"),
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\u202e", r"\u202e"),
        ("\u2028", r"\u2028"),
        (b"\xff", r"\xff"),
        ("\udcff", r"\udcff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_control_format_and_undecodable_characters_are_escaped(
    text: str | bytes, shown: str
) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("char", ["x", "é", "東", "\U0001f600"])
def test_a_cut_is_shown_and_exactly_the_limit_is_none(char: str) -> None:
    for text in (char * 5, char.encode() * 5, char * 500, char.encode() * 500):
        assert escape(text, 4) == char * 4 + "…"
    assert escape(char * 4, 4) == escape((char * 4).encode(), 4) == char * 4


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ([], "''"),
        ([b""], "''"),
        ([b"ls"], "ls"),
        ([b"ls", b"secret"], "ls (and 1 argument)"),
        ([b"ls", b"secret", b"x"], "ls (and 2 arguments)"),
        ([b"\x1b"], r"\x1b"),
        ([b"x" * 100], "x" * 60 + "…"),
    ],
)
def test_an_argv_is_shown_without_its_values(argv: list[bytes], shown: str) -> None:
    assert short_argv(argv) == shown
