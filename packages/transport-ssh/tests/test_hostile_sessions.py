"""Sessions that end as no honest one does: what a call is told of them, by a server that lies."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hostile_sessions import Server, Session, Sessions
from transport_core import (
    CommandTimeoutError,
    ConnectionLost,
    ConnectionLostError,
    ConnectivityError,
    Delivery,
    OutputLimitError,
    SessionGranted,
    SessionRefused,
)
from transport_ssh import _orphans

pytestmark = pytest.mark.asyncio


def stopped_by(said: bytes, status: int, *, output: bytes = b"") -> Sessions:
    """Return sessions of a command that ends when it is stopped, and of what stops it."""

    def act(session: Session) -> None:
        if session.is_beside:
            found.seen[0].chan.exit_with_signal("TERM")
            session.answer(said, status)
        else:
            session.begin()
            session.chan.write(output)

    found = Sessions(act)
    return found


@pytest.mark.parametrize(
    ("said", "status", "stopped"), [(b"gone\n", 0, True), (b"", 1, False), (b"", 127, False)]
)
async def test_an_end_is_confirmed_only_if_nothing_of_the_group_was_seen(
    said: bytes, status: int, *, stopped: bool
) -> None:
    """The leader may end, and its session, while another of its group cannot be ended (RUN-11)."""
    async with stopped_by(said, status).transport() as ssh:
        with pytest.raises(CommandTimeoutError) as late:
            await ssh.run(["prog"], timeout=0.3)
        assert late.value.stopped is stopped
        assert ("may still run" in str(late.value)) is not stopped
    async with stopped_by(said, status, output=bytes(2000)).transport() as ssh:
        with pytest.raises(OutputLimitError) as much:
            await ssh.run(["prog"], output_limit=1000)
        assert much.value.stopped is stopped
        assert ("may still run" in str(much.value)) is not stopped


async def test_a_group_that_its_own_killer_spares_hears_term_before_kill() -> None:
    """A server may give all sessions one group; what ends it there is the server (RUN-11)."""

    def act(session: Session) -> None:
        if session.is_beside:
            session.answer(b"", 2)
        else:
            session.begin()

    sessions = Sessions(act)
    async with sessions.transport() as ssh:
        with pytest.raises(CommandTimeoutError):
            await ssh.run(["prog"], timeout=0.3)
        async with asyncio.timeout(20):
            while len(signals := sessions.seen[0].signals) < 2:
                assert signals != ["KILL"]
                await asyncio.sleep(0.01)
    assert signals == ["TERM", "KILL"]


async def test_the_end_of_a_command_that_broke_off_at_its_limit_is_not_confirmed() -> None:
    """Nobody could look."""

    def act(session: Session) -> None:
        session.begin()
        session.chan.write_stderr(bytes(2000))
        asyncio.get_running_loop().call_later(0.03, session.connection.abort)

    async with Sessions(act).transport() as ssh:
        with pytest.raises(OutputLimitError) as caught:
            await ssh.run(["prog"], output_limit=1000)
        assert not caught.value.stopped
        assert "may still run" in str(caught.value)


@pytest.mark.parametrize("code", [2, 11])
async def test_output_that_a_connection_cut_is_no_result(code: int) -> None:
    """Also where the server ends it in an orderly way; the command had ended (ERR-02, ERR-03)."""

    def act(session: Session) -> None:
        session.begin()
        session.chan.write(b"part")
        session.tell(0)
        session.disconnect(code)

    async with Sessions(act).transport() as ssh:
        with pytest.raises(ConnectionLostError) as caught:
            await ssh.run(["prog"])
        assert caught.value.delivery is Delivery.FINISHED
        assert caught.value.message.count("onnection") == 1 or code == 2


async def test_output_is_whole_where_a_channel_closes_without_an_end_of_file() -> None:
    """Many servers say no more than that the command exited."""

    def act(session: Session) -> None:
        session.begin()
        session.chan.write(b"all of it")
        session.chan.exit(3)

    async with Sessions(act).transport() as ssh:
        result = await ssh.run(["prog"])
        assert (result.exit_status, result.stdout) == (3, b"all of it")


async def test_a_session_that_ends_without_a_status_is_told_as_such() -> None:
    """The connection stands, and nobody has to connect anew (ERR-03)."""

    def act(session: Session) -> None:
        session.begin()
        session.chan.close()

    sessions = Sessions(act)
    async with sessions.transport() as ssh:
        for _ in range(2):
            with pytest.raises(ConnectionLostError) as caught:
                await ssh.run(["prog"])
            assert caught.value.delivery is Delivery.UNKNOWN
            assert "the other side closed the session" in str(caught.value)
            assert "connects" not in str(caught.value)
    assert sessions.logins == 1


async def test_an_answer_that_makes_no_sense_is_an_error_of_the_contract() -> None:
    """A channel is confirmed with bytes behind the message; nothing was sent in it (ERR-04)."""

    def grants(server: Server) -> bool:
        confirm = server.connection.send_channel_open_confirmation
        server.connection.send_channel_open_confirmation = lambda *words: confirm(*words, b"extra")
        return True

    async with Sessions(lambda _: None, grants).transport() as ssh:
        with pytest.raises(ConnectivityError, match="makes no sense") as caught:
            await ssh.run(["prog"])
        assert caught.value.delivery is Delivery.NOT_SENT
        assert caught.value.__cause__ is not None


async def test_a_connection_whose_sessions_are_held_for_ever_is_left() -> None:
    """A command that nobody can end holds the only one; the next call has a new one (RUN-13)."""

    def act(session: Session) -> None:
        session.begin()
        if sessions.logins > 1:
            session.chan.exit(0)

    def grants(server: Server) -> bool:
        held, server.held = server.held, True
        return not held

    sessions = Sessions(act, grants)
    async with sessions.transport() as ssh:
        with pytest.raises(CommandTimeoutError) as caught:
            await ssh.run(["prog"], timeout=0.2)
        assert not caught.value.stopped
        assert (await ssh.run(["prog"], timeout=30)).ok
        assert sessions.logins == 2
        assert [event for event in sessions.events if isinstance(event, ConnectionLost)]
        assert len(sessions.seen) == 2, "sent twice"


async def test_a_request_on_the_wire_is_not_cut_by_a_call_that_is_refused() -> None:
    """Its server takes its time to answer, and has none for another call meanwhile (RUN-13)."""
    late: list[Session] = []

    def delays(session: Session) -> bool:
        if not sessions.seen or late:
            return False
        late.append(session)
        return True

    def act(session: Session) -> None:
        session.begin()
        session.chan.exit(0)

    sessions = Sessions(act, lambda _: not late or len(sessions.seen) > 1, delays)
    async with sessions.transport() as ssh, asyncio.timeout(30):
        await ssh.run(["prog"])
        first = asyncio.create_task(ssh.run(["prog"]))
        while not late:
            assert not first.done(), first
            await asyncio.sleep(0.01)
        second = asyncio.create_task(ssh.run(["prog"]))
        # More than it takes to give a connection up.
        while sum(isinstance(each, SessionRefused) for each in sessions.events) < 14:
            if first.done() or sessions.logins > 1:
                break
            await asyncio.sleep(0.01)
        late[0].accept()
        assert (await first).ok
        assert (await second).ok
    assert sessions.logins == 1


async def test_a_session_is_told_as_granted_once_the_server_has_granted_it() -> None:
    """Its own turn is no more than the leave to ask (CONN-08)."""
    asked: list[Server] = []

    def grants(server: Server) -> bool:
        asked.append(server)
        return len(asked) > 2

    def act(session: Session) -> None:
        session.begin()
        session.chan.exit(0)

    sessions = Sessions(act, grants)
    async with sessions.transport() as ssh:
        await ssh.run(["prog"])
    told = [each for each in sessions.events if isinstance(each, (SessionGranted, SessionRefused))]
    assert [isinstance(each, SessionGranted) for each in told] == [False, False, True]
    assert isinstance(told[-1], SessionGranted)
    assert told[-1].waited > 0


async def test_a_call_that_never_started_says_what_it_waited_for() -> None:
    """A session among those that others hold, or a server that does not open one."""

    def grants(server: Server) -> Any:
        return asyncio.sleep(60) if sessions.seen else True

    sessions = Sessions(lambda session: session.begin(), grants)
    async with sessions.transport(max_sessions=1) as ssh, ssh.stream(["prog"]):
        with pytest.raises(CommandTimeoutError, match=r"for a free session.*\(1\)") as queued:
            await ssh.run(["prog"], timeout=0.2)
        assert queued.value.delivery is Delivery.NOT_SENT
        sessions.seen[0].chan.exit(0)
    async with sessions.transport() as ssh:
        with pytest.raises(CommandTimeoutError, match="for the server to open a session"):
            await ssh.run(["prog"], timeout=0.2)


async def test_one_that_cannot_be_ended_keeps_nobody_from_ending_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two commands of a lost connection, the script that is to end the first hangs (LIFE-05)."""
    monkeypatch.setattr(_orphans, "_SECONDS", 0.2)

    def act(session: Session) -> None:
        if session.is_beside:
            return
        session.begin(40 + len(sessions.seen))
        if sessions.logins > 1:
            session.chan.exit(0)

    def reaped() -> list[int]:
        scripts = [each.command for each in sessions.seen if each.is_beside]
        return [pid for pid in (41, 42) if any(b"/proc/%d/stat" % pid in one for one in scripts)]

    sessions = Sessions(act)
    async with sessions.transport() as ssh:
        with contextlib.suppress(ConnectionLostError):
            async with ssh.stream(["prog"]), ssh.stream(["prog"]) as last:
                sessions.seen[0].connection.abort()
                await last.wait()
        assert (await ssh.run(["prog"])).ok
        async with asyncio.timeout(20):
            while reaped() != [41, 42]:
                await asyncio.sleep(0.01)


