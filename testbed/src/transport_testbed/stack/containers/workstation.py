"""Run pytest on the workstation: what is installed there comes from wheels alone.

Must not know what is tested.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transport_testbed.stack._provider import StackError
from transport_testbed.stack._spec import Stack
from transport_testbed.stack.containers import engine

#: Whose home the work is done in: it is on all hosts, so that jobs find what was put there.
USER = "u_bash"

_WORK = """
set -e
cd "$HOME"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \\
  --no-index --find-links wheels {packages}
exec venv/bin/python -m pytest {arguments}
"""


class Workstation:
    """The workstation of a stack that is up."""

    def __init__(self, stack: Stack) -> None:
        """Find its container; StackError when the stack was started without one."""
        self._home = Path(stack.root, "home", USER)
        self._uid = stack.uid
        for container in engine.containers(stack.token):
            if container.labels.get("com.docker.compose.service") == "workstation":
                self._container = container
                return
        raise StackError("workstation", "this stack has none")

    def run(
        self, wheels: Path, packages: Sequence[str], arguments: Sequence[str]
    ) -> Iterator[bytes]:
        """Install packages, all of them from a directory of wheels, and give pytest's output.

        ``exit_code`` is pytest's afterwards.
        """
        shutil.copytree(wheels, self._home / "wheels")
        script = _WORK.format(packages=shlex.join(packages), arguments=shlex.join(arguments))
        api: Any = engine.client().api
        asked = api.exec_create(
            self._container.id, ["bash", "-c", script], user=str(self._uid),
            environment={"HOME": str(self._home), "USER": USER, "LOGNAME": USER,
                         "LANG": "C.UTF-8"},
        )  # fmt: skip
        yield from api.exec_start(asked, stream=True)
        self.exit_code = int(api.exec_inspect(asked)["ExitCode"])

    def fetch(self, name: str, target: Path) -> None:
        """Copy a directory out of the home in which the work was done.

        Raises:
            StackError: There is none.
        """
        if not (self._home / name).is_dir():
            raise StackError("workstation", f"the work left no directory {name}")
        shutil.copytree(self._home / name, target, dirs_exist_ok=True)
