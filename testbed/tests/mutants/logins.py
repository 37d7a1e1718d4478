"""Wrong in how they log in to the simulated server (CONN-06, ERR-01, ERR-05)."""

from __future__ import annotations

import logging

from transport_core import AuthenticationError, ConnectivityError, Delivery

from .connections import HeldTransport


class OffersWhatItFinds(HeldTransport):
    """Offers something that nobody configured before what was configured."""

    async def authenticate(self) -> None:
        self.server.admits("a key from the home directory")
        await super().authenticate()


class OffersMoreAfterALoss(HeldTransport):
    """Takes whatever it finds when it logs in again."""

    async def authenticate(self) -> None:
        if self._lost is not None:
            self.server.admits("a key from the home directory")
        await super().authenticate()


class KeepsTheSecret(HeldTransport):
    """Gives what it was told for the first login for every login."""

    kept = ""

    async def authenticate(self) -> None:
        self.kept = self.kept or self.target.facts["secret"]()
        if not self.server.admits(self.kept):
            raise AuthenticationError("not let in", tried=("password",), delivery=Delivery.NOT_SENT)


class AsksTwice(HeldTransport):
    """Asks a person twice for one login."""

    async def authenticate(self) -> None:
        self.target.facts["secret"]()
        await super().authenticate()


class TriesAgain(HeldTransport):
    """Takes a refusal for an accident."""

    async def authenticate(self) -> None:
        try:
            await super().authenticate()
        except AuthenticationError:
            await super().authenticate()


class NotLetInIsUnreachable(HeldTransport):
    """A refused login is a server that cannot be reached."""

    async def authenticate(self) -> None:
        try:
            await super().authenticate()
        except AuthenticationError as error:
            raise ConnectivityError("not reached", delivery=Delivery.NOT_SENT) from error


class ForgetsWhatItTried(HeldTransport):
    """Does not say which methods were tried."""

    async def authenticate(self) -> None:
        try:
            await super().authenticate()
        except AuthenticationError as error:
            error.tried = ()
            raise


class MayHaveLoggedIn(HeldTransport):
    """Does not know that who is not let in has sent nothing."""

    async def authenticate(self) -> None:
        try:
            await super().authenticate()
        except AuthenticationError as error:
            error.delivery = Delivery.UNKNOWN
            raise


class ShowsTheSecret(HeldTransport):
    """Says what was refused."""

    async def authenticate(self) -> None:
        given = self.target.facts["secret"]()
        if not self.server.admits(given):
            raise AuthenticationError(
                f"{given} is wrong", tried=("password",), delivery=Delivery.NOT_SENT
            )


class LogsTheSecret(HeldTransport):
    """Logs what was given."""

    async def authenticate(self) -> None:
        await super().authenticate()
        logging.getLogger("mutant").debug("gave %s", self.target.facts["secret"].given[-1])
