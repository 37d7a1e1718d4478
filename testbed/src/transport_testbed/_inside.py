"""The command that runs pytest on a host of the stack, from wheels alone.

Knows the containers provider, and nothing of what is tested.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from transport_testbed.stack import StackError, StackSpec
from transport_testbed.stack.containers import ContainersProvider


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Bring a stack up in containers, install packages on its workstation from a directory of "
        "wheels (nothing else is reached from there), run pytest with the arguments after --, and "
        "take the stack down. --transport-stack=inside is the stack around it."
    )
    # The arguments after -- are taken off before: argparse mixes them up with its own.
    text = "directory with wheels of the packages and of all that they need, for Linux"
    parser.add_argument("wheels", type=Path, help=text)
    parser.add_argument("--install", action="append", metavar="PACKAGE", default=[],
                        help="what to install there; several times for several")  # fmt: skip
    parser.add_argument("--report", type=Path, metavar="DIR", help="where the report goes, here")
    parser.usage = "%(prog)s WHEELS [--install PACKAGE]... [--report DIR] -- ARGUMENT..."


def inside(asked: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Carry out the command; return pytest's exit code.

    Raises:
        StackError: There is no stack, or no wheel.
    """
    # Here rather than above: it needs an extra.
    from transport_testbed.stack.containers.workstation import Workstation  # noqa: PLC0415

    if not any(asked.wheels.glob("*.whl")):
        raise StackError("inside", f"no wheels in {asked.wheels}", hint="pip wheel -w makes some")
    provider = ContainersProvider()
    if why_not := provider.unavailable():
        raise StackError("containers", why_not)
    stack = provider.start(StackSpec(workstation=True))
    try:
        host = Workstation(stack)
        for piece in host.run(asked.wheels, asked.install, arguments):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        if asked.report:
            host.fetch("report", asked.report)
        return host.exit_code
    finally:
        provider.stop(stack)
