"""The accounts that one can log in to: one per login shell, quiet or with noisy rc files.

All have the same uid; libnss_wrapper gives them their names. Must not know sshd.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from transport_testbed.stack.native.site import Site

#: The file that each shell reads even for ``ssh host command``; dash and busybox read none.
RC_FILES = {
    "bash": ".bashrc",
    "zsh": ".zshenv",
    "tcsh": ".tcshrc",
    "fish": ".config/fish/config.fish",
}

#: Who logs in to the jump host; the second one for tests that break what others would share.
HOP_USERS = ("hop", "hop_alone")

#: csh has no way to redirect to stderr alone.
NOISE = "echo 'noise from {shell}'\n{to_stderr}\n"
TO_STDERR = {"tcsh": "sh -c 'echo noise-on-stderr from tcsh >&2'"}

#: Where the shells were built to be, and are not.
ZSH_MODULES = 'module_path=("{modules}")\nfpath=("{functions}"/*(N/) "{functions}")\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user name with its login shell."""

    user: str
    login_shell: str
    noisy: bool
    home: str


def accounts(site: Site) -> tuple[Account, ...]:
    """The accounts of this run: every shell quiet, and noisy where it reads an rc file."""
    quiet = [(f"u_{shell}", shell, False) for shell in site.spec.shells]
    noisy = [(f"n_{shell}", shell, True) for shell in site.spec.shells if shell in RC_FILES]
    return tuple(
        Account(user=user, login_shell=shell, noisy=loud, home=str(site.root / "home" / user))
        for user, shell, loud in quiet + noisy
    )


def create(site: Site, people: Iterable[Account]) -> None:
    """Make the homes and the user database."""
    lines = []
    for account in people:
        home = site.path("home", account.user)
        home.mkdir()
        site.give(home, 0o755)
        _write_rc(site, account)
        lines.append(_entry(account.user, site, account.home, program(site, account.login_shell)))
    # The hop only forwards; its shell just has to exist.
    lines += [_entry(user, site, str(site.root), "/bin/false") for user in HOP_USERS]
    site.write(site.root / "passwd", "".join(lines) + _read("/etc/passwd"))
    group = f"testbed:x:{site.uid}:\n"
    site.write(site.root / "group", group + _read("/etc/group"))


def program(site: Site, shell: str) -> str:
    """Absolute path of a login shell."""
    # busybox goes by the name it is called.
    return site.prefix.program("ash" if shell == "busybox" else shell)


def _entry(user: str, site: Site, home: str, shell: str) -> str:
    return f"{user}:*:{site.uid}:{site.uid}:{user}:{home}:{shell}\n"


def _read(path: str) -> str:
    """A table of this machine, so that its own users keep their names."""
    try:
        return Path(path).read_text(errors="surrogateescape")
    except OSError:
        return ""


def _write_rc(site: Site, account: Account) -> None:
    """Write the rc file of an account, if its shell reads one and there is something to say."""
    text = ""
    if account.login_shell == "zsh":
        share = next(site.prefix.root.glob("usr/share/zsh/functions"))
        modules = next(site.prefix.root.glob("usr/lib/*/zsh/*"))
        text += ZSH_MODULES.format(modules=modules, functions=share)
    if account.noisy:
        to_stderr = TO_STDERR.get(
            account.login_shell, f"echo noise-on-stderr from {account.login_shell} >&2"
        )
        text += NOISE.format(shell=account.login_shell, to_stderr=to_stderr)
    if not text:
        return
    rc = Path(account.home) / RC_FILES[account.login_shell]
    for folder in reversed(rc.relative_to(account.home).parents[:-1]):
        (Path(account.home) / folder).mkdir()
        site.give(Path(account.home) / folder, 0o755)
    site.give(site.write(rc, text), 0o644)
