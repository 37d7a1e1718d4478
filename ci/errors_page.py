"""Writes docs/errors.md from the error classes themselves, so that the two cannot drift."""

from __future__ import annotations

import inspect
from pathlib import Path

import transport_core
from transport_core import Delivery, TransportError

PAGE = Path("docs/errors.md")
HEAD = """# Errors

*Generated from the classes by `ci/errors_page.py`.*

Every transport raises these and nothing else, besides `TypeError` and `ValueError` for an
argument that cannot be sent, `CancelledError`, and what a `progress` callback raises.
Each is also the builtin error that a Python user would catch: `except FileNotFoundError`
catches `NotFoundError`.

## What is known of the request: `error.delivery`

A submitter reads it to know whether a second `sbatch` would make a second job.
`error.retry_safe` is true for `NOT_SENT` only.

| `delivery` | meaning |
|---|---|
"""


def deliveries() -> str:
    """Return the rows of the table of deliveries, with the comments of the enum's members."""
    source = inspect.getsource(Delivery)
    rows = []
    for member in Delivery:
        after = source.partition(f'{member.name} = "{member.value}"\n')[2]
        comment = " ".join(after.replace("``", "`").partition('"""')[2].partition('"""')[0].split())
        rows.append(f"| `{member.name}` | {comment} |")
    return "\n".join(rows)


def tree(error: type[BaseException], depth: int = 0) -> list[str]:
    """Return a class and all below it as lines, with the builtin kinds beside."""
    builtin = [base.__name__ for base in error.__mro__ if base.__module__ == "builtins"]
    shown = [name for name in builtin if name not in ("Exception", "BaseException", "object")]
    also = f"  ({', '.join(shown)})" if shown else ""
    lines = ["    " * depth + error.__name__ + also]
    for below in error.__subclasses__():
        if getattr(transport_core, below.__name__, None) is below:
            lines += tree(below, depth + 1)
    return lines


def described(error: type[BaseException]) -> list[str]:
    """Return a section per class, in the order of the tree."""
    directive = f".. autoclass:: transport_core.{error.__name__}"
    lines = [f"### {error.__name__}", "", "```{eval-rst}", directive, "```", ""]
    if not error.__doc__:
        raise ValueError(f"{error.__name__} has no docstring")
    for below in error.__subclasses__():
        if getattr(transport_core, below.__name__, None) is below:
            lines += described(below)
    return lines


def main() -> None:
    """Write the page."""
    drawn = "\n".join(tree(TransportError))
    parts = [HEAD + deliveries(), "", "## The tree", "", f"```text\n{drawn}\n```", "", "## Each"]
    PAGE.write_text("\n".join([*parts, "", *described(TransportError)]))
    print(f"{PAGE}: {drawn.count(chr(10)) + 1} classes")


if __name__ == "__main__":
    main()
