"""Transports by name: the entry point group ``intercede.transports`` (DISC).

Nothing is imported but the one that is asked for, so a broken plugin breaks only itself.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ._errors import ConfigurationError
from ._protocol import Transport
from ._streaming import StreamingTransport

GROUP = "intercede.transports"
"""The entry point group in which a distribution registers its transport (DISC-1)."""
_VERBS = ("run", "put", "get", "aclose", "__aenter__", "__aexit__")


def names() -> tuple[str, ...]:
    """Return the known names, sorted; imports none of them."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> type[Transport]:
    """Import a transport class and check that it has the protocol's shape.

    Raises:
        ConfigurationError: The name is unknown (the known ones are listed), claimed by two
            distributions, cannot be imported, or does not fit; the cause is kept.
    """
    point = _find(name)
    try:
        found = point.load()
    except Exception as error:
        raise ConfigurationError(
            f"transport {name!r} ({point.value}) cannot be imported: {type(error).__name__}",
            hint="reinstall the distribution that provides it; the cause is attached",
        ) from error
    problems = shape_problems(found)
    if problems:
        raise ConfigurationError(
            f"transport {name!r} ({point.value}) does not have the contract's shape: "
            + "; ".join(problems)
        )
    checked: type[Transport] = found
    return checked


def build(name: str, options: Mapping[str, Any] | None = None) -> Transport:
    """Construct a transport by name; it is not opened.

    ``options`` are the keyword arguments of its constructor, or, where the class has a
    classmethod ``from_options``, the mapping that this takes.

    Raises:
        ConfigurationError: As ``load``, or an option is unknown (the known ones are listed),
            missing or impossible.
    """
    options = dict(options or {})
    cls = load(name)
    make: Any = getattr(cls, "from_options", None)
    if make is not None:
        built: Transport = make(options)
        return built
    signature = inspect.signature(cls)
    check_options(name, options, tuple(signature.parameters))
    try:
        signature.bind(**options)
    except TypeError as error:
        raise ConfigurationError(f"transport {name!r}: {error}") from error
    return cls(**options)


def check_options(owner: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Check the names of options.

    Raises:
        ConfigurationError: One is unknown; the nearest and all known ones are named.
    """
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            raise ConfigurationError(
                f"{owner} has no option {name!r}; it has: {', '.join(known) or 'none'}",
                hint=f"did you mean {near[0]!r}?" if near else None,
            )


def _find(name: str) -> EntryPoint:
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if len({point.value for point in points}) > 1:
        rivals = ", ".join(sorted(point.value for point in points))
        raise ConfigurationError(
            f"transport {name!r} is claimed more than once: {rivals}",
            hint="uninstall one of the distributions",
        )
    if not points:
        near = difflib.get_close_matches(name, names(), 1)
        raise ConfigurationError(
            f"there is no transport {name!r}; installed: {', '.join(names()) or 'none'}",
            hint=f"did you mean {near[0]!r}?" if near else f"pip install transport-{name}",
        )
    return points[0]


def shape_problems(cls: object) -> list[str]:
    """Return how a class differs from the protocol: names, coroutines and keywords (DISC)."""
    if not inspect.isclass(cls):
        return [f"it is no class but {type(cls).__name__}"]
    problems = [f"no attribute {a!r}" for a in ("name", "capabilities") if not _has(cls, a)]
    for verb in _VERBS:
        problems += _verb_problems(cls, verb)
    return problems + _stream_problems(cls)


def _has(cls: type, attribute: str) -> bool:
    declared = any(attribute in getattr(c, "__annotations__", {}) for c in cls.__mro__)
    return declared or hasattr(cls, attribute)


def _verb_problems(cls: type, verb: str) -> list[str]:
    method = getattr(cls, verb, None)
    if not callable(method):
        return [f"no method {verb!r}"]
    if not inspect.iscoroutinefunction(method):
        return [f"{verb} is not 'async def'"]
    return _signature_problems(verb, getattr(Transport, verb), method)


def _stream_problems(cls: type) -> list[str]:
    """Return what is wrong with the optional verb; nothing where there is none."""
    method = getattr(cls, "stream", None)
    if method is None:
        return []
    if not callable(method):
        return ["stream is no method"]
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        return ["stream is 'async def': it has to return an async context manager"]
    return _signature_problems("stream", StreamingTransport.stream, method)


def _signature_problems(
    verb: str, contract: Callable[..., Any], method: Callable[..., Any]
) -> list[str]:
    wanted = inspect.signature(contract).parameters.values()
    offered = inspect.signature(method).parameters
    return _keyword_problems(verb, wanted, offered) + _position_problems(verb, wanted, offered)


def _keyword_problems(
    verb: str, wanted: Iterable[inspect.Parameter], offered: Mapping[str, inspect.Parameter]
) -> list[str]:
    if any(p.kind is p.VAR_KEYWORD for p in offered.values()):
        taken = {p.name for p in wanted}
    else:
        taken = {p.name for p in offered.values() if p.kind is not p.POSITIONAL_ONLY}
    keywords = [p.name for p in wanted if p.kind is p.KEYWORD_ONLY]
    missing = [name for name in keywords if name not in taken]
    demanded = [
        p.name
        for p in offered.values()
        if p.default is p.empty and (p.kind is p.KEYWORD_ONLY or p.name in keywords)
    ]
    return ([f"{verb} lacks {', '.join(missing)}"] if missing else []) + (
        [f"{verb} demands {', '.join(demanded)}"] if demanded else []
    )


def _position_problems(
    verb: str, wanted: Iterable[inspect.Parameter], offered: Mapping[str, inspect.Parameter]
) -> list[str]:
    def positions(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
        return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    needed, plain = len(positions(wanted)), positions(offered.values())
    if any(p.kind is p.VAR_POSITIONAL for p in offered.values()):
        return []
    required = sum(p.default is p.empty for p in plain)
    # The class's own self is among both.
    if len(plain) < needed:
        return [f"{verb} takes {len(plain)} positional words, not {needed}"]
    return [f"{verb} demands {required} positional words, not {needed}"] * (required > needed)
