"""Holds the reference and the packages together: every public name stands in docs/api.

The errors have a page of their own, which ci/errors_page.py makes from the classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from transport_core import TransportError

PAGES = Path("docs/api")
MODULES = (
    "transport_core",
    "transport_core.authoring",
    "transport_local",
    "transport_ssh",
    "transport_testbed.conformance",
    "transport_testbed.stack",
)
DIRECTIVE = re.compile(r"^\.\. (currentmodule|auto\w+):: (\S+)$", re.MULTILINE)


def documented() -> set[str]:
    """Return the names that the pages have a directive for."""
    found = set()
    for page in PAGES.glob("*.md"):
        module = ""
        for directive, name in DIRECTIVE.findall(page.read_text()):
            if directive == "currentmodule":
                module = name
            else:
                found.add(f"{module}.{name}")
    return found


def undocumented() -> Iterator[str]:
    """Yield the public names that no page has."""
    known = documented()
    for module in map(import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            error = isinstance(value, type) and issubclass(value, TransportError)
            if not error and f"{module.__name__}.{name}" not in known:
                yield f"{PAGES}: {module.__name__}.{name} stands on no page"
