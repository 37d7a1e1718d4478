"""Planted secrets, searched for in every place that a transport writes to or shows (ERR-05)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import logging
import os
import pickle
import traceback
import warnings
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, cast

import asyncssh
import pytest
from transport_core import CommandResult, Event, TransportError
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.stack import Endpoint, Stack, StackSpec, providers

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

_PROVIDER = providers()[0]
if reason := _PROVIDER.unavailable():
    pytest.skip(f"no native stack here: {reason}", allow_module_level=True)

CANARIES = {
    part: f"canary-{part}-5e1f0c93{index}"
    for index, part in enumerate(("argv", "env", "stdin", "file", "passphrase"))
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One sshd, one account."""
    up = _PROVIDER.start(StackSpec(slurm=False, jump=False, shells=("bash",)))
    yield up
    _PROVIDER.stop(up)


def forms(secret: str) -> Iterator[str]:
    """Give a secret as the ways of showing bytes show it."""
    plain = secret.encode()
    yield secret
    yield plain.hex()
    yield plain.hex(" ")
    # Base64 depends on where in its stream a secret begins: the middle of each shift is searched.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain).decode()
        yield encoded[4:-4]


def told(where: str, secrets: dict[str, str]) -> list[str]:
    """Return which of the secrets are in a text."""
    low = where.lower()
    return [
        part
        for part, secret in secrets.items()
        if any(form in where or form.lower() in low for form in forms(secret))
    ]


async def test_the_search_finds_a_secret_in_each_of_its_forms() -> None:
    """Otherwise that nothing was found would say nothing."""
    secret = CANARIES["env"]
    for shown in (
        f"x{secret}y",
        f"x{secret.encode().hex()}y",
        f"x{secret.upper()}",
        *(base64.b64encode(b"p" * n + secret.encode() + b"tail").decode() for n in range(9)),
    ):
        assert told(shown, CANARIES) == ["env"], shown


@pytest.fixture
def key(tmp_path: Path, stack: Stack) -> tuple[bytes, bytes]:
    """The account's key as bytes: encrypted, and as it is."""
    identity = asyncssh.read_private_key(stack.endpoint("bash").identity)
    encrypted = identity.export_private_key("pkcs8-pem", passphrase=CANARIES["passphrase"])
    return encrypted, identity.export_private_key()


def options(endpoint: Endpoint, key: bytes) -> SSHOptions:
    """Return options that hold everything secret themselves."""
    return SSHOptions(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        auth=PrivateKey(data=key, passphrase=lambda: CANARIES["passphrase"]),
        known_hosts=KnownHosts(text=endpoint.known_hosts),
    )


class Sinks:
    """All places that are searched, by name."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.events: list[Event] = []

    def note(self, where: str, *texts: str) -> None:
        """Keep what was found at a place."""
        self.texts.setdefault(where, []).extend(texts)

    def found(self, secrets: dict[str, str]) -> list[str]:
        """Return which secrets are where."""
        return [
            f"{part} in {where}"
            for where, texts in self.texts.items()
            for part in told("\n".join(texts), secrets)
            # The words of a command are public where it runs.
            if (where, part) != ("command line", "argv")
        ]


def shown(value: object) -> Iterator[str]:
    """Give all that a log, a report or a person may be shown of a value."""
    yield str(value)
    yield repr(value)
    yield f"{value} {value!r} {value!a}"
    yield repr(getattr(value, "__dict__", ""))
    if isinstance(value, BaseException):
        yield repr(value.args)
        yield repr(getattr(value, "__notes__", ""))
        lines = "".join(traceback.format_exception(value)).splitlines()
        # Lines of source code in a traceback are the test's own words, not the error's.
        yield "\n".join(line for line in lines if not line.startswith("    "))
        for chained in (value.__cause__, value.__context__):
            if chained is not None:
                yield from shown(chained)


@contextlib.contextmanager
def logs_into(sinks: Sinks, level: int) -> Iterator[None]:
    """Keep every log record of every logger, and what asyncssh says at one of its debug levels."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sinks.note(f"log of {record.name}", self.format(record), repr(record.args))

    handler = Keep()
    loggers = [logging.getLogger(name) for name in (None, "asyncssh", "asyncio", "intercede")]
    before = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    asyncssh.set_debug_level(level)
    try:
        yield
    finally:
        asyncssh.set_debug_level(1)
        loggers[0].removeHandler(handler)
        for logger, was in zip(loggers, before, strict=True):
            logger.setLevel(was)