async def test_what_could_not_be_ended_is_tried_again_at_the_next_login_only() -> None:
    """And not for each command that is left on the same connection (LIFE-05)."""
    begun: list[Session] = []

    def act(session: Session) -> None:
        if session.is_beside:
            session.chan.exit(1)  # without a sign that the script began
            return
        begun.append(session)
        session.begin(40 + len(begun))
        if len(begun) == 2:
            session.chan.exit(0)

    def reaped(pid: int) -> int:
        scripts = [each.command for each in sessions.seen if b'"$b"' in each.command]
        return sum(b"/proc/%d/stat" % pid in each for each in scripts)

    sessions = Sessions(act)
    async with sessions.transport() as ssh, asyncio.timeout(30):
        with contextlib.suppress(ConnectionLostError):
            async with ssh.stream(["prog"]) as first:
                while not begun:
                    await asyncio.sleep(0.01)
                begun[0].connection.abort()
                await first.wait()
        assert (await ssh.run(["prog"])).ok
        while not reaped(41):
            await asyncio.sleep(0.01)
        with pytest.raises(CommandTimeoutError):
            await ssh.run(["prog"], timeout=0.3)
        while not reaped(43):
            await asyncio.sleep(0.01)
        assert reaped(41) == 1


async def test_a_stdin_that_cannot_be_opened_in_time_ends_at_the_timeout(tmp_path: Path) -> None:
    """Nothing was sent; here the threads that open files are busy with somebody else's."""
    (tmp_path / "stdin").write_bytes(b"content")
    busy, threads = threading.Event(), ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(threads)
    sessions = Sessions(lambda session: session.begin())
    async with sessions.transport() as ssh:
        threads.submit(busy.wait, 60)
        try:
            with pytest.raises(CommandTimeoutError, match="its stdin to be opened") as caught:
                async with asyncio.timeout(20):
                    await ssh.run(["prog"], stdin=tmp_path / "stdin", timeout=0.2)
        finally:
            busy.set()
    assert caught.value.delivery is Delivery.NOT_SENT
    assert caught.value.stopped
    assert not sessions.seen
