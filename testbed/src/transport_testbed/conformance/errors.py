"""Errors: their kinds, what they know, and what they do not tell (ERR-01, 02, 03, 04, 05)."""

from __future__ import annotations

import asyncio
import os
import pickle
import traceback
from collections.abc import Awaitable
from typing import Any

from transport_core import (
    Capability,
    CommandError,
    CommandFailedError,
    CommandNotFoundError,
    CommandTimeoutError,
    ConfigurationError,
    ConnectivityError,
    Delivery,
    NotFoundError,
    OutputLimitError,
    TransferError,
    TransportClosedError,
    TransportError,
    WorkingDirectoryError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    begun,
    cut,
    everything_logged,
    failure,
    failures,
    sh,
    timed_out,
)

COMMANDS = ("failed", "program missing", "not executable", "directory missing", "output limit")


def _failing_commands(case: Case) -> dict[str, Awaitable[object]]:
    """Return commands that fail in every way that needs no broken place."""
    plain = case.remote("no program")
    case.probe.write(plain, b"x" * 10, 0o644)
    run = case.transport.run
    return {
        "failed": run(sh("exit 3"), check=True),
        "program missing": run(["/no/such/program"]),
        "not executable": run([plain]),
        "directory missing": run(["true"], cwd="/no/such/place"),
        "output limit": run(sh("echo 12345"), output_limit=2),
        "stdin missing": run(["cat"], stdin=case.local("no-stdin")),
    }


def _failing_transfers(case: Case) -> dict[str, Awaitable[object]]:
    """Return transfers that fail in every way that needs no broken place."""
    plain, folder = case.remote("plain"), case.remote("folder")
    source, out = case.local("source"), case.local("out")
    case.probe.write(plain, b"x" * 10, 0o644)
    case.probe.make_dir(folder)
    source.write_bytes(b"x")
    put, get = case.transport.put, case.transport.get
    return {
        "source missing": get(case.remote("missing"), out),
        "local source missing": put(case.local("missing"), case.remote("r")),
        "directory in the way": put(source, folder),
        "file in the way": put(source, plain + b"/below"),
        "exists": put(source, plain, overwrite=False),
        "parent missing": put(source, case.remote("no") + b"/such"),
        "name too long": put(source, folder + b"/" + b"n" * 300),
        "too large": get(plain, out, max_bytes=2),
        "device": get("/dev/null", out),
    }


def _failing(case: Case) -> dict[str, Awaitable[object]]:
    """Return calls that fail in every way that the transport claims."""
    runs = Capability.RUN in case.transport.capabilities
    return {**(_failing_commands(case) if runs else {}), **_failing_transfers(case)}


