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
from transport_testbed.stack.containers.workstation import Workstation

#: Where the report is written there, below the home in which the work is done.
REPORT = "report"


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Bring a stack up in containers, install packages on its workstation from a directory of "
        "wheels (nothing else is reached from there), run pytest with the arguments after --, and "
        "take the stack down. The stack around it is the one that is tested against."
    )
    # The arguments after -- are taken off before: argparse mixes them up with its own.
    text = "directory with wheels of the packages and of all that they need, for Linux"
    parser.add_argument("wheels", type=Path, help=text)
    parser.add_argument("--install", action="append", metavar="PACKAGE", required=True,
                        help="what to install there; several times for several")  # fmt: skip
    parser.add_argument("--report", type=Path, metavar="DIR", help="where the report goes, here")
    parser.usage = "%(prog)s WHEELS [--install PACKAGE]... [--report DIR] -- ARGUMENT..."


def inside(asked: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Carry out the command; return pytest's exit code.

    Raises:
        StackError: There is no stack, or no wheel.
    """
    if not any(asked.wheels.glob("*.whl")):
        raise StackError("inside", f"no wheels in {asked.wheels}", hint="pip wheel -w makes some")
    provider = ContainersProvider()
    if why_not := provider.unavailable():
        raise StackError("containers", why_not)
    stack = provider.start(StackSpec(workstation=True))
    try:
        host = Workstation(stack)
        words = [*arguments, "--transport-stack=inside", f"--transport-report={REPORT}"]
        for piece in host.run(asked.wheels, asked.install, words):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        if asked.report:
            host.fetch(REPORT, asked.report)
        return host.exit_code
    finally:
        provider.stop(stack)
