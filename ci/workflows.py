"""Holds workflows and packages together: a change of one package runs the tests of its users.

Called by ci/layers.py. Must not know what a workflow does, only when, and on whose tests.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

WORKFLOWS = Path(".github/workflows")
#: A change of these may change any test run.
SHARED = {"ci/**", "noxfile.py", "pyproject.toml"}
#: The conformance suite runs by a workflow of its own.
ELSEWHERE = "test_conformance.py"

IMPORTED = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)
REQUIRED = re.compile(r"[\w-]+")
PATHS = re.compile(r"^    paths:\n((?:      - .+\n)+)", re.MULTILINE)


def filters(projects: Sequence[Path]) -> Iterator[str]:
    """Yield where the workflows of *projects* differ from who uses whom."""
    homes = {
        path.stem: folder
        for folder in projects
        for path in (*folder.glob("src/*"), *folder.glob("tests/*.py"))
    }
    direct = {folder: _used(folder, homes) for folder in projects}
    for folder in projects:
        workflow = WORKFLOWS / f"{folder.name.removeprefix('transport-')}.yml"
        text = workflow.read_text() if workflow.exists() else ""
        if f" -- {folder}/tests\n" not in text:
            yield f"{workflow}: does not run {folder}/tests"
        used = _reached(folder, direct)
        used |= {target for each in used for target in _linked(each)}
        due = SHARED | {str(workflow)} | {f"{each}/**" for each in used}
        lists = [set(re.findall(r"- (.+)", block)) for block in PATHS.findall(text)]
        if len(lists) != len(("push", "pull_request")):
            yield f"{workflow}: {len(lists)} lists of paths, one each for push and pull_request"
        for paths in lists:
            yield from (f"{workflow}: lacks the path {each}" for each in sorted(due - paths))
            yield from (f"{workflow}: needs no path {each}" for each in sorted(paths - due))


def _used(folder: Path, homes: Mapping[str, Path]) -> set[Path]:
    """Whom *folder* requires, and whom its sources and tests import."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    names = {name.replace("-", "_") for each in project["dependencies"]
             for name in REQUIRED.findall(each)[:1]}  # fmt: skip
    for path in folder.rglob("*.py"):
        if path.name != ELSEWHERE:
            names.update(IMPORTED.findall(path.read_text()))
    return {homes[name] for name in names if name in homes}


def _linked(folder: Path) -> set[Path]:
    """Directories outside of *folder* that are part of it by a link."""
    links = (path.resolve() for path in (folder / "src").rglob("*") if path.is_symlink())
    found = {path.relative_to(Path.cwd()) for path in links}
    return {path for path in found if not path.is_relative_to(folder)}


def _reached(folder: Path, direct: Mapping[Path, set[Path]]) -> set[Path]:
    """Return *folder* and all that it uses, directly or over others."""
    found: set[Path] = set()
    ahead = {folder}
    while ahead:
        found |= ahead
        ahead = set[Path]().union(*(direct[each] for each in ahead)) - found
    return found