def processes() -> Iterator[str]:
    """Give the command line of every process, this one's own aside."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid():
                yield (folder / "cmdline").read_bytes().decode("utf-8", "replace")


def foreign_environments(mine: bytes) -> Iterator[str]:
    """Give the environment of every process but this one and the commands that were given it."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environ = (folder / "environ").read_bytes()
            if int(folder.name) != os.getpid() and mine not in environ:
                yield environ.decode("utf-8", "replace")


async def watched(work: Awaitable[Any], sinks: Sinks) -> Any:
    """Look at processes and tasks for as long as work goes on."""
    task = asyncio.ensure_future(work)
    while not task.done():
        sinks.note("task", *map(repr, asyncio.all_tasks()))
        sinks.note("stack", *(_stack_of(each) for each in asyncio.all_tasks()))
        sinks.note("command line", *await asyncio.to_thread(lambda: list(processes())))
        environments = await asyncio.to_thread(lambda: list(foreign_environments(b"MARK=given")))
        sinks.note("environment", *environments)
        await asyncio.wait({task}, timeout=0.02)
    return await task


def _stack_of(task: asyncio.Task[Any]) -> str:
    into = io.StringIO()
    task.print_stack(file=into)
    lines = into.getvalue().splitlines()
    return "\n".join(line for line in lines if not line.startswith("    "))


async def calls(transport: SSHTransport, tmp_path: Path, remote: str) -> list[Any]:
    """Make calls that succeed and calls that fail in every way, all with secrets."""
    run, env = transport.run, {"TOKEN": CANARIES["env"], "MARK": "given"}
    # The script repeats what it was told: its output is as secret.
    script = 'cat >&2; printf "%s" "$TOKEN"; sleep 0.1; exit "$1"'
    told: dict[str, Any] = {"env": env, "stdin": CANARIES["stdin"]}
    source = tmp_path / "source"
    source.write_text(CANARIES["file"])
    plain = ["sh", "-c", script, "sh"]
    return await asyncio.gather(
        run([*plain, "0"], **told),
        run([*plain, "3"], **told, check=True),
        run([*plain, "0"], **told, output_limit=3),
        run(["sh", "-c", f"{script}; sleep 30", "sh", "0"], **told, timeout=0.05),
        run(["no-such-program", CANARIES["argv"]], **told),
        # Without variables the words are sent in the request itself, in two forms.
        run(["no-such-program", CANARIES["argv"]]),
        run(["no-such-program", CANARIES["argv"] + "\n'"]),
        run(["true", CANARIES["argv"]], **told, cwd="/no/such"),
        run(["true", CANARIES["argv"]], **told, timeout=-1),
        run(cast("Any", [7, CANARIES["argv"]]), **told),
        run(["true", CANARIES["argv"] + "\0"], **told),
        run(["true", CANARIES["argv"] + "\ud800"], **told),
        run(["true"], env={"TOKEN": CANARIES["env"] + "\0"}),
        run(["true"], env={"TOKEN": CANARIES["env"] + "\ud800"}),
        run(["true"], stdin=CANARIES["stdin"] + "\ud800"),
        run(["sh", "-c", "kill -9 $$", CANARIES["argv"]], **told, check=True),
        transport.put(source, f"{remote}/put"),
        transport.get(f"{remote}/put", tmp_path / "got"),
        transport.put(source, f"{remote}/no/such"),
        transport.get(f"{remote}/put", tmp_path / "no" / "such"),
        return_exceptions=True,
    )


