"""Reports of the suite, read back from the files that it wrote.

Judges nothing, and knows no stack.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from transport_testbed.conformance._files import NAME
from transport_testbed.conformance._report import Facts
from transport_testbed.conformance._verdict import Row, Run, State

_FORMAT = 1


class ReportError(Exception):
    """A file is not there, is no report, or cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report as it was read.

    Attributes:
        name: What it is called beside the others.
        word: Its verdict.
        ok: Whether it is green.
        reasons: Why it is not.
    """

    name: str
    word: str
    ok: bool
    reasons: tuple[str, ...]
    run: Run
    facts: Facts

    @property
    def partial(self) -> str:
        """Why not everything was run, if that was asked for."""
        return f"partial: {', '.join(self.run.narrowed)}" if self.run.narrowed else ""


def read(paths: Sequence[str]) -> tuple[Report, ...]:
    """Read reports, each called by its folder, or by its file where that has a name of its own.

    Raises:
        ReportError: One is missing, is no report, or is given twice.
    """
    given = [Path(path).resolve() for path in paths]
    if twice := next((path for n, path in enumerate(paths) if given[n] in given[:n]), ""):
        raise ReportError(f"{twice}: given twice; try: give each report once")
    names = [path.parent.name if path.stem == NAME else path.stem for path in given]
    unique = len(set(names)) == len(names)
    called = names if unique else paths
    return tuple(_read(path, name) for path, name in zip(paths, called, strict=True))


def _read(path: str, name: str) -> Report:
    try:
        return _report(json.loads(Path(path).read_text(encoding="utf-8")), name)
    except OSError as error:
        what = f"no report can be read there: {error.strerror}"
        raise ReportError(
            f"{path}: {what}; try: run nox -s conformance first, and give the {NAME}.json it wrote"
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"this is no report of the suite: {type(error).__name__}: {error}"
        raise ReportError(
            f"{path}: {what}; try: give a {NAME}.json, as nox -s conformance writes it"
        ) from error


def _report(found: dict[str, Any], name: str) -> Report:
    if found["format"] != _FORMAT:
        raise ValueError(f"it has format {found['format']}, and format {_FORMAT} is known here")
    rows = tuple(_row(each) for each in found["rows"])
    return Report(
        name=name, word=found["verdict"], ok=found["ok"] is True, reasons=tuple(found["reasons"]),
        run=Run(rows=rows, narrowed=tuple(found["narrowed"])), facts=Facts(**_known(Facts, found)),
    )  # fmt: skip


def _row(found: dict[str, Any]) -> Row:
    values = {**found, "state": State(found["state"]), "clauses": tuple(found["clauses"])}
    return Row(**_known(Row, values))


def _known(kind: type[Facts | Row], found: dict[str, Any]) -> dict[str, Any]:
    """Take what this version knows; a later one may say more."""
    return {each.name: found[each.name] for each in fields(kind) if each.name in found}


def append(path: str, text: str) -> None:
    """Add text to a file, which a CI may have others add to as well.

    Raises:
        ReportError: It cannot be written.
    """
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise ReportError(f"{path}: {what}; try: a file in a folder that there is") from error
