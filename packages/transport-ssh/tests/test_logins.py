"""Logins against servers that ask, refuse and misbehave: what they get, how often, and the end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from transport_core import (
    Authenticated,
    AuthenticationError,
    ConfigurationError,
    ConnectTimeoutError,
    Delivery,
    Event,
    HostKeyError,
)
from transport_ssh import (
    KeyboardInteractive,
    KnownHosts,
    Password,
    PrivateKey,
    SSHOptions,
    SSHTransport,
)
from transport_testbed.conformance._watch import LoopWatch

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")
KEY = PrivateKey(data=CLIENT_KEY.export_private_key())
GOOD = "CANARY-good"


class Server(asyncssh.SSHServer):
    """Notes what it is given, and lets in who gives what is good."""

    def __init__(self, test: "Site") -> None:
        self.site = test

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return "publickey" in self.site.methods

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.site.given.append("publickey")
        return self.site.key_is_good and key.public_data == CLIENT_KEY.public_data

    def password_auth_supported(self) -> bool:
        return "password" in self.site.methods

    def validate_password(self, username: str, password: str) -> bool:
        self.site.given.append(f"password {password}")
        if self.site.expired:
            raise asyncssh.PasswordChangeRequired("choose a new one")
        return password == GOOD

    def kbdint_auth_supported(self) -> bool:
        return "keyboard-interactive" in self.site.methods

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        self.site.given.append("keyboard-interactive")
        return self.site.ask(0)

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> Any:
        self.site.rounds += 1
        return self.site.check(self.site.rounds, responses)


class Site:
    """A server of one test, and what it has been given."""

    def __init__(self, *methods: str) -> None:
        self.methods = methods
        self.given: list[str] = []
        self.rounds = 0
        self.key_is_good, self.expired = True, False
        self.port = 0

    def ask(self, number: int) -> Any:
        """Return a round of questions."""
        return "name\x1b[2J", "line one\nline two", "en", [("Code: \x1b", False)]

    def check(self, number: int, responses: Sequence[str]) -> Any:
        """Say whether the answers are good, or ask more."""
        return list(responses) == [GOOD]

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator["Site"]:
        """Listen."""
        server = await asyncssh.create_server(
            lambda: Server(self), "127.0.0.1", 0, server_host_keys=[HOST_KEY]
        )
        self.port = server.get_port()
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    def client(self, auth: Any, *, events: Any = None, **options: Any) -> SSHTransport:
        """Return a transport to it."""
        line = f"[127.0.0.1]:{self.port} {HOST_KEY.export_public_key().decode()}"
        values = {"known_hosts": KnownHosts(text=line), "connect_timeout": 10.0, **options}
        return SSHTransport(
            SSHOptions(host="127.0.0.1", port=self.port, user="me", auth=auth, **values),
            on_event=events,
        )


async def fails(transport: SSHTransport, kind: type[Exception] = AuthenticationError) -> Any:
    """Return the error of a login, in bounded time."""
    with pytest.raises(kind) as caught:
        await asyncio.wait_for(transport.__aenter__(), 20)
    error = caught.value
    assert isinstance(error, AuthenticationError | ConfigurationError | ConnectTimeoutError)
    assert error.delivery is Delivery.NOT_SENT
    assert error.hop is not None
    assert error.transport == transport.name
    assert "CANARY" not in f"{error}{error!r}"
    return error


async def later() -> str:
    """Answer as a coroutine function does."""
    return GOOD


def codes(answers: Callable[[], Any]) -> KeyboardInteractive:
    """Answer each prompt with the same."""
    return KeyboardInteractive(lambda name, instructions, prompts: [answers() for _ in prompts])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("methods", "auth", "told"),
    (
        (("password",), Password(lambda: GOOD), "password"),
        (("password",), Password(later), "password"),
        (("keyboard-interactive",), codes(lambda: GOOD), "keyboard-interactive"),
        (("publickey",), KEY, "publickey"),
    ),
)
async def test_a_method_logs_in_at_once_and_the_event_names_it(
    methods: tuple[str, ...], auth: Any, told: str
) -> None:
    """Whatever else the server takes is not given."""
    events: list[Event] = []
    site = Site("publickey", "password", "keyboard-interactive")
    async with site.up(), site.client(auth, events=events.append):
        pass
    assert [line.split()[0] for line in dict.fromkeys(site.given)] == list(methods)
    assert [each.method for each in events if isinstance(each, Authenticated)] == [told]


@pytest.mark.asyncio
async def test_each_login_asks_anew() -> None:
    """Opening again is a login like the first: nothing is kept of the last one."""
    asked: list[int] = []

    def password() -> str:
        asked.append(1)
        return GOOD

    async with Site("password").up() as site:
        transport = site.client(Password(password))
        for _ in range(2):
            async with transport:
                pass
    assert len(asked) == len(site.given) == 2


@pytest.mark.asyncio
async def test_a_key_file_is_read_anew_at_each_login(tmp_path: Path) -> None:
    """A key that was replaced is the new one from the next login on."""
    path = tmp_path / "key"
    async with Site("publickey").up() as site:
        transport = site.client(PrivateKey(path))
        HOST_KEY.write_private_key(path)
        path.chmod(0o600)
        assert f"'{path}'" in str(await fails(transport)), "which key it was"
        CLIENT_KEY.write_private_key(path)
        async with transport:
            pass


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("auth", "tried"),
    (
        (Password(lambda: "CANARY-wrong"), ("password",)),
        (codes(lambda: "CANARY-wrong"), ("keyboard-interactive",)),
        (PrivateKey(data=HOST_KEY.export_private_key()), ("publickey",)),
    ),
)
async def test_what_is_wrong_is_given_once(auth: Any, tried: tuple[str, ...]) -> None:
    """Although the server would take more of it: sites lock accounts."""
    async with Site("publickey", "password", "keyboard-interactive").up() as site:
        error = await fails(site.client(auth))
    assert len(site.given) == 1
    assert error.tried == tried
    assert error.hint
    assert (HOST_KEY.get_fingerprint() in str(error)) == (tried == ("publickey",))


@pytest.mark.asyncio
async def test_a_method_that_the_server_does_not_take_is_told() -> None:
    """Nothing was tried, and the callback was not asked."""
    async with Site("publickey").up() as site:
        error = await fails(site.client(Password(lambda: pytest.fail("asked"))))
    assert site.given == []
    assert error.tried == ()
    assert "does not ask for password" in str(error)


@pytest.mark.asyncio
async def test_a_refused_first_factor_is_the_end() -> None:
    """The second is not asked for: a code would be used up, a password shown."""
    async with Site("publickey", "keyboard-interactive").up() as site:
        site.key_is_good = False
        error = await fails(site.client((KEY, codes(lambda: pytest.fail("asked")))))
    assert site.given == ["publickey"]
    assert error.tried == ("publickey",)


@pytest.mark.asyncio
async def test_an_unverified_host_is_given_nothing() -> None:
    """No secret is asked for, let alone sent, before the host key is the pinned one."""
    async with Site("password", "keyboard-interactive").up() as site:
        for auth in (
            Password(lambda: pytest.fail("asked")),
            codes(lambda: pytest.fail("asked")),
        ):
            transport = site.client(auth, known_hosts=KnownHosts(text=""))
            with pytest.raises(HostKeyError):
                await transport.__aenter__()
    assert site.given == []


@pytest.mark.asyncio
async def test_a_demanded_new_password_is_an_error_that_says_so() -> None:
    """It is a person's to choose."""
    async with Site("password").up() as site:
        site.expired = True
        error = await fails(site.client(Password(lambda: GOOD)))
    assert "new password" in str(error)
    assert error.tried == ("password",)
    assert len(site.given) == 1


