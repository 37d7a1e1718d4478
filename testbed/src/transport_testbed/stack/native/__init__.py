"""The native provider: the distribution's own servers, unpacked and run as ordinary processes.

Knows the order of things; what each part is, its own module knows.
"""

from __future__ import annotations

from pathlib import Path

from transport_testbed.stack._runs import Run, sweep
from transport_testbed.stack._spec import Stack, StackSpec
from transport_testbed.stack._timings import Timings
from transport_testbed.stack.native.acquire import acquire, unavailable
from transport_testbed.stack.native.assembly import Assembly

__all__ = ["NativeProvider"]


class NativeProvider:
    """Brings stacks up without containers, as root or as any user."""

    name = "native"

    def unavailable(self) -> str | None:
        """Say why this cannot work here, or None."""
        return unavailable()

    def start(self, spec: StackSpec, *, keep: bool = False) -> Stack:
        """Bring a stack up; StackError when a part does not come up."""
        timings = Timings()
        prefix = acquire()
        timings.mark("acquire")
        self.sweep()
        timings.mark("sweep")
        run = Run.create(keep=keep)
        try:
            return Assembly(run, prefix, spec, timings).bring_up()
        except BaseException:
            run.end()
            raise

    def stop(self, stack: Stack) -> None:
        """End everything of *stack*, from any process. Stopping twice is silent."""
        Run.recorded(Path(stack.root), stack.token).end(stack.pids.values())

    def runs(self, stack: Stack) -> bool:
        """Whether every daemon of *stack* is there and at work."""
        run = Run.recorded(Path(stack.root), stack.token)
        return run.root.is_dir() and all(run.carried_by(pid) for pid in stack.pids.values())

    def sweep(self) -> list[str]:
        """Remove what dead runners left behind; return the directories that were removed."""
        return sweep()
