"""What asyncssh asks of us while a hop is opened: whom to trust, and what to give.

Executes what _hostkeys and _auth decide; a callback's failure waits here until the login is over,
and so does what else an error will have to say of it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncssh
from asyncssh.agent import SSHAgentKeyPair
from transport_core import AuthenticationError, ConfigurationError, Delivery, TransportError

from . import _algorithms, _hostkeys
from ._ask import Clock, ask, check_text
from ._auth import MOST_PROMPTS, MOST_ROUNDS, Auth, KeyboardInteractive, Password, Steps, asked
from ._keys import Offer
from ._options import Hop


class Client(asyncssh.SSHClient):
    """Decides on the host key and the login of one hop, and hears of its loss."""

    def __init__(
        self,
        hop: Hop,
        pins: tuple[_hostkeys.Pin, ...],
        offer: Offer | None,
        clock: Clock,
        on_lost: Callable[[Exception | None], None],
    ) -> None:
        self._factors: dict[type[Auth], Auth] = {type(each): each for each in hop.factors}
        self._rounds = 0
        self.offer = offer
        self.clock = clock
        self.steps = Steps(hop.factors)
        self.failure: TransportError | None = None
        self.lost = False
        """Whether the connection has ended."""
        self.why_lost: Exception | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._name, self._port = hop.known_as
        self._pins = pins
        self._on_lost = on_lost
        self._shown = b""
        self.verdict: _hostkeys.Verdict | None = None

    @property
    def host_key_algs(self) -> tuple[str, ...]:
        """What is asked for: what can be judged by the pins comes first."""
        known = (self._pins, self._name, self._port)
        kinds, certified = _hostkeys.preferred_kinds(*known), _hostkeys.has_authority(*known)
        return _algorithms.host_keys(kinds, certified=certified)

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Keep what the server shows: of a certificate, asyncssh tells us only who signed it.

        Not kept, for whatever reason, no certificate is accepted.
        """
        self._connection = conn
        validate = conn.validate_server_host_key

        def kept(data: bytes) -> asyncssh.SSHKey:
            self._shown = data
            return validate(data)

        conn.validate_server_host_key = kept  # type: ignore[method-assign,assignment]

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Let asyncssh ask us: it trusts no key by itself."""
        self.verdict = _hostkeys.judge(self._pins, self._name, self._port, key.public_data)
        return self.verdict.trusted

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Decide on the signer of a host certificate, on the key in it, and on the signature."""
        signed = _hostkeys.certified_key(self._shown)
        self.verdict = _hostkeys.judge_authority(
            self._pins, self._name, self._port, key.public_data, signed
        )
        algorithm = _hostkeys.signed_with(self._shown)
        if self.verdict.trusted and algorithm not in _algorithms.SIGNATURES:
            # asyncssh has found the signature to fit, also one with SHA-1.
            raise asyncssh.HostKeyNotVerifiable(
                f"it is signed with {algorithm}, which is not safe (such as SHA-1)"
            )
        return self.verdict.trusted

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link."""
        self.lost, self.why_lost = True, exc
        self._on_lost(exc)

    @property
    def met_no_server(self) -> bool:
        """Whether somebody was reached who has not said that this is an SSH server."""
        connection = self._connection
        return connection is not None and not connection.get_extra_info("server_version")

    # -- the login: asyncssh asks for one method after another, as the server names them

    def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        """Offer the one key, once."""
        if self.offer is None or not self.steps.may_give("publickey"):
            return None
        if isinstance(self.offer.pair, SSHAgentKeyPair):
            sign = functools.partial(self._signed, self.offer, self.offer.pair.sign_async)
            self.offer.pair.sign_async = sign  # type: ignore[method-assign]
        return self.offer.pair

    async def password_auth_requested(self) -> str | None:
        """Ask for the password, once."""
        factor = self._factors.get(Password)
        if not isinstance(factor, Password) or not self.steps.may_give("password"):
            return None
        password: str | None = await self._caught(self._password(factor))
        return password

    def password_change_requested(self, prompt: str, lang: str) -> Any:
        """Refuse: a new password is a person's to choose."""
        self.failure = AuthenticationError(
            "the server demands a new password",
            tried=self.steps.tried,
            delivery=Delivery.NOT_SENT,
            hint="log in by hand once, with ssh, and change it",
        )
        return NotImplemented

    def kbdint_auth_requested(self) -> str | None:
        """Begin the questions, once."""
        return "" if self.steps.may_give("keyboard-interactive") else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        """Pass one round of questions on; a round without any is answered with nothing."""
        factor = self._factors.get(KeyboardInteractive)
        self._rounds += 1
        if not isinstance(factor, KeyboardInteractive) or self.failure is not None:
            return None
        given = self._answers(factor, name, instructions, prompts)
        answers: list[str] | None = await self._caught(given)
        return answers

    async def _signed(
        self, offer: Offer, sign: Callable[[bytes], Awaitable[bytes]], data: bytes
    ) -> bytes:
        """Have an agent sign, which may ask its user: it has a say of its own."""
        try:
            with self.clock.waiting_for(offer.source):
                return await sign(data)
        except ValueError as error:
            self.failure = AuthenticationError(
                f"{offer.source} did not sign with {offer.key}",
                delivery=Delivery.NOT_SENT,
                hint="look whether it is locked or asks for a confirmation (ssh-add -c)",
            )
            self.failure.__cause__ = error
            raise

    async def _password(self, factor: Password) -> str:
        what = "the password callback"
        with self.clock.waiting_for(what):
            answer = await ask(what, factor.callback)
        return check_text(what, answer)

    async def _answers(
        self,
        factor: KeyboardInteractive,
        name: str,
        instructions: str,
        prompts: Sequence[tuple[str, bool]],
    ) -> list[str]:
        if self._rounds > MOST_ROUNDS or len(prompts) > MOST_PROMPTS:
            raise AuthenticationError(
                "the server asks without end",
                delivery=Delivery.NOT_SENT,
                hint="an honest server asks for a password or a code: look at who answers there",
            )
        if not prompts:
            return []
        what = "the keyboard-interactive callback"
        with self.clock.waiting_for(what):
            answers = await ask(what, factor.callback, *asked(name, instructions, prompts))
        if isinstance(answers, str) or not isinstance(answers, Sequence):
            raise ConfigurationError(f"{what} must return a list with an answer for each prompt")
        if len(answers) != len(prompts):
            raise ConfigurationError(
                f"{what} must return one answer for each of {len(prompts)} prompts"
            )
        return [check_text(what, each) for each in answers]

    async def _caught(self, answer: Awaitable[Any]) -> Any:
        """Keep an error for the end of the login, which asyncssh ends when it is given nothing."""
        try:
            return await answer
        except TransportError as error:
            self.failure = error
            return None
