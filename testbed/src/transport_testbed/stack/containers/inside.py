"""The stack as it is seen from one of its own hosts: the workstation, with Slurm's commands.

Starts nothing: whoever runs there is within already.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from transport_testbed.stack._spec import Stack, StackSpec
from transport_testbed.stack.containers import describe

#: Where the hosts of a stack share files; set on each of them.
ROOT = "TESTBED_ROOT"


class InsideProvider:
    """Describes the stack around this process."""

    name = "inside"

    def unavailable(self) -> str | None:
        """Say why this is no host of a stack, or None."""
        if ROOT not in os.environ or shutil.which("sbatch") is None:
            return "this is no host of a stack: python -m transport_testbed inside runs on one"
        return None

    def start(self, spec: StackSpec, *, keep: bool = False) -> Stack:
        """Describe the stack, and make a directory that its nodes see as well."""
        root = Path(os.environ[ROOT])
        profiles = os.environ.get("TESTBED_PROFILES", "").split(",")
        return Stack(
            provider=self.name,
            token="",
            # The homes are on all hosts.
            root=tempfile.mkdtemp(prefix="stack-", dir=Path.home()),
            uid=os.geteuid(),
            versions=describe.versions(root),
            endpoints=(),
            environment={name: os.environ[name] for name in ("PATH", "SLURM_CONF")},
            logs={},
            isolated=False,
            why_not_isolated="this is the inside",
            python_free=False,
            accounting="accounting" in profiles,
            timings={"total": 0.0},
            pids={},
            host_keys={},
            spare_host_key="",
        )

    def stop(self, stack: Stack) -> None:
        """Remove the directory."""
        shutil.rmtree(stack.root, ignore_errors=True)

    def runs(self, stack: Stack) -> bool:
        """Whether its directory is there: the rest runs as long as whoever asks."""
        return Path(stack.root).is_dir()

    def sweep(self) -> list[str]:
        """Remove nothing: all of it ends with the stack."""
        return []
