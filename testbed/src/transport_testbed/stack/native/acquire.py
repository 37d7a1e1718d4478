"""Fetch the distribution's own packages into the user's cache and unpack them there.

Installs nothing and needs no privilege. Must not know what the programs are used for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from transport_testbed.stack._provider import StackError
from transport_testbed.stack.native.prefix import Prefix

PACKAGES = (
    "openssh-server", "openssh-sftp-server", "openssh-client",
    "slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge",
    "libnss-wrapper", "libpam-google-authenticator",
    "bash", "dash", "zsh", "tcsh", "fish", "busybox-static",
)  # fmt: skip

#: Said to be installed although they may not be: the host's libc must be the one in use (its
#: loader starts our programs), and the rest only serve maintainer scripts, which never run.
ASSUMED = (
    "libc6", "libc-bin", "perl", "perl-base", "python3", "debconf", "dpkg", "adduser", "passwd",
    "man-db", "groff-base", "ucf", "init-system-helpers", "procps", "lsb-base", "sysvinit-utils",
    "tar", "debianutils", "base-files", "runit-helper", "netbase", "bc",
)  # fmt: skip

#: Part of the cache key: raise it when the way of unpacking changes.
LAYOUT = 3

TOOLS = ("apt-get", "dpkg-deb", "setpriv", "unshare")


def unavailable() -> str | None:
    """Say what this machine lacks, or None when the packages can be used here."""
    if sys.platform != "linux":
        return f"needs Linux, this is {sys.platform}"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}: a Debian-like host" if missing else None


def acquire() -> Prefix:
    """Return the unpacked prefix, from the cache or fetched now."""
    try:
        place = _cache() / _key()
        if not place.exists():
            with _locked(place):
                if not place.exists():
                    _fill(place)
        return Prefix.load(place)
    except (OSError, RuntimeError) as error:
        hint = "it keeps the packages in /var/cache, which root's logins can reach"
        if os.geteuid() != 0:
            hint = "set XDG_CACHE_HOME to a directory in which the packages can be kept"
        raise StackError("cache", str(error), hint=hint) from error


def _cache() -> Path:
    """The cache's directory; root's is where the unprivileged logins can reach it."""
    if os.geteuid() == 0:
        base = Path("/var/cache")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = base / "intercede-testbed"
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o755)
    return cache


def _key() -> str:
    """Name of the prefix: distribution, architecture, and a digest of what is in it."""
    release = dict(
        re.findall(r'^(\w+)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.MULTILINE)
    )
    digest = hashlib.sha256(repr((LAYOUT, PACKAGES, ASSUMED)).encode()).hexdigest()[:12]
    suite = release.get("VERSION_CODENAME") or release.get("VERSION_ID", "unknown")
    return f"{release.get('ID', 'linux')}-{suite}-{os.uname().machine}-{digest}"


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Let one process at a time fill *place*."""
    with place.with_name(place.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(place: Path) -> None:
    """Fetch and unpack beside *place*, then move there in one step."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="filling-") as scratch:
        work, built = Path(scratch), Path(scratch) / "built"
        archives = _download(work)
        (built / "root").mkdir(parents=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda deb: _run("dpkg-deb", "-x", str(deb), str(built / "root")),
                          archives))  # fmt: skip
        Prefix.describe(built, archives)
        for path in (built, built / "root"):
            path.chmod(0o755)
        built.rename(place)


def _download(work: Path) -> list[Path]:
    """Download the packages and what they depend on, by apt with a state of its own."""
    for name in ("lists/partial", "archives/partial"):
        (work / name).mkdir(parents=True)
    architecture = _run("dpkg", "--print-architecture").strip()
    stanza = ("Package: {}\nStatus: install ok installed\nMulti-Arch: allowed\nVersion: 99:1\n"
              "Architecture: {}\nMaintainer: none\nDescription: assumed\n\n")  # fmt: skip
    (work / "status").write_text("".join(stanza.format(name, architecture) for name in ASSUMED))
    (work / "apt.conf").write_text(_configuration(work))
    apt = ("apt-get", "-qq", "-y", "-c", str(work / "apt.conf"))
    # One broken third-party source must not matter; if ours is the broken one, the next step
    # fails and says so.
    with suppress(StackError):
        _run(*apt, "update")
    _run(*apt, "--no-install-recommends", "--download-only", "install", *PACKAGES)
    return sorted((work / "archives").glob("*.deb"))


def _configuration(work: Path) -> str:
    """Read after the host's own configuration, which says where the archive is."""
    return f"""
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::Lists "{work}/lists";
Dir::State::status "{work}/status";
Dir::State::extended_states "{work}/extended";
Dir::Cache "{work}";
Dir::Cache::Archives "{work}/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Log "{work}";
Debug::NoLocking "1";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "0";
APT::Keep-Downloaded-Packages "1";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
"""


def _run(*argv: str) -> str:
    """Run a tool of the host to its end; StackError with its output when it fails."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        hint = "the native stack needs a Debian-like host that reaches its package archive"
        output = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise StackError(argv[0], f"exit status {done.returncode}", output=output, hint=hint)
    return done.stdout
