"""Both output streams of a command: when it is held up, what is discarded, and who is told."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from transport_core import CommandError, ConnectionLostError, TransportClosedError
from transport_core._streams import ROOM
from transport_core.authoring import StreamedOutputs

FULL = b"x" * ROOM


def outputs() -> tuple[StreamedOutputs, list[tuple[bool, bool]]]:
    """Return streams, and what was to be held up at each change."""
    seen: list[tuple[bool, bool]] = []
    made = StreamedOutputs("t", lambda: seen.append((made.out.holds, made.err.holds)))
    return made, seen


async def rest(stream: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in stream]


@pytest.mark.asyncio
async def test_what_has_come_is_one_chunk_and_an_end_is_an_end() -> None:
    both, _ = outputs()
    both.out.feed(b"a")
    both.out.feed(b"b")
    both.end()
    both.out.feed(b"late")
    assert await rest(both.ask(both.out)) == [b"ab"]
    assert await rest(both.out) == await rest(both.err) == []


@pytest.mark.asyncio
async def test_a_waiting_reader_gets_what_comes_at_once() -> None:
    both, _ = outputs()
    reading = asyncio.ensure_future(anext(both.ask(both.out)))
    await asyncio.sleep(0)
    both.err.feed(b"other")
    both.out.feed(b"")
    both.out.feed(b"x")
    assert await reading == b"x"


@pytest.mark.asyncio
async def test_a_full_stream_holds_the_command_up_until_it_is_read() -> None:
    both, seen = outputs()
    stream = both.ask(both.out)
    both.out.feed(FULL[:-1])
    assert not both.out.holds
    both.out.feed(b"x")
    assert seen[-1] == (True, False)
    assert await anext(stream) == FULL
    assert seen[-1] == (False, False)


@pytest.mark.asyncio
async def test_nothing_is_lost_while_nobody_waits() -> None:
    """A caller that has not begun to read is a slow reader."""
    both, seen = outputs()
    both.err.feed(FULL)
    assert seen[-1] == (False, True)
    both.err.feed(b"more")
    both.end()
    assert b"".join(await rest(both.ask(both.err))) == FULL + b"more"


@pytest.mark.asyncio
@pytest.mark.parametrize("waits_for", ("stdout", "the end"))
async def test_a_stream_that_nobody_asked_for_holds_nobody_up(waits_for: str) -> None:
    both, seen = outputs()
    both.err.feed(FULL)
    if waits_for == "the end":
        with both.awaited():
            assert seen[-1] == (False, False)
            both.err.feed(b"dropped")
    else:
        reading = asyncio.ensure_future(anext(both.ask(both.out)))
        await asyncio.sleep(0)
        assert seen[-1] == (False, False)
        both.err.feed(b"dropped")
        both.out.feed(b"x")
        assert await reading == b"x"
    assert seen[-1] == (False, False), "once cut, it holds nobody up again"
    both.end()
    late = both.ask(both.err)
    assert await anext(late) == FULL
    with pytest.raises(CommandError, match="nobody read stderr") as told:
        await anext(late)
    assert told.value.transport == "t"


@pytest.mark.asyncio
async def test_a_stream_that_was_asked_for_is_never_cut() -> None:
    both, seen = outputs()
    both.ask(both.err)
    both.err.feed(FULL)
    with both.awaited():
        assert seen[-1] == (False, True)
        both.err.feed(b"more")
    assert await anext(both.err) == FULL + b"more"


@pytest.mark.asyncio
async def test_a_failure_stands_behind_what_has_come() -> None:
    both, _ = outputs()
    both.out.feed(b"a")
    both.end(lambda: ConnectionLostError("lost"))
    both.end()
    assert await anext(both.ask(both.out)) == b"a"
    for stream in (both.out, both.err):
        with pytest.raises(ConnectionLostError):
            await anext(stream)


@pytest.mark.asyncio
async def test_leaving_wakes_readers_and_discards_the_rest() -> None:
    both, _ = outputs()
    reading = asyncio.ensure_future(anext(both.ask(both.out)))
    await asyncio.sleep(0)
    both.err.feed(b"unread")
    both.leave()
    both.err.feed(b"late")
    for call in (reading, anext(both.err)):
        with pytest.raises(TransportClosedError, match="left"):
            await call


@pytest.mark.asyncio
async def test_a_second_reader_is_refused_and_a_cancelled_one_forgotten() -> None:
    both, _ = outputs()
    reading = asyncio.ensure_future(anext(both.ask(both.out)))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task"):
        await anext(both.out)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    both.out.feed(b"x")
    assert await anext(both.out) == b"x"


def test_it_serves_where_a_bounded_output_does() -> None:
    """Nothing is exceeded and nothing kept, so that one path feeds both."""
    both, _ = outputs()
    assert both.out.feed(FULL) is both.out.feed(FULL) is True
    assert both.out.exceeded is False
    assert both.out.getvalue() == b""
