"""From words to bytes."""

import functools
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_core.authoring import (
    check_callback,
    check_limit,
    check_mode,
    check_progress,
    encode_argv,
    encode_env,
    encode_path,
    encode_word,
)

no_nul = st.binary().map(lambda data: data.replace(b"\0", b"_"))


@given(no_nul)
def test_every_byte_string_goes_through_both_as_bytes_and_as_surrogates(data: bytes) -> None:
    assert encode_word(data, "w") == data
    assert encode_word(data.decode("utf-8", "surrogateescape"), "w") == data


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_text_is_utf_8(text: str) -> None:
    assert encode_word(text, "w") == text.encode()


@given(st.lists(no_nul, min_size=1).filter(lambda words: words[0]))
def test_an_argv_keeps_its_words_and_their_order(words: list[bytes]) -> None:
    assert encode_argv(words) == tuple(words)
    assert encode_argv(tuple(words)) == tuple(words)


def test_paths_are_words() -> None:
    assert encode_argv([Path("a/b"), b"", "é"]) == (b"a/b", b"", "é".encode())


@pytest.mark.parametrize(
    ("argv", "kind"),
    [
        ("ls", TypeError), (b"ls -l", TypeError), (Path("ls"), TypeError), (None, TypeError),
        ({"ls": 1}, TypeError), ({"ls"}, TypeError), (iter(["ls"]), TypeError), ([1], TypeError),
        ([None], TypeError), ([["ls"]], TypeError), ([], ValueError), ([""], ValueError),
        ([b"", "a"], ValueError), (["a\0"], ValueError), ([b"a", b"\0"], ValueError),
        (["\ud800"], ValueError), (["a", "\udfff"], ValueError),
    ],
)  # fmt: skip
def test_an_impossible_argv_is_refused(argv: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        encode_argv(argv)
    assert type(caught.value) is kind


def test_a_string_as_argv_is_told_how_to_get_a_shell() -> None:
    with pytest.raises(TypeError, match=r"\['sh', '-c', script\]"):
        encode_argv("ls | wc")


def test_env_values_are_bytes_and_none_is_empty() -> None:
    assert encode_env(None) == {}
    assert encode_env({"A": "é", "_b1": b"\xff\n"}) == {"A": "é".encode(), "_b1": b"\xff\n"}


@pytest.mark.parametrize(
    "name", ["", "1A", "A-B", "A=B", "A B", "A\n", "é", "BASH_FUNC_x%%", "A\0"]
)
def test_env_names_are_identifiers(name: str) -> None:
    with pytest.raises(ValueError, match="env name"):
        encode_env({name: "x"})


@pytest.mark.parametrize(
    "env", [["A"], "A=1", {b"A": "1"}, {"A": 1}, {"A": None}, {"A": Path("x")}]
)
def test_env_of_the_wrong_kind_is_refused(env: Any) -> None:
    with pytest.raises(TypeError):
        encode_env(env)


def test_no_message_shows_an_env_value() -> None:
    for value in ("secret\0", "secret\ud800"):
        with pytest.raises(ValueError, match="env value of A") as caught:
            encode_env({"A": value})
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", ["", Path("a\0b"), b"a\0b"])
def test_a_path_is_neither_empty_nor_has_nul(path: str | bytes) -> None:
    with pytest.raises(ValueError, match="local"):
        encode_path(path, "local")
    assert encode_path("a", "local") == b"a"


class Odd(os.PathLike[str]):
    def __fspath__(self) -> str:
        return "odd"


def test_anything_path_like_is_a_path() -> None:
    assert encode_path(Odd(), "local") == b"odd"


@pytest.mark.parametrize("mode", [None, 0, 0o644, 0o6777])
def test_a_mode_is_permission_bits(mode: int | None) -> None:
    assert check_mode(mode) == mode


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (-1, ValueError),
        (0o10000, ValueError),
        ("644", TypeError),
        (True, TypeError),
        (6.0, TypeError),
    ],
)
def test_an_impossible_mode_is_refused(mode: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        check_mode(mode)


@pytest.mark.parametrize("limit", [None, 0, 1, 2**63])
def test_a_limit_is_a_count(limit: int | None) -> None:
    assert check_limit(limit, "n") == limit


@pytest.mark.parametrize(
    ("limit", "kind"), [(-1, ValueError), (1.5, TypeError), ("1", TypeError), (False, TypeError)]
)
def test_an_impossible_limit_is_refused(limit: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="n must"):
        check_limit(limit, "n")


async def awaited(*_: object) -> None:
    """Be a coroutine function."""


class Awaited:
    """Be called as one."""

    async def __call__(self, *_: object) -> None:
        pass


def test_progress_is_a_callable_or_none() -> None:
    """Told before anything is moved."""
    check_progress(None)
    check_progress(print)
    with pytest.raises(TypeError, match="progress must be callable, not int"):
        check_progress(1)


@pytest.mark.parametrize("callback", [awaited, functools.partial(awaited, 1), Awaited()])
def test_a_callback_that_would_have_to_be_awaited_is_refused(callback: object) -> None:
    """Nobody would, and nothing would be told."""
    with pytest.raises(TypeError, match="on_event is called, not awaited"):
        check_callback(callback, "on_event")


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (755, r"0o1363.*; write 0o755$"),
        (644, "; write 0o644$"),
        (0o1777, "0o1777"),
        (999, "0o6777$"),
    ],
)
def test_a_mode_that_is_meant_in_octal_and_written_in_decimal_is_refused(
    mode: int, told: str
) -> None:
    """It would set the sticky bit, which means nothing on a file."""
    with pytest.raises(ValueError, match=told):
        check_mode(mode)
