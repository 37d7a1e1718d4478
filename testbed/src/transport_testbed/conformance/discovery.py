"""Transports by name and by shape (DISC-01)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial

from transport_core import ConfigurationError, Transport, build, load, names
from transport_core.authoring import shape_problems

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause


class DiscoveryTests:
    """A transport can be found, checked and built without knowing it."""

    @clause("DISC-01", opened=False)
    async def test_the_class_has_the_shape_of_the_contract(self, case: Case) -> None:
        """Names, coroutines and keywords are those of the protocol, not only the names."""
        transport = case.make()
        assert not shape_problems(type(transport))
        assert isinstance(transport, Transport)

    @clause("DISC-01", opened=False)
    async def test_options_have_the_defaults_of_the_contract(self, case: Case) -> None:
        """Who leaves an option out gets from every transport the same."""
        wrong = []
        for verb in ("run", "put", "get"):
            mine = inspect.signature(getattr(case.make(), verb)).parameters
            for option in inspect.signature(getattr(Transport, verb)).parameters.values():
                if option.kind is not option.KEYWORD_ONLY or option.name not in mine:
                    continue
                if mine[option.name].default != option.default:
                    wrong.append(f"{verb}({option.name}={mine[option.name].default!r})")
        assert not wrong

    @clause("DISC-01", opened=False)
    async def test_an_unknown_name_or_option_names_the_known_ones(self, case: Case) -> None:
        """Who mistypes is told what there is; what is installed can be loaded."""
        unknown = _refusal(partial(load, "no-such-transport"))
        assert not [name for name in names() if name not in unknown]
        cls = type(case.make())
        for name in names():
            try:
                found = await asyncio.to_thread(load, name)
            except ConfigurationError:
                continue  # a broken plugin breaks only itself
            if found is cls:
                assert "no_such_option" in _refusal(partial(build, name, {"no_such_option": 1}))


def _refusal(call: Callable[[], object]) -> str:
    """Return the text of the error of what must be refused."""
    try:
        found = call()
    except ConfigurationError as error:
        return str(error)
    raise AssertionError(f"taken without an error: {found!r:.200}")