@pytest.mark.asyncio
async def test_questions_reach_the_callback_harmless_to_show() -> None:
    """Name, instructions and prompts; what would move a terminal's cursor is written out."""
    seen: list[Any] = []

    async def answer(name: str, instructions: str, prompts: Any) -> list[str]:
        seen.append((name, instructions, list(prompts)))
        return [GOOD]

    site = Site("keyboard-interactive")
    async with site.up(), site.client(KeyboardInteractive(answer)):
        pass
    assert seen == [("name\\x1b[2J", "line one\nline two", [("Code: \\x1b", False)])]


@pytest.mark.asyncio
@pytest.mark.parametrize("prompts", (0, 1, 5000))
async def test_a_server_that_asks_without_end_is_left(prompts: int) -> None:
    """In rounds with questions or without, or with thousands of questions in one round."""
    asked: list[int] = []

    def answer() -> str:
        asked.append(1)
        return "x"

    class Endless(Site):
        def ask(self, number: int) -> Any:
            return "", "", "", [("?", False)] * prompts

        def check(self, number: int, responses: Sequence[str]) -> Any:
            return self.ask(number)

    async with Endless("keyboard-interactive").up() as site:
        error = await fails(site.client(codes(answer)))
    assert "without end" in str(error)
    assert site.rounds < 50
    assert len(asked) < 50


