"""Whatever is passed to an SSHTransport: a result, an error of the tree, TypeError, ValueError."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from any_input import AnyInput, get_calls, put_calls, run_calls
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_core import Event
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.stack import Endpoint, Stack, StackSpec, providers

pytestmark = pytest.mark.timeout(180)

_PROVIDER = providers()[0]
if reason := _PROVIDER.unavailable():
    pytest.skip(f"no native stack here: {reason}", allow_module_level=True)

_SHELLS = ("bash", "tcsh", "fish")

Do = Callable[[Callable[[AnyInput], Coroutine[Any, Any, None]]], None]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One sshd, with accounts whose login shells differ most."""
    up = _PROVIDER.start(StackSpec(slurm=False, jump=False, shells=_SHELLS))
    yield up
    _PROVIDER.stop(up)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """The loop that all examples share, as they share the transports."""
    with asyncio.Runner() as running:
        yield running


def transport_to(endpoint: Endpoint, events: list[Event]) -> SSHTransport:
    """Return a transport to an account of the stack."""
    options = SSHOptions(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        auth=PrivateKey(endpoint.identity),
        known_hosts=KnownHosts(text=endpoint.known_hosts),
    )
    return SSHTransport(options, on_event=events.append)


@pytest.fixture(scope="module")
def do(stack: Stack, runner: asyncio.Runner) -> Iterator[Do]:
    """Give a function that makes one call on an open transport."""
    events: list[Event] = []
    endpoint = stack.endpoint("bash")
    transport = transport_to(endpoint, events)
    runner.run(transport.__aenter__())
    inputs = AnyInput(transport, events, str(Path(endpoint.home)), stack.uid)
    yield lambda call: runner.run(call(inputs))
    runner.run(transport.aclose())


modest = settings(max_examples=60, deadline=None)


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


@pytest.fixture(scope="module")
def logins(stack: Stack, runner: asyncio.Runner) -> Iterator[list[SSHTransport]]:
    """An open transport for each login shell."""
    found = [transport_to(stack.endpoint(shell), []) for shell in _SHELLS]
    for transport in found:
        runner.run(transport.__aenter__())
    yield found
    for transport in found:
        runner.run(transport.aclose())


@settings(max_examples=25, deadline=None)
@given(
    words=st.lists(st.binary(max_size=60).map(lambda word: word.replace(b"\0", b"")), max_size=5),
    value=st.binary(max_size=60).map(lambda value: value.replace(b"\0", b"")),
)
def test_what_is_sent_is_what_the_program_gets_in_every_login_shell(
    logins: list[SSHTransport], runner: asyncio.Runner, words: list[bytes], value: bytes
) -> None:
    """Any words and any value of a variable, byte for byte, whether or not both are given."""
    script = 'for a; do printf "%s\\0" "$a"; done; printf "%s" "$V"'

    async def sent(transport: SSHTransport) -> None:
        for env in ({"V": value}, None):
            found = await transport.run(["sh", "-c", script, "sh", *words], env=env)
            assert found.stdout == b"".join(word + b"\0" for word in words) + (
                value if env else b""
            )

    async def all_at_once() -> None:
        await asyncio.gather(*map(sent, logins))

    runner.run(all_at_once())
