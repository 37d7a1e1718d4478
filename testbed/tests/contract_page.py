"""The published contract, where these tests run in the repository."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def clauses() -> ModuleType | None:
    """Return ci/clauses.py, which compares the page with the suite; None outside of it."""
    spec = importlib.util.spec_from_file_location("ci_clauses", ROOT / "ci" / "clauses.py")
    if spec is None or spec.loader is None or not (ROOT / "docs" / "contract.md").exists():
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text() -> str:
    """Return the page."""
    return (ROOT / "docs" / "contract.md").read_text("utf-8")
