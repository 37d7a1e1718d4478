"""A user's own configuration: what it makes of a name, by table, and what is refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_core import ConfigurationError
from transport_ssh._ssh_config import Ask, Found, lookup
from transport_ssh._ssh_lines import Source
from transport_ssh._ssh_plan import Local, Server, route

LOCAL = Local(user="me", home="/home/me", host="desk.example.org", uid=1000, env={"KEYS": "/keys"})


def servers(text: str, alias: str = "h", **files: str) -> tuple[Server, ...]:
    """Return the way to a name; no file is opened."""

    def include(pattern: str, user: bool) -> Iterable[Source]:
        return [Source(pattern, files[pattern], user)] if pattern in files else []

    def look(ask: Ask) -> Found:
        return lookup([Source("config", text)], ask, LOCAL.user, include)

    return route(Ask(alias), look, LOCAL)


def labels(text: str, alias: str = "h") -> list[str]:
    """Return ``user@host:port`` of each server on the way."""
    return [f"{each.user}@{each.host}:{each.port}" for each in servers(text, alias)]


GATES = """
Host gate
  HostName gate.example.org
  User keeper
  Port 2222
  IdentityFile ~/gate
Host inner
  HostName 10.0.0.1
  ProxyJump gate
Host *
  User me-there
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    (
        ("ProxyJump none\n", ["me@h:22"]),
        ("Host h\nProxyJump a\n", ["me@a:22", "me@h:22"]),
        ("Host h\nProxyJump u@a:7,[::1]:8\n", ["u@a:7", "me@::1:8", "me@h:22"]),
        ("Host h\nProxyJump ssh://u%40x@a:7/\n", ["u@x@a:7", "me@h:22"]),
        ("Host h\nProxyJump ssh://a\n", ["me@a:22", "me@h:22"]),
        ("Host h\nProxyJump %r.%h.%n.%p\n", ["me@me.h.h.22:22", "me@h:22"]),
        ("Host h\nProxyCommand none\nProxyJump a\n", ["me@h:22"]),
        ("Host h\nProxyJump a\nProxyCommand nc\n", ["me@a:22", "me@h:22"]),
        (
            "Host h\nProxyJump gate\n" + GATES,
            ["keeper@gate.example.org:2222", "me-there@h:22"],
        ),
        (
            "Host h\nProxyJump other@gate:9\n" + GATES,
            ["other@gate.example.org:9", "me-there@h:22"],
        ),
        # The first of several is reached as its own block says, the others through it.
        (
            "Host h\nProxyJump inner,last\n" + GATES,
            ["keeper@gate.example.org:2222", "me-there@10.0.0.1:22", "me-there@last:22",
             "me-there@h:22"],
        ),
        (
            "Host h\nProxyJump first,inner\n" + GATES,
            ["me-there@first:22", "me-there@10.0.0.1:22", "me-there@h:22"],
        ),
    ),
)  # fmt: skip
def test_jump_hosts_are_looked_up_themselves(text: str, wanted: list[str]) -> None:
    """Each with its own block, in the order of the way."""
    assert labels(text) == wanted


def test_a_way_that_is_given_replaces_a_command() -> None:
    """As ``ssh -J first last`` does, whatever the block of ``last`` says."""
    text = "Host h\nProxyJump first,last\nHost last\nProxyCommand nc\nHost first\nPort 5\n"
    assert labels(text) == ["me@first:5", "me@last:22", "me@h:22"]
    with pytest.raises(ConfigurationError, match="ProxyCommand nc"):
        labels(text, "last")


def test_each_hop_has_its_own_key() -> None:
    """Nothing of the target's is a hop's."""
    way = servers("Host h\nProxyJump gate\nIdentityFile ~/h\n" + GATES)
    assert [each.identities for each in way] == [("~/gate",), ("~/h",)]
    assert [each.chosen for each in way] == [True, True]


def test_values_become_options() -> None:
    """What CONN-07 lists, with its units."""
    (here,) = servers(
        "HostKeyAlias Pin\nConnectTimeout 1m30s\nServerAliveInterval 15\nServerAliveCountMax 2\n"
        "UserKnownHostsFile ~/a /b/%n\nGlobalKnownHostsFile /c\n"
        "IdentityFile ${KEYS}/%r\nIdentityFile ~/%%/$x\nCertificateFile %d/%L.%u.%i-cert.pub\n"
    )
    assert dict(here.settings) == {
        "host_key_alias": "pin",
        "connect_timeout": 90.0,
        "keepalive_interval": 15.0,
        "keepalive_count": 2,
    }
    assert here.known_hosts == ("~/a", "/b/h", "/c")
    assert here.identities == ("/keys/me", "~/%/$x")
    assert here.certificates == ("/home/me/desk.me.1000-cert.pub",)