@pytest.mark.parametrize("level", [1, 2])
async def test_no_secret_is_in_any_place_that_a_transport_writes_to_or_shows(
    stack: Stack, key: tuple[bytes, bytes], tmp_path: Path, level: int
) -> None:
    """Errors, reprs, logs, events, pickles, tasks, warnings, processes; plain, hex and base64."""
    endpoint, sinks = stack.endpoint("bash"), Sinks()
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    given = options(endpoint, key[0])
    secrets = {**CANARIES, **_lines_of("private key", key[0]), **_lines_of("plain key", key[1])}
    remote = f"{endpoint.home}/{level}"
    os.mkdir(remote)
    os.chown(remote, stack.uid, stack.uid)
    with warnings.catch_warnings(record=True) as warned, logs_into(sinks, level):
        warnings.simplefilter("always")
        transport = SSHTransport(given, on_event=sinks.events.append)
        async with transport:
            sinks.note("transport", *shown(transport), transport.name)
            outcomes = await watched(calls(transport, tmp_path, remote), sinks)
            sinks.note("transport", *shown(transport))
        sinks.note("transport", *shown(transport))
    sinks.note("warning", *(str(each.message) for each in warned))
    sinks.note("options", *shown(given), *shown(given.auth), *shown(given.known_hosts))
    for event in sinks.events:
        sinks.note("event", *shown(event), repr(pickle.dumps(event)))
    for outcome in outcomes:
        sinks.note("error" if isinstance(outcome, BaseException) else "result", *shown(outcome))
        if isinstance(outcome, TransportError):
            _note_pickle(sinks, outcome)
    kinds = {type(outcome).__name__ for outcome in outcomes}
    assert {"CommandResult", "CommandFailedError", "OutputLimitError", "CommandNotFoundError",
            "CommandTimeoutError", "WorkingDirectoryError", "NotFoundError"} <= kinds  # fmt: skip
    assert len(sinks.events) > 10
    assert {"log of asyncssh", "log of intercede.transport", "command line", "task"} <= set(
        sinks.texts
    )
    assert not sinks.found(secrets)


def _note_pickle(sinks: Sinks, error: TransportError) -> None:
    """A pickle holds what the attributes hold, argv and output; nothing else may be in it."""
    whole = pickle.dumps(error)
    result: CommandResult | None = getattr(error, "result", None)
    known = (*result.argv, result.stdout, result.stderr) if result else ()
    for part in filter(None, known):
        whole = whole.replace(part, b"")
    sinks.note("pickle", whole.decode("latin-1"))


def _lines_of(part: str, key: bytes) -> dict[str, str]:
    """Return the lines of a key; each is a secret of its own."""
    lines = key.decode().splitlines()[1:-1]
    return {f"{part}, line {number}": line for number, line in enumerate(lines) if len(line) > 30}


async def test_errors_of_the_key_and_the_login_hold_no_secret(
    stack: Stack, key: tuple[bytes, bytes]
) -> None:
    """A wrong passphrase, a passphrase that raises, a key that nobody knows."""
    endpoint = stack.endpoint("bash")
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key()

    def raising() -> str:
        raise LookupError("no passphrase")

    wrong = {"passphrase": CANARIES["passphrase"] + "wrong"}
    auths = [
        PrivateKey(data=key[0], passphrase=lambda: wrong["passphrase"]),
        PrivateKey(data=key[0], passphrase=raising),
        PrivateKey(data=key[0]),
        PrivateKey(data=key[0][:-40], passphrase=lambda: CANARIES["passphrase"]),
        PrivateKey(data=other),
    ]
    sinks = Sinks()
    with logs_into(sinks, 2):
        for auth in auths:
            given = SSHOptions(
                host=endpoint.host,
                port=endpoint.port,
                user=endpoint.user,
                auth=auth,
                known_hosts=KnownHosts(text=endpoint.known_hosts),
            )
            with pytest.raises((TransportError, LookupError)) as caught:
                async with SSHTransport(given):
                    pass
            sinks.note("error", *shown(caught.value), repr(pickle.dumps(caught.value)))
    keys = {**_lines_of("private key", key[0]), **_lines_of("other key", other)}
    assert not sinks.found({**CANARIES, **keys})
