"""Where the tests of stacks in containers have to run, rather than be skipped."""

from __future__ import annotations

from collections.abc import Mapping

#: The Python for which the extra "compose" has a binary.
PACKAGED = (3, 11)


def due(environment: Mapping[str, str], uid: int, python: tuple[int, int], compose: object) -> bool:
    """Whether these tests have to run: for root in CI.

    Without a compose of the machine's own, they cannot but on the Python that one is packaged for.
    """
    return "CI" in environment and uid == 0 and (compose is not None or python == PACKAGED)
