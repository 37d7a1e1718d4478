"""Checks what no linter knows: sizes, changelogs, arrows, clauses, reference, workflows.

Prints one line per finding, and exits with 1 if there is one. import-linter checks the imports.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from clauses import CONTRACT, differences, published
from reference import undocumented
from workflows import filters

CEILINGS = {"noxfile.py": 250}
CEILING = 400
SUITE = Path("testbed/src/transport_testbed/conformance")


def projects() -> list[Path]:
    """Return the folders of all distributions."""
    return [path.parent for path in sorted(Path().glob("packages/*/pyproject.toml"))] + [
        Path("testbed")
    ]


def sizes() -> Iterator[str]:
    """Yield the files that are too long."""
    sources = [Path("noxfile.py"), *Path("ci").glob("*.py")]
    sources += [path for folder in projects() for path in folder.rglob("*.py")]
    for path in sorted(sources):
        ceiling = CEILINGS.get(str(path), CEILING)
        lines = len(path.read_text().splitlines())
        if lines > ceiling:
            yield f"{path}: {lines} lines, ceiling {ceiling}"


def papers() -> Iterator[str]:
    """Yield what a distribution lacks to be published."""
    licence = Path("LICENSE").read_text()
    for folder in projects():
        for name in ("README.md", "CHANGELOG.md", "LICENSE"):
            if not (folder / name).exists():
                yield f"{folder}: no {name}"
        own = folder / "LICENSE"
        if own.exists() and own.read_text() != licence:
            yield f"{own}: differs from LICENSE"
        version = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
        changes = folder / "CHANGELOG.md"
        if changes.exists() and f"\n## {version}" not in changes.read_text():
            yield f"{changes}: nothing about {version}, the version in pyproject.toml"


def arrows() -> Iterator[str]:
    """Yield the contracts of import-linter that ARCHITECTURE.md does not state."""
    text = Path("ARCHITECTURE.md").read_text()
    config = tomllib.loads(Path("pyproject.toml").read_text())
    for contract in config["tool"]["importlinter"]["contracts"]:
        if contract["name"] not in text:
            yield f"ARCHITECTURE.md: does not state {contract['name']!r}"


def tested() -> set[str]:
    """Return the clauses that the suite's tests name in their decorators."""
    found: set[str] = set()
    for path in SUITE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "clause":
                continue
            found |= {
                word.value
                for word in node.args
                if isinstance(word, ast.Constant) and isinstance(word.value, str)
            }
    return found


def main() -> int:
    """Run all checks."""
    text = CONTRACT.read_text()
    findings = [*sizes(), *papers(), *arrows(), *differences(text, tested())]
    findings += [*undocumented(), *filters(projects())]
    for finding in findings:
        print(finding)
    count = len(published(text))
    print(f"layers: {len(findings)} findings; {count} clauses, {len(tested())} with tests")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