def _copied(error: TransportError) -> Any:
    """Return an error as another process would have it."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception as reason:
        raise AssertionError(f"{error!r} cannot be pickled: {reason}") from reason


def _text_of(error: BaseException) -> str:
    """Return all that a log, a report or a person may be shown of an error."""
    whole = "".join(traceback.format_exception(error))
    # Lines of source code in a traceback are the test's own words, not the error's.
    shown = [line for line in whole.splitlines() if not line.startswith("    ")]
    # "raise … from None" hides the context from a traceback, and it is there all the same.
    behind = [repr(each.args) for each in (error.__cause__, error.__context__) if each]
    return "\n".join([str(error), repr(error), repr(error.args), *behind, *shown])


class ErrorsTests:
    """An error says what went wrong, to whom, and whether to try again; and no secret."""

    @clause("ERR-01", about="files")
    async def test_kinds_of_failure_are_never_confused(self, case: Case) -> None:
        """A command's failure is no transfer's, and neither is a connection's."""
        calls = _failing(case)
        found = await asyncio.gather(*calls.values(), return_exceptions=True)
        families = (CommandError, TransferError, ConnectivityError, ConfigurationError)
        for name, error in zip(calls, found, strict=True):
            if name == "stdin missing":
                continue  # the caller's own file: its error may come out as it is
            mine = [kind.__name__ for kind in families if isinstance(error, kind)]
            wanted = "CommandError" if name in COMMANDS else "TransferError"
            assert mine == [wanted], (name, repr(error))

    @clause("ERR-02", needs=Capability.RUN)
    async def test_delivery_is_known_where_it_is_proven(self, case: Case) -> None:
        """What did not start may be sent again, what ended is finished, and nothing is guessed."""
        never = case.make()
        error: TransportError = await failure(TransportClosedError, never.run(["true"]))
        assert error.delivery is Delivery.NOT_SENT
        failed = await failure(CommandFailedError, case.transport.run(["false"], check=True))
        assert failed.delivery is Delivery.FINISHED
        missing = await failure(CommandNotFoundError, case.transport.run(["/no/such/program"]))
        assert missing.delivery is not Delivery.UNKNOWN

        def ran(seconds: float, ready: bytes) -> Awaitable[object]:
            return case.transport.run(sh(': > "$1"; sleep 30', ready, case.marker), timeout=seconds)

        # One that was never given a session has not been sent, and may say so.
        late = await timed_out(case, ran, 0.4)
        assert not late.retry_safe, "it ran, and a second try may run it twice"

    @clause("ERR-02", needs=(Capability.RUN, Capability.STOP), opened=False)
    async def test_a_command_that_began_is_never_not_sent(self, case: Case) -> None:
        """Closing under a running command does not make it one that never ran."""
        transport = case.make()
        async with transport:
            call = asyncio.create_task(transport.run(sh("sleep 1000", case.marker)))
            await begun(case)
        error = await failure(TransportClosedError, call)
        assert not error.retry_safe

    @clause("ERR-03", needs=(Capability.RUN, Capability.CONNECTION), offers=("cut",))
    async def test_a_lost_connection_is_no_result(self, case: Case) -> None:
        """A command whose end nobody saw is an exception, whatever it had written."""
        call = asyncio.create_task(case.transport.run(sh("echo out; sleep 20", case.marker)))
        await begun(case)
        with cut(case):
            error = await failure(ConnectivityError, call)
        assert error.delivery is Delivery.UNKNOWN

    @clause("ERR-04", about="files")
    async def test_every_error_is_of_the_tree(self, case: Case) -> None:
        """Whatever fails, a caller who catches TransportError catches it."""
        calls = _failing(case)
        found = await asyncio.gather(*calls.values(), return_exceptions=True)
        for name, error in zip(calls, found, strict=True):
            assert isinstance(error, Exception), f"{name}: no error but {error!r:.200}"
            if name != "stdin missing":
                assert isinstance(error, TransportError), f"{name}: {error!r:.200}"
                assert error.transport in (None, case.transport.name)
                assert isinstance(error.delivery, Delivery)

    @clause("ERR-04")
    async def test_errors_and_results_can_be_pickled(self, case: Case) -> None:
        """They reach another process of a workflow engine with all that they know."""
        missing = case.remote("missing")
        errors: list[TransportError] = [
            await failure(NotFoundError, case.transport.get(missing, case.local("out")))
        ]
        if Capability.RUN in case.transport.capabilities:
            failed = await failure(CommandFailedError, case.transport.run(sh("exit 3"), check=True))
            assert _copied(failed).result == failed.result
            errors.append(failed)
        for error in errors:
            copy = _copied(error)
            assert type(copy) is type(error)
            assert (str(copy), copy.delivery) == (str(error), error.delivery)
        assert os.fsencode(_copied(errors[0]).remote) == missing

    @clause("ERR-05", needs=Capability.RUN)
    async def test_no_secret_is_told(self, case: Case) -> None:
        """Words, variables, input and output are in no text, repr, log record or event."""
        canary = {part: f"canary-{part}-{case.marker}" for part in ("argv", "env", "in")}
        run = case.transport.run
        told: dict[str, Any] = {"env": {"TOKEN": canary["env"]}, "stdin": canary["in"]}
        late = {**told, "timeout": 0.4}
        # The script repeats what it was told: its output is as secret.
        script = 'printf "%s" "$1$TOKEN"; cat; printf "%s" "$1$TOKEN" >&2'
        words = (canary["argv"],)
        missing = ["no-such-program", canary["argv"]]
        odd = ["no-such-program", f"it's {canary['argv']}\n"]
        lone = "\ud800"
        with everything_logged() as logged:
            good = await run(sh(script, *words), **told)
            errors: list[CommandError] = await failures(
                (CommandFailedError, run(sh(f"{script}; exit 3", *words), **told, check=True)),
                (CommandNotFoundError, run(missing, **told)),
                (WorkingDirectoryError, run(sh(script, *words), **told, cwd="/no/such")),
                (OutputLimitError, run(sh(script, *words), **told, output_limit=3)),
                (CommandTimeoutError, run(sh(f"{script}; sleep 30", *words), **late)),
                # With nothing but words, they may travel in another way.
                (CommandNotFoundError, run(missing)),
                (CommandNotFoundError, run(odd)),
            )
            refused: list[ValueError] = await failures(
                (ValueError, run([*missing, canary["argv"] + lone])),
                (ValueError, run(["true"], env={"TOKEN": canary["env"] + lone})),
                (ValueError, run(["true"], stdin=canary["in"] + lone)),
            )
        all_errors: list[Exception] = [*errors, *refused]
        shown = {f"error {index}": _text_of(error) for index, error in enumerate(all_errors)}
        shown["result"] = repr(good) + str(good)
        shown |= {f"result of error {n}": repr(e.result) for n, e in enumerate(errors)}
        shown["transport"] = repr(case.transport) + case.transport.name
        shown["log"] = "\n".join(logged)
        found = [
            f"{part} in {where}"
            for where, words_shown in shown.items()
            for part, secret in canary.items()
            if secret in words_shown
        ]
        assert not found

    @clause("ERR-05")
    async def test_text_from_the_other_side_cannot_act_on_a_terminal(self, case: Case) -> None:
        """Control characters in names are shown as escapes in an error's text."""
        odd = case.remote("o") + b"\x1b]0;owned\x07\r\x9b\xe2\x80\xae"
        errors: list[TransportError] = [
            await failure(NotFoundError, case.transport.get(odd, case.local("out")))
        ]
        if Capability.RUN in case.transport.capabilities:
            errors.append(await failure(CommandNotFoundError, case.transport.run([odd])))
        for error in errors:
            assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(str(error)), repr(str(error))
