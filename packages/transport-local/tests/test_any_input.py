"""Whatever is passed to a LocalTransport: a result, an error of the tree, TypeError, ValueError."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from any_input import AnyInput, get_calls, put_calls, run_calls
from hypothesis import HealthCheck, given, settings
from transport_core import Event
from transport_local import LocalTransport

Do = Callable[[Callable[[AnyInput], Coroutine[Any, Any, None]]], None]

# One transport serves all examples: that they do not disturb each other is part of the claim.
modest = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def do(tmp_path: Path) -> Iterator[Do]:
    """Give a function that makes one call on an open transport."""
    events: list[Event] = []
    with asyncio.Runner() as runner:
        transport = LocalTransport(cwd=tmp_path, on_event=events.append)
        runner.run(transport.__aenter__())
        inputs = AnyInput(transport, events, str(tmp_path))
        yield lambda call: runner.run(call(inputs))
        runner.run(transport.aclose())


@modest
@given(call=run_calls)
def test_any_run_ends_as_documented(do: Do, call: dict[str, Any]) -> None:
    """And what is refused was never begun."""
    do(lambda inputs: inputs.run(call))


@modest
@given(call=put_calls)
def test_any_put_ends_as_documented(do: Do, call: dict[str, Any]) -> None:
    """And leaves no temporary file, and nothing beside its directory."""
    do(lambda inputs: inputs.copy(call, put=True))


@modest
@given(call=get_calls)
def test_any_get_ends_as_documented(do: Do, call: dict[str, Any]) -> None:
    """And leaves no temporary file, and nothing beside its directory."""
    do(lambda inputs: inputs.copy(call, put=False))
