"""PAM for an sshd that is not root: a service that asks for one-time codes (TOTP).

libpam has the directory of its configuration built in. A copy of it gets another one, of the same
length, over the name of a link to this run's directory. Must not know sshd's configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from transport_testbed.stack._provider import StackError
from transport_testbed.stack.native.site import Site

#: What is built in, and is looked into in this order; the first is to be found nowhere.
FIRST, SECOND = b"/etc/pam.d", b"/usr/lib/pam.d"
NOWHERE = b"/dev/null/"

#: A code is good once, and within so many steps of 30 seconds around now: a test that logs in
#: often takes codes to come and codes gone by, and does not have to wait for the clock.
WINDOW = 99

_STATE = """{seed}
" WINDOW_SIZE {window}
" DISALLOW_REUSE
" TOTP_AUTH
"""

_SERVICE = """auth required {module} secret={secrets}/${{USER}} user={uid} noskewadj
account required pam_permit.so
session required pam_permit.so
"""


def configure(site: Site, users: Iterable[str], seed: str) -> str:
    """Write service, seeds and library; return the directory to look for libraries in first."""
    services, library = site.path("pam", "services", "sshd"), site.path("pam", "lib", "libpam.so.0")
    secrets = site.path("pam", "secrets", "x").parent
    # The module keeps in there which codes are used up.
    site.give(secrets, 0o700)
    for user in users:
        text = _STATE.format(seed=seed, window=WINDOW)
        site.give(site.write(secrets / user, text), 0o600)
    module = site.prefix.library("security/pam_google_authenticator.so")
    site.write(services, _SERVICE.format(module=module, secrets=secrets, uid=site.uid))
    original = Path(site.prefix.library("libpam.so.0")).read_bytes()
    library.write_bytes(_redirected(original, site.run.alias(services.parent, len(SECOND))))
    library.chmod(0o755)
    return str(library.parent)


def _redirected(library: bytes, directory: str) -> bytes:
    """Replace the built-in directories; neither grows nor shrinks."""
    for name, other in ((FIRST, NOWHERE), (SECOND, directory.encode())):
        if name + b"/" not in library:
            raise StackError("libpam", f"looks for its services elsewhere than in {name.decode()}")
        for end in (b"\0", b"/"):
            library = library.replace(name + end, other + end)
    return library
