"""The images of the stack: made once for each state of their folders, from what base there is.

Where a registry is reached, that is Debian's own image; elsewhere one that mmdebstrap makes from
the package archive that this machine uses. Must not know how containers are started.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from transport_testbed.stack._provider import StackError
from transport_testbed.stack._runs import state_directory
from transport_testbed.stack.containers import engine

#: Which Debian: another has other versions of OpenSSH and Slurm.
SUITE = os.environ.get("TESTBED_SUITE") or "bookworm"
#: What a registry calls the base.
DEBIAN = f"debian:{SUITE}-slim"
#: What it is called when it was made here.
MADE = f"intercede-testbed-base:{SUITE}"

#: What every image has, this one as those of compose's: README.md says how to remove them by it.
LABEL = "io.intercede.testbed.image=1"

HOSTS = ("bastion", "login", "controller", "node", "accounting", "workstation")

#: Seconds until a registry that does not answer is taken for out of reach.
_REGISTRY = 15


def folder() -> Path:
    """Return the directory of compose.yaml, which is part of this package."""
    return Path(str(resources.files("transport_testbed") / "compose"))


def prefix() -> str:
    """Return what the names of the images begin with: another state gives another name."""
    digest = hashlib.sha256(SUITE.encode())
    for path in sorted((folder() / "images").rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder())}\0".encode())
            digest.update(path.read_bytes())
    return f"intercede-testbed-{digest.hexdigest()[:12]}"


def present(*names: str) -> bool:
    """Whether the engine has all of these images."""
    # Not asked about each one: others come and go.
    listed = engine.client().api.images()
    known = {tag for image in listed for tag in image["RepoTags"] or ()}
    return all(name in known or f"{name}:latest" in known for name in names)


def missing() -> str | None:
    """Say why the images cannot be had here, or None."""
    if present(*(f"{prefix()}/{host}" for host in HOSTS)) or present(MADE) or present(DEBIAN):
        return None
    if shutil.which("mmdebstrap") and os.geteuid() == 0:
        return None
    if _registry_answers():
        return None
    return f"no registry has {DEBIAN}, and mmdebstrap is not here: apt-get install mmdebstrap"


def _registry_answers() -> bool:
    """Whether the base can be pulled, asked without pulling it."""
    try:
        engine.client(_REGISTRY).images.get_registry_data(DEBIAN)
    except Exception:  # noqa: BLE001 - of docker, requests or urllib3: there is none
        return False
    return True


@contextmanager
def base() -> Iterator[str]:
    """Give the name of a base image, one process at a time; it is made if need be."""
    path = state_directory() / "images.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not present(DEBIAN) and not present(MADE) and not _registry_answers():
            _make()
        yield MADE if present(MADE) and not present(DEBIAN) else DEBIAN


def _make() -> None:
    """Make a minimal Debian of the archive that this machine takes its own packages from."""
    with tempfile.TemporaryDirectory(prefix="intercede-testbed-base-") as scratch:
        archive = Path(scratch, "base.tar")
        _run("mmdebstrap", "--quiet", "--variant=minbase", '--aptopt=Acquire::Languages "none"',
             SUITE, str(archive), *_archive())  # fmt: skip
        _import(archive, MADE)


def _import(archive: Path, called: str) -> None:
    name, _, tag = called.partition(":")
    engine.client().api.import_image_from_file(
        str(archive), repository=name, tag=tag, changes=[f"LABEL {LABEL}"]
    )


def _archive() -> list[str]:
    """Return the line of sources.list for the suite, as this machine has it; else nothing."""
    listed = _run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)",
                  "Created-By: Packages", "Origin: Debian")  # fmt: skip
    found = dict(line.split(" ")[:2] for line in reversed(listed.splitlines()))
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if SUITE not in found or not keyring.exists():
        return []
    return [f"deb [signed-by={keyring}] {found[SUITE]} {SUITE} main"]


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise StackError(argv[0], "is not here", hint=f"apt-get install {argv[0]}") from error
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        hint = "the base image is made of this machine's own package archive"
        raise StackError(argv[0], f"exit status {done.returncode}", output=output, hint=hint)
    return done.stdout
