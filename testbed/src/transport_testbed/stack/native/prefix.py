"""The unpacked packages: where a program is, which libraries it takes, how to start it.

Must not know how the packages got here.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

#: Started without our library path, as children of sshd: login shells and the SFTP server.
UNWRAPPED = ("bash", "dash", "zsh", "tcsh", "fish", "sftp-server")

#: Directories to look for a program in, older and newer layouts of the file system alike.
BINARIES = ("usr/bin", "bin", "usr/sbin", "sbin", "usr/lib/openssh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """A directory that looks like the root of a system."""

    root: Path
    #: The host's dynamic loader.
    loader: str
    libraries: tuple[str, ...]
    versions: dict[str, str]
    #: Libraries that the host lacks and login shells need.
    preload: tuple[str, ...]

    @classmethod
    def load(cls, place: Path) -> Self:
        """Read what describe() wrote."""
        facts = json.loads((place / "prefix.json").read_text())
        root = place / "root"
        return cls(
            root=root,
            loader=facts["loader"],
            libraries=tuple(str(root / each) for each in facts["libraries"]),
            versions=facts["versions"],
            preload=tuple(str(root / each) for each in facts["preload"]),
        )

    @classmethod
    def describe(cls, place: Path, archives: Iterable[Path]) -> None:
        """Write down, once per prefix, what is too slow to find out at every start."""
        root = place / "root"
        _complete(root)
        triplet = next(root.glob("usr/lib/*/slurm-wlm")).parent.name
        libraries = [f"usr/lib/{triplet}/slurm-wlm", f"usr/lib/{triplet}", f"lib/{triplet}"]
        facts = {
            "loader": _interpreter(_find(root, "sshd")),
            "libraries": libraries,
            "versions": _versions(archives),
            "preload": sorted(_lacking(root, libraries)),
        }
        (place / "prefix.json").write_text(json.dumps(facts, indent=1))

    @property
    def library_path(self) -> str:
        return ":".join(self.libraries)

    @property
    def plugins(self) -> str:
        """Slurm's plugin directory."""
        return self.libraries[0]

    @property
    def nss_wrapper(self) -> str:
        return self.library("libnss_wrapper.so")

    def library(self, name: str) -> str:
        """Path of a shared library; StopIteration if no package brought it."""
        found = (Path(place) / name for place in self.libraries)
        return str(next(path for path in found if path.exists()))

    def program(self, name: str) -> str:
        """Absolute path of a program; KeyError if no package brought it."""
        return str(_find(self.root, name))

    def has(self, name: str) -> bool:
        return any((self.root / place / name).exists() for place in BINARIES)


def _find(root: Path, name: str) -> Path:
    for place in BINARIES:
        path = root / place / name
        if path.exists():
            return path
    message = f"no {name!r} in {root}"
    raise KeyError(message)


def _complete(root: Path) -> None:
    """Add what maintainer scripts would have added."""
    ash = _find(root, "busybox").with_name("ash")
    ash.symlink_to("busybox")
    # fish takes the directories beside its binary only if this one is among them.
    for folder in ("usr/etc", "usr/etc/fish"):
        (root / folder).mkdir(exist_ok=True)
        (root / folder).chmod(0o755)


def _interpreter(program: Path) -> str:
    """The loader that a program names (PT_INTERP), always within its first bytes."""
    found = re.search(rb"/lib[^\0]*/ld[^\0]*", program.read_bytes()[:4096])
    if found is None:
        message = f"{program} names no loader"
        raise ValueError(message)
    return found.group().decode()


def _versions(archives: Iterable[Path]) -> dict[str, str]:
    """Upstream versions of the servers and shells, from the file names of their packages."""
    names = {"openssh-server": "openssh", "slurmctld": "slurm", "busybox-static": "busybox"}
    wanted = {**names, **{each: each for each in ("munge", "bash", "dash", "zsh", "tcsh", "fish")}}
    found = (archive.name.split("_")[:2] for archive in archives)
    return {
        wanted[package]: re.sub(r"^\d+%3a", "", version).rpartition("-")[0] or version
        for package, version in found
        if package in wanted
    }


def _lacking(root: Path, libraries: list[str]) -> set[str]:
    """Libraries of login shells that only the prefix has, relative to it."""
    lacking: set[str] = set()
    for name in UNWRAPPED:
        # What ldd does, which is a bash script and may be missing.
        listed = subprocess.run(
            (str(_find(root, name)),), env={"LD_TRACE_LOADED_OBJECTS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        for library in re.findall(r"(\S+) => not found", listed.stdout):
            places = (Path(place) / library for place in libraries)
            lacking.update(str(path) for path in places if (root / path).exists())
    return lacking