def test_what_is_not_set_is_as_openssh_has_it() -> None:
    """Its files; its keys, those left out that need hardware or are obsolete."""
    (here,) = servers("")
    assert here.identities == ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
    assert not here.chosen
    assert here.known_hosts == (
        "~/.ssh/known_hosts", "~/.ssh/known_hosts2",
        "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2",
    )  # fmt: skip
    assert (here.certificates, dict(here.settings), here.unused) == ((), {}, ())


def test_keys_can_be_switched_off() -> None:
    """Then none is offered, named or not."""
    assert servers("IdentityFile none\n")[0].identities == ()
    assert servers("PubkeyAuthentication no\nIdentityFile ~/x\n")[0].identities == ()
    assert servers("PubkeyAuthentication yes\nIdentityFile ~/x\n")[0].identities == ("~/x",)
    assert servers("UserKnownHostsFile none\nGlobalKnownHostsFile none\n")[0].known_hosts == ()


@pytest.mark.parametrize(
    ("text", "said"),
    (
        ("RequiredRSASize 3072", r"config:1: RequiredRSASize 3072 is not supported"),
        ("ProxyCommand ssh -W %h:%p gate", r"config:1: ProxyCommand ssh .*try: use ProxyJump"),
        ("\nMatch exec true\nPort 1", r"config:2: Match exec is not supported"),
        ("Match exec true host h", r"config:1: Match exec"),
        ("Match tagged x", r"config:1: Match tagged"),
        ("CanonicalizeHostname yes", r"config:1: CanonicalizeHostname yes"),
        ("CanonicalizePermittedCNAMEs a:b", r"config:1: CanonicalizePermittedCNAMEs"),
        ("StrictHostKeyChecking no", r"config:1: StrictHostKeyChecking no .*first use"),
        ("stricthostkeychecking=accept-new", r"config:1: stricthostkeychecking accept-new"),
        ("StrictHostKeyChecking off", r"StrictHostKeyChecking off"),
        ("NoHostAuthenticationForLocalhost yes", "NoHostAuthenticationForLocalhost yes"),
        ("VerifyHostKeyDNS yes", "VerifyHostKeyDNS yes"),
        ("KnownHostsCommand /bin/x %h", "KnownHostsCommand /bin/x"),
        ("RevokedHostKeys ~/r", "RevokedHostKeys ~/r .*@revoked"),
        ("RefuseConnection 'not here'", "RefuseConnection"),
        ("Frobnicate yes", "config:1: Frobnicate is not known"),
        ("Port 0", "config:1: Port must be a number from 1 to 65535, and is 0"),
        ("Port abc", "config:1: Port"),
        ("Port 65536", "config:1: Port"),
        ("Port 2 3", "config:1: Port takes one word, and has 2"),
        ("ServerAliveCountMax 0", "config:1: ServerAliveCountMax"),
        ("ConnectTimeout soon", "config:1: ConnectTimeout must be a time"),
        ("User a\0b", "config:1: User holds NUL"),
        ("Host h\nProxyJump " + ",".join(f"g{n}" for n in range(17)), "more than 16 jump hosts"),
        ("User", "config:1: User has no value"),
        ("User # none", "config:1: User has no value"),
        ("User 'a", "config:1: User has a quote without an end"),
        ("User -oProxyCommand=x", "config:1: User begins with '-'"),
        ("HostName 'a b'", "config:1: HostName begins with '-', or holds spaces"),
        ("HostName %n", r"config:1: HostName has %n.* there are %%, %h"),
        ("HostName a%", "config:1: HostName has %,"),
        ("IdentityFile a b", "config:1: IdentityFile takes one path.*quote"),
        ("IdentityFile ~/%C", "config:1: IdentityFile has %C"),
        ("IdentityFile ${NOPE}/x", "config:1: IdentityFile needs .* NOPE, which is not set"),
        ("UserKnownHostsFile ''", "config:1: UserKnownHostsFile"),
        ("ProxyJump a:b:c", "config:1: ProxyJump has 'a:b:c'"),
        ("ProxyJump a:0", "config:1: ProxyJump has 'a:0'"),
        ("ProxyJump a:65536", "config:1: ProxyJump"),
        ("ProxyJump a,", "config:1: ProxyJump has ''"),
        ("ProxyJump %d", "config:1: ProxyJump has %d"),
        ("ProxyJump h", "circle: h -> h.*ProxyJump none"),
        ("Host h\nProxyJump a\nHost a\nProxyJump h", "circle: h -> a -> h"),
        ("Match host", "config:1: Match has nothing after 'host'"),
        ("Match all host h", "config:1: Match has 'all' together"),
        ("Match user x host h all", "config:1: Match has 'all' together"),
    ),
)
def test_what_cannot_be_followed_is_named_with_its_line(text: str, said: str) -> None:
    """The option, file and line, and mostly what to do about it."""
    with pytest.raises(ConfigurationError, match=said):
        servers(text + "\n")