BAD_ANSWERS: tuple[tuple[Any, type[Exception]], ...] = (
    (Password(lambda: None), ConfigurationError),  # type: ignore[arg-type,return-value]
    (Password(lambda: b"x"), ConfigurationError),  # type: ignore[arg-type,return-value]
    (KeyboardInteractive(lambda *_: []), ConfigurationError),
    (KeyboardInteractive(lambda *_: ["a", "b"]), ConfigurationError),
    (KeyboardInteractive(lambda *_: [b"a"]), ConfigurationError),
    (KeyboardInteractive(lambda *_: GOOD), ConfigurationError),
    (KeyboardInteractive(lambda: GOOD), AuthenticationError),  # type: ignore[arg-type,misc]
    (Password(lambda: f"{GOOD}\udce9"), ConfigurationError),
    (codes(lambda: f"{GOOD}\udce9"), ConfigurationError),
    (Password(lambda: str(int(GOOD))), AuthenticationError),
    (Password(lambda: next(iter(()))), AuthenticationError),
)


@pytest.mark.asyncio
@pytest.mark.parametrize(("auth", "kind"), BAD_ANSWERS, ids=range(len(BAD_ANSWERS)))
async def test_a_callback_that_fails_ends_the_login(auth: Any, kind: type[Exception]) -> None:
    """Typed, with the callback's own exception as the cause; nothing is sent."""
    async with Site("password", "keyboard-interactive").up() as site:
        error = await fails(site.client(auth), kind)
    assert not [line for line in site.given if line.startswith("password")]
    assert "CANARY" not in repr(error.__context__)
    assert (error.__cause__ is None) == (kind is ConfigurationError)


@pytest.mark.asyncio
async def test_a_callback_that_waits_does_not_stop_the_loop() -> None:
    """It may sit at a prompt: other tasks go on meanwhile."""

    def slow() -> str:
        time.sleep(0.6)
        return GOOD

    async with Site("password").up() as site:
        with LoopWatch(limit=0.3) as watch:
            async with site.client(Password(slow)):
                pass
    assert not watch.blocked


@pytest.mark.asyncio
async def test_a_callback_that_never_answers_is_not_waited_for() -> None:
    """``connect_timeout`` and a cancellation end the login; the thread is nobody's to wait for."""
    released = asyncio.Event()
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    until = time.monotonic() + 5

    def never() -> str:
        while time.monotonic() < until:
            time.sleep(0.01)
        loop.call_soon_threadsafe(released.set)
        return GOOD

    async with Site("password").up() as site:
        late = await fails(site.client(Password(never), connect_timeout=1.5), ConnectTimeoutError)
        assert "the password callback did not answer within 1.5 s" in str(late)
        login = asyncio.create_task(site.client(Password(never)).__aenter__())
        await asyncio.sleep(0.3)
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
        assert time.monotonic() - began < 4.8, "it was waited for until it answered"
        until = 0
        await asyncio.wait_for(released.wait(), 5)
    assert site.given == []
