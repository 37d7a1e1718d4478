"""One stack for all processes of a test run: the controlling one starts it, all read of it.

Knows how to start a stack and to pass it on, and nothing of what it is used for.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from transport_testbed.stack import Provider, Stack, StackError, StackSpec, providers

MODES = ("auto", "native", "containers", "inside", "none")


class NoStackError(Exception):
    """There is no stack, and nothing is wrong with that."""


class SharedStack:
    """A stack that a file leads to.

    Args:
        mode: One of MODES. ``auto`` takes a provider that works here, if there is one; a
            provider by its name has to work.
        file: Where the controlling process says where it is described, or why there is none; in
            no one else's reach to guess.
        mine: Whether this is the controlling process.
    """

    def __init__(self, mode: str, file: str, *, mine: bool) -> None:
        self.mode = mode
        self._file, self._mine = Path(file), mine
        self._running: tuple[Provider, Stack] | None = None
        self._known: Stack | None = None

    @property
    def started(self) -> bool:
        """Whether it is known what became of the stack."""
        return self._file.exists()

    def start(self) -> None:
        """Start, once; what comes of it is found by ``get``, here and elsewhere."""
        if not self._mine or self.started:
            return
        _write(self._file, json.dumps(self._start()))

    def _start(self) -> dict[str, str]:
        if self.mode == "none":
            return {"absent": "no stack: --transport-stack=none"}
        why_not = []
        for provider in providers():
            if self.mode not in ("auto", provider.name):
                continue
            if reason := provider.unavailable():
                why_not.append(f"{provider.name}: {reason}")
                continue
            try:
                stack = provider.start(StackSpec())
            except StackError as error:
                return {"broken": f"the stack did not start: {error}"}
            self._running = (provider, stack)
            # With its secrets where a sweep has it if we are killed.
            described = Path(stack.root, "stack.json")
            _write(described, stack.to_json())
            return {"stack": str(described)}
        state = "absent" if self.mode == "auto" else "broken"
        return {state: f"no stack: {'; '.join(why_not) or 'no provider'}"}

    def get(self) -> Stack:
        """Return the stack.

        Raises:
            NoStackError: There is none.
            StackError: There should be one.
        """
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> Stack:
        try:
            told: dict[str, str] = json.loads(self._file.read_text())
        except FileNotFoundError:
            # Only tests that are not collected as pytest does it come here unannounced.
            if not self._mine:
                raise StackError("stack", "the controlling process started none") from None
            self.start()
            return self._read()
        if "absent" in told:
            raise NoStackError(told["absent"])
        if "broken" in told:
            raise StackError("stack", told["broken"])
        return Stack.from_json(Path(told["stack"]).read_text())

    def stop(self) -> None:
        """Stop what this process started; twice is silent."""
        running, self._running = self._running, None
        try:
            if running:
                provider, stack = running
                provider.stop(stack)
        finally:
            if self._mine:
                self._file.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Write what nobody else may read."""
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    # Renamed into place, so that nobody reads half of it.
    new.rename(path)
