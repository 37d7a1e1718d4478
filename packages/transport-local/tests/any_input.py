"""Calls with any input, drawn by Hypothesis, and the one property that all of them have.

Whatever is passed, a call gives a result, an error of the tree, or the TypeError and ValueError
that are documented; it ends; and what is refused here was never begun. Programs are drawn from a
few harmless ones, and paths stay below one directory: the inputs are odd, not dangerous.
"""

from __future__ import annotations

import asyncio
import io
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Awaitable
from typing import Any

from hypothesis import strategies as st
from transport_core import (
    CommandResult,
    CommandStarted,
    Event,
    Symlinks,
    TransferResult,
    Transport,
    TransportError,
)

SECONDS = 20.0
"""More than any of these calls may take."""

_junk: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.just(object()),
    st.just(()),
    st.builds(list),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def _mostly(fit: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nine times in ten what a call can work with: one odd value is enough to refuse it."""
    return st.integers(0, 9).flatmap(lambda number: fit if number else st.one_of(odd, _junk))


_surrogates = st.text(st.characters(categories=["Cs", "Ll", "Cc"]), max_size=8)
_text = st.one_of(st.text(max_size=20), _surrogates)
_plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_bytes = st.binary(max_size=20).map(lambda data: data.replace(b"\0", b""))
_good = st.one_of(_plain, _bytes, _plain.map(pathlib.PurePosixPath))
_word = _mostly(_good, st.one_of(_text, st.binary(max_size=20)))
_program = _mostly(
    st.sampled_from(["true", b"false", "printf", "echo", "/no/such"]),
    st.sampled_from(["", "no such\n", "\ud800"]),
)
_argv = _mostly(
    st.tuples(_program, st.lists(_word, max_size=3)).map(lambda parts: [parts[0], *parts[1]]),
    st.one_of(st.lists(_junk, max_size=2), st.sampled_from(["true", b"true"])),
)
_name_of_variable = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,5}\Z")
_env = _mostly(
    st.none() | st.dictionaries(_name_of_variable, st.one_of(_plain, _bytes), max_size=3),
    st.dictionaries(st.one_of(_text, st.integers(), st.none()), _word, max_size=2),
)
_seconds = _mostly(
    st.none() | st.sampled_from([5e-324, 1e-9, 1e-3, 3, 1e300, 2**2000, math.inf]),
    st.one_of(st.sampled_from([-(2**2000), math.nan, 0, -0.0]), st.text(max_size=2)),
)
_limit = _mostly(
    st.one_of(st.none(), st.integers(0, 100), st.integers(min_value=0)), st.text(max_size=2)
)


async def _strings() -> Any:
    yield "text"


_stdin = _mostly(
    st.one_of(st.none(), _plain, st.binary(max_size=2000), st.binary(max_size=50).map(io.BytesIO)),
    st.one_of(
        _text,
        st.text(max_size=5).map(io.StringIO),
        st.just(pathlib.Path("/no/such")),
        st.builds(_strings),
    ),
)
run_calls = st.fixed_dictionaries(
    {"argv": _argv},
    optional={
        "stdin": _stdin,
        "env": _env,
        "cwd": _mostly(st.sampled_from(["/", ".", b"/", None]), _text | st.just("/etc/passwd")),
        "timeout": _seconds,
        "output_limit": _limit,
    },
)

# No ".." and no "/" in a name: what is drawn stays where it is put.
_name = st.one_of(
    st.sampled_from([b"file", b"tree", b"empty", b"new"]),
    st.sampled_from([b"pipe", b"loop", b"gone", b".", b"", b"n" * 255, b"n" * 256]),
    _bytes.map(lambda name: name.replace(b"/", b"").replace(b"..", b"")),
)
_below = st.one_of(_name, st.lists(_name, min_size=1, max_size=3).map(b"/".join))
_place = _mostly(_below, st.one_of(_below.map(lambda path: path + b"/"), st.just("a\0b")))
put_calls = st.fixed_dictionaries(
    {"source": _place, "target": _place},
    optional={
        "mode": _mostly(st.none() | st.integers(0, 0o777), st.integers()),
        "overwrite": st.booleans(),
        "parents": st.booleans(),
        "symlinks": _mostly(st.sampled_from(list(Symlinks)), st.text(max_size=4)),
        "kind": _mostly(st.sampled_from(["file", "tree", None]), st.text(max_size=4)),
        "timeout": _seconds,
        "progress": _mostly(st.just(lambda done, total: None), st.text(max_size=2)),
    },
)
get_calls = st.tuples(
    put_calls, st.fixed_dictionaries({}, optional={"max_bytes": _limit, "max_files": _limit})
).map(lambda parts: {**parts[0], **parts[1]})


class AnyInput:
    """Makes the drawn calls on one open transport, and holds each to the property."""

    def __init__(self, transport: Transport, events: list[Event], base: str, uid: int = -1) -> None:
        self._transport = transport
        self._events = events
        self._base = base
        self._uid = uid

    async def run(self, call: dict[str, Any]) -> None:
        """Run a command."""
        given = dict(call)
        began = len(self._events)
        outcome = await self._outcome(self._transport.run(given.pop("argv"), **given))
        assert isinstance(outcome, (CommandResult, TransportError, TypeError, ValueError)), call
        late = isinstance(call.get("stdin"), (io.IOBase, type(_strings())))
        refused = isinstance(outcome, (TypeError, ValueError)) and not late
        if refused and not isinstance(outcome, TransportError):
            started = [e for e in self._events[began:] if isinstance(e, CommandStarted)]
            assert not started, f"refused, and begun all the same: {call}"

    async def copy(self, call: dict[str, Any], *, put: bool) -> None:
        """Put or get, in a fresh directory, beside which nothing may change."""
        given = dict(call)
        top = tempfile.mkdtemp(dir=self._base)
        try:
            here = self._furnished(top)
            source, target = (
                os.path.join(here, path) if isinstance(path, bytes) else path
                for path in (given.pop("source"), given.pop("target"))
            )
            verb = self._transport.put if put else self._transport.get
            outcome = await self._outcome(verb(source, target, **given))
            known = (TransferResult, TransportError, TypeError, ValueError)
            assert isinstance(outcome, known), call
            assert not list(pathlib.Path(top).rglob(".intercede-*")), call
            assert os.listdir(top) == ["in"], call
        finally:
            shutil.rmtree(top, ignore_errors=True)

    def _furnished(self, top: str) -> bytes:
        here = os.path.join(top, "in")
        os.makedirs(os.path.join(here, "tree", "below"))
        for name in ("file", "tree/file"):
            pathlib.Path(here, name).write_bytes(b"content")
        pathlib.Path(here, "empty").touch()
        os.mkfifo(os.path.join(here, "pipe"))
        os.symlink("loop", os.path.join(here, "loop"))
        os.symlink("nowhere", os.path.join(here, "gone"))
        if os.geteuid() == 0 and self._uid >= 0:
            for where, folders, names in os.walk(top):
                for name in (".", *folders, *names):
                    os.chown(os.path.join(where, name), self._uid, self._uid, follow_symlinks=False)
        return os.fsencode(here)

    async def _outcome(self, call: Awaitable[object]) -> object:
        try:
            async with asyncio.timeout(SECONDS):
                return await call
        except Exception as error:
            assert type(error) is not TimeoutError, "it hangs"
            return error
