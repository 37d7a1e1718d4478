"""What every provider of a stack offers, how it fails, and which providers there are.

Must not know how any of them works.
"""

from __future__ import annotations

from typing import Protocol

from transport_testbed.stack._spec import Stack, StackSpec


class StackError(Exception):
    """A stack did not come up: which part is at fault, what it said last, and what may help."""

    def __init__(self, part: str, problem: str, *, output: str = "", hint: str = "") -> None:
        self.part = part
        self.problem = problem
        self.output = output
        self.hint = hint
        text = f"{part}: {problem}"
        if hint:
            text += f"\nhint: {hint}"
        if output:
            text += f"\nlast output of {part}:\n{output}"
        super().__init__(text)


class Provider(Protocol):
    """One way to bring a stack up."""

    name: str

    def unavailable(self) -> str | None:
        """Say why this provider cannot work here, or None if it can. Starts nothing."""
        ...

    def start(self, spec: StackSpec, *, keep: bool = False) -> Stack:
        """Bring a stack up and return when it is usable.

        With *keep* the stack outlives this process; without, it dies with it as far as possible.
        Raises StackError, having cleaned up, when a part does not come up.
        """
        ...

    def stop(self, stack: Stack) -> None:
        """End everything of *stack*, from any process. Stopping twice is silent.

        Its provider, token and root are enough. Raises StackError when something does not end.
        """
        ...

    def runs(self, stack: Stack) -> bool:
        """Whether all of *stack* is there and at work, and no part of it has ended."""
        ...

    def sweep(self) -> list[str]:
        """Remove what dead runners left behind; return what was removed."""
        ...


def providers() -> tuple[Provider, ...]:
    """Every provider, the preferred one first, whether or not it is available here."""
    # Here rather than above: a provider builds on this module.
    from transport_testbed.stack.containers import ContainersProvider  # noqa: PLC0415
    from transport_testbed.stack.containers.inside import InsideProvider  # noqa: PLC0415
    from transport_testbed.stack.native import NativeProvider  # noqa: PLC0415

    return NativeProvider(), ContainersProvider(), InsideProvider()
