"""Holds the published contract and the suite together: no clause without a test, and vice versa.

Called by ci/layers.py, which reads the suite's sources, and by the suite's own tests, which ask
the suite itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

CONTRACT = Path("docs/contract.md")
ANCHOR = re.compile(r"^\(([A-Z]+-[0-9]{2})\)=$", re.MULTILINE)


def published(text: str) -> list[str]:
    """Return the clauses of the page, in their order."""
    return ANCHOR.findall(text)


def differences(text: str, tested: Collection[str]) -> Iterator[str]:
    """Yield where the page's text and the clauses that have a test differ."""
    clauses, known = published(text), set(tested)
    for clause in sorted({one for one in clauses if clauses.count(one) > 1}):
        yield f"{CONTRACT}: {clause} stands twice"
    for clause in sorted(known - set(clauses)):
        yield f"{CONTRACT}: the suite tests {clause}, which is not published"
    for clause in sorted(set(clauses) - known):
        yield f"{CONTRACT}: {clause} has no test"
