"""Writes docs/errors.md from the error classes themselves, so that the two cannot drift.

What a submitter does about each is the table in docs/batch.md, which readers find there.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import transport_core
from transport_core import Delivery, TransportError

PAGE = Path("docs/errors.md")
ADVICE = Path("docs/batch.md")
HEAD = """(errors-page)=
# Errors

*Generated from the classes, and from the table in [Submit, poll, collect](batch.md#after-an-error),
by `ci/errors_page.py`.*

Every transport raises these and nothing else, besides `TypeError` and `ValueError` for an
argument that cannot be sent, `CancelledError`, and what a `progress` callback raises.
Many are also the builtin error that a Python user would catch, in brackets in the tree below:
`except FileNotFoundError` catches `NotFoundError`.

## What is known of the request: `error.delivery`

It tells whether the command or transfer may have run; what a command asked of others, such as
a job of Slurm, is theirs to know ([Submit](batch.md#submit)).
`error.retry_safe` is true for `NOT_SENT` only. Whether another try would go better stands with
each class, and in one table in [After an error](batch.md#after-an-error).

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


def advice() -> dict[str, tuple[str, str]]:
    """Return of each class that has a row whether it passes by itself, and what to do."""
    found = {}
    for row in re.findall(r"^\| `\w+Error`.*\|$", ADVICE.read_text(), re.MULTILINE):
        names, passes, what = (cell.strip() for cell in row.strip("|").split("|"))
        found.update(dict.fromkeys(re.findall(r"`(\w+)`", names), (passes, what)))
    return found


def public(error: type[BaseException]) -> list[type[BaseException]]:
    """Return the public classes right below one."""
    below = error.__subclasses__()
    return [each for each in below if getattr(transport_core, each.__name__, None) is each]


def walk(error: type[BaseException]) -> list[type[BaseException]]:
    """Return a class and all below it, in the order of the tree."""
    return [error, *(each for below in public(error) for each in walk(below))]


def tree(error: type[BaseException], depth: int = 0) -> list[str]:
    """Return a class and all below it as lines, with the builtin kinds beside."""
    builtin = [base.__name__ for base in error.__mro__ if base.__module__ == "builtins"]
    shown = [name for name in builtin if name not in ("Exception", "BaseException", "object")]
    also = f"  ({', '.join(shown)})" if shown else ""
    lines = ["    " * depth + error.__name__ + also]
    for below in public(error):
        lines += tree(below, depth + 1)
    return lines


def described(error: type[BaseException], known: dict[str, tuple[str, str]]) -> list[str]:
    """Return the section of a class."""
    name = error.__name__
    if not error.__doc__:
        raise ValueError(f"{name} has no docstring")
    lines = [f"({name})=", f"### {name}", ""]
    lines += ["```{eval-rst}", f".. autoclass:: transport_core.{name}", "```", ""]
    if error is not TransportError:
        passes, what = known[name]
        lines += [f"**Does it pass?** {passes[0].upper()}{passes[1:]}.", "", what, ""]
    return lines


def main() -> None:
    """Write the page."""
    known, classes = advice(), walk(TransportError)
    names = {each.__name__ for each in classes[1:]}
    if odd := names ^ set(known):
        raise ValueError(f"{ADVICE}, 'After an error': no row, or no class: {', '.join(odd)}")
    drawn = "\n".join(tree(TransportError))
    parts = [HEAD + deliveries(), "", "## The tree", "", f"```text\n{drawn}\n```", ""]
    parts += ["## Each", "", *(line for each in classes for line in described(each, known))]
    PAGE.write_text("\n".join(parts))
    print(f"{PAGE}: {len(classes)} classes")


if __name__ == "__main__":
    main()
