"""Prints what installing each wheel costs: distributions that come with it, time of an import.

``python ci/footprint.py dist`` installs each wheel of a folder into an empty environment. Exits
with 1 where a promise is broken: the core pulls nothing, ssh at most 6 others, and importing
transport_ssh does not import asyncssh.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = {"transport-core": 0, "transport-local": 0, "transport-ssh": 6, "transport-testbed": 15}
TRIES = 5
PROBE = """
import json, sys, time
from importlib import import_module, metadata
began = time.perf_counter()
import_module({module!r})
spent = time.perf_counter() - began
names = sorted(d.name for d in metadata.distributions())
print(json.dumps([spent * 1000, "asyncssh" in sys.modules, names]))
"""


def installed(wheel: Path, folder: Path, place: Path) -> Path:
    """Install a wheel alone into a fresh environment; return its interpreter."""
    uv = shutil.which("uv")
    python = place / "bin" / "python"
    if uv:
        subprocess.run([uv, "venv", "-q", "-p", sys.executable, place], check=True)
        pip = [uv, "pip", "install", "-q", "-p", str(python)]
    else:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        pip = [str(python), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "--find-links", str(folder), str(wheel)], check=True)
    return python


def measure(python: Path, module: str) -> tuple[float, bool, list[str]]:
    """Return the best milliseconds of an import, whether asyncssh came along, what is there."""
    runs = []
    for _ in range(TRIES):
        argv = [str(python), "-I", "-c", PROBE.format(module=module)]
        runs.append(json.loads(subprocess.run(argv, check=True, capture_output=True).stdout))
    return min(run[0] for run in runs), runs[0][1], runs[0][2]


def main(folder: Path) -> int:
    """Measure all wheels."""
    broken = 0
    print(f"{'distribution':<20}{'others pulled':>14}{'import, ms':>12}  asyncssh imported")
    for wheel in sorted(folder.glob("*.whl")):
        module = wheel.name.partition("-")[0]
        name = module.replace("_", "-")
        with tempfile.TemporaryDirectory() as place:
            python = installed(wheel, folder.resolve(), Path(place))
            milliseconds, eager, there = measure(python, module)
        ours = set(MOST)
        others = [one for one in there if one.lower() not in ours | {"pip", "setuptools"}]
        kept = len(others) <= MOST[name] and not eager
        broken += not kept
        note = "" if kept else f"   PROMISE BROKEN: at most {MOST[name]}; {', '.join(others)}"
        asyncssh = "yes" if eager else "no"
        print(f"{name:<20}{len(others):>14}{milliseconds:>12.1f}  {asyncssh}{note}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