@pytest.mark.parametrize(
    "text",
    (
        "ProxyCommand none",
        "StrictHostKeyChecking ask",
        "StrictHostKeyChecking yes",
        "CanonicalizeHostname no",
        "RevokedHostKeys none",
        "RequiredRSASize 2048",
        "Host other\nStrictHostKeyChecking no\nFrobnicate yes\nPort x",
        "Match host other exec true\nPort 1",
        "Match !exec true host other\nPort 1",
        "IgnoreUnknown Frob*,Use?\nFrobnicate yes",
        "Host other\nInclude exec",
        "Host other\nMatch host=other\nPort 1",
    ),
)
def test_what_changes_nothing_for_the_name_is_not_refused(text: str) -> None:
    """Values that mean what is done anyway, and blocks of other names."""
    (here,) = servers(text + "\n", exec="Match exec true\nPort 5\n")
    assert (here.host, here.port) == ("h", 22)


@pytest.mark.parametrize(
    ("text", "port"),
    (
        ("Host * !h\nPort 5\n", 22),
        ("Host !x h?\nPort 5\nHost ?\nPort 6\n", 6),
        ("Host [h]\nPort 5\nHost H\nPort 6\n", 22),
        ("Match host H\nPort 5\n", 5),
        ("HostName x\nMatch host h\nPort 5\nMatch originalhost h\nPort 6\n", 6),
        ("HostName ${KEYS}\nMatch host ${keys}\nPort 5\n", 5),
        ("Match user me\nPort 5\n", 5),
        ("User x\nMatch user me\nPort 5\nMatch localuser me\nPort 6\n", 6),
        ("Match !host h\nPort 5\nMatch !host x host h\nPort 6\n", 6),
        ("Match all\nPort 5\n", 5),
        ("Host x\nMatch final\nPort 5\nHost *\nPort 6\n", 6),
        ("HostName y\nMatch final host y\nPort 5\n", 5),
        ("Match canonical\nPort 5\n", 22),
        ("Host x\nInclude part\n", 22),
        ("Host h\nInclude part\nPort 7\n", 5),
        ("Include none part\nPort 7\n", 5),
    ),
)
def test_the_blocks_that_hold_decide(text: str, port: int) -> None:
    """The rules by hand, for where there is no client to compare with."""
    assert servers(text, part="Host x\nPort 9\nHost h\nPort 5\n")[0].port == port


def test_match_may_join_its_arguments() -> None:
    """``host=h``, as newer clients write it."""
    assert servers("Match host=h\nPort 5\n")[0].port == 5


def test_what_is_without_effect_is_listed_with_its_line() -> None:
    """A value that means "never" too, where we know no never."""
    (here,) = servers("ForwardAgent yes\nCompression yes\nConnectTimeout none\nPort 1\n")
    assert [(line.name, line.where) for line in here.unused] == [
        ("ForwardAgent", "config:1"),
        ("Compression", "config:2"),
        ("ConnectTimeout", "config:3"),
    ]


def test_includes_go_16_deep_and_no_deeper() -> None:
    """A file that includes itself is an error that says so, not an endless loop."""
    files = {f"f{n}": f"Include f{n + 1}\n" for n in range(1, 16)}
    assert servers("Include f1\n", **files, f16="Port 7\n")[0].port == 7
    with pytest.raises(ConfigurationError, match=r"f16:1: Include .*16 deep.*includes itself"):
        servers("Include f1\n", **files, f16="Include f17\n", f17="")


def test_a_file_of_the_system_names_no_home() -> None:
    """As in OpenSSH: whose home would it be."""
    with pytest.raises(ConfigurationError, match="system:1: Include"):
        lookup([Source("system", "Include ~/x\n", user=False)], Ask("h"), "me", lambda *_: ())


def test_an_include_takes_no_tokens() -> None:
    """Newer clients expand some; a file that is not found would be passed over in silence."""
    for name in ("%d/x", "${KEYS}/x"):
        with pytest.raises(ConfigurationError, match="config:1: Include has tokens"):
            servers(f"Include {name}\n")
        assert servers(f"Host other\nInclude {name}\n")[0].port == 22


_WORDS = r"""
    Host Match Include HostName Port User IdentityFile ProxyJump ConnectTimeout UserKnownHostsFile
    ProxyCommand IgnoreUnknown all host=h !user exec final * h a,b u@h:1 [::1] ssh:// none 1m 0 22
    %h %% %x ${A} ' " # = == \\ ~ ~nobody/x
"""


@given(st.lists(st.one_of(st.sampled_from(_WORDS.split()), st.text(max_size=3), st.just("\n"))))
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    """No text raises anything but a ConfigurationError, nor takes for ever."""
    with contextlib.suppress(ConfigurationError):
        servers(" ".join(words))


def test_what_is_odd_in_a_line_is_harmless_in_the_error() -> None:
    """A configuration may come from anywhere, and errors go to terminals."""
    with pytest.raises(ConfigurationError) as caught:
        servers("Port \x1b]0;x\x07\udcff\n")
    assert caught.value.message.isprintable()


def test_a_byte_order_mark_is_no_part_of_a_keyword() -> None:
    """Editors of another system write one."""
    assert servers("\ufeffPort 5\r\n")[0].port == 5
