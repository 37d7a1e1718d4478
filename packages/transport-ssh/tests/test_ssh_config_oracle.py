"""What we make of a configuration is what OpenSSH's client makes of it."""

from __future__ import annotations

import os
import pwd
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import ssh_client
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_core import ConfigurationError
from transport_ssh import SSHOptions, _ssh_files
from transport_ssh._ssh_config import Ask, lookup
from transport_ssh._ssh_keywords import REFUSED, UNUSED, USED
from transport_ssh._ssh_lines import Source
from transport_ssh._ssh_plan import Local, jumps, server

ME = pwd.getpwuid(os.getuid()).pw_name
HOME = pwd.getpwuid(os.getuid()).pw_dir
LOCAL = Local(user=ME, home=HOME, host="here.example.org", uid=os.getuid(), env=dict(os.environ))
KEYWORDS = (
    "hostname", "user", "port", "identityfile", "certificatefile", "userknownhostsfile",
    "globalknownhostsfile", "hostkeyalias", "proxyjump", "connecttimeout", "serveraliveinterval",
    "serveralivecountmax",
)  # fmt: skip


def theirs(path: Path, alias: str) -> dict[str, list[str]] | None:
    """Return what OpenSSH resolves, in what is compared."""
    found = ssh_client.resolved(path, alias)
    return found and {keyword: found.get(keyword, []) for keyword in KEYWORDS}


def ours(path: Path, alias: str) -> dict[str, list[str]] | None:
    """Return what we resolve, as OpenSSH prints it."""
    sources = [Source(str(path), path.read_text("utf-8", "surrogateescape"))]

    try:
        found = lookup(sources, Ask(alias), ME, _ssh_files._included)
        here = server(found, LOCAL)
        way = jumps(found, here, LOCAL)
    except ConfigurationError:
        return None
    if way and way[-1].alias == alias:
        return None  # the one circle that the client itself looks for
    keys = [line.words[0] for line in found.lines.get("identityfile", ())]
    pins = [each.replace("~", HOME, 1) for each in here.known_hosts]
    globals_ = found.first("globalknownhostsfile")
    count = len(globals_.words) if globals_ else 2
    timeout = here.settings.get("connect_timeout")
    alias_ = here.settings.get("host_key_alias")
    return {
        "hostname": [here.host],
        "user": [here.user],
        "port": [str(here.port)],
        "identityfile": keys or default_keys(),
        "certificatefile": [line.words[0] for line in found.lines.get("certificatefile", ())],
        "userknownhostsfile": [" ".join(pins[:-count]) or "none"],
        "globalknownhostsfile": [" ".join(pins[-count:])],
        "hostkeyalias": [str(alias_)] if alias_ else [],
        "proxyjump": [",".join(map(shown, way))] if way else [],
        "connecttimeout": [f"{timeout:.0f}" if isinstance(timeout, float) else "none"],
        "serveraliveinterval": [f"{here.settings.get('keepalive_interval', 0):.0f}"],
        "serveralivecountmax": [f"{here.settings.get('keepalive_count', 3)}"],
    }


def shown(jump: Ask) -> str:
    """Return a jump host as OpenSSH prints it."""
    host = f"[{jump.alias}]" if ":" in jump.alias else jump.alias
    user = f"{jump.user}@" if jump.user else ""
    return f"{user}{host}" + (f":{jump.port}" if jump.port else "")


def default_keys() -> list[str]:
    """Return the keys that OpenSSH tries where none is named."""
    found = ssh_client.resolved(Path(os.devnull), "h")
    assert found is not None
    return found["identityfile"]


TABLE: dict[str, str] = {
    "nothing": "",
    "the first value counts": "User a\nUser b\nHost h\nPort 1\nHost *\nPort 2\n",
    "no match": "Host other\nUser x\nPort 4\n",
    "keys accumulate": "IdentityFile ~/a\nHost h\nIdentityFile /b\nIdentityFile ~/a\n",
    "no key at all": "IdentityFile none\n",
    "certificates accumulate": "CertificateFile ~/a\nCertificateFile /b\n",
    "negation": "Host * !h\nUser x\nHost !h *\nUser y\nHost * !other\nUser z\n",
    "wild": "Host ?\nUser x\n",
    "wilder": "Host ??\nUser x\nHost h*\nPort 9\n",
    "brackets are plain": "Host [h]\nUser x\n",
    "case of a pattern": "Host H\nUser x\n",
    "case of a match": "Match host H\nUser x\n",
    "case of keywords": "hOST h\nuSER x\nPORT 8\n",
    "equals": "Host=h\nUser=x\nPort = 8\nHostName= a\nHostKeyAlias =z\n",
    "quotes": 'Host "h"\nUser "x"\nIdentityFile "~/a b"\nCertificateFile \'/c d\'\n',
    "escapes": 'IdentityFile ~/a\\ b\nCertificateFile "a\\"b"\n',
    "odd escapes": 'IdentityFile ~/a\\tb\nCertificateFile "a\\ b"\n',
    "a quote within": 'IdentityFile ~/"a b"/c\n',
    "a quote without end": 'IdentityFile "~/a\n',
    "an escaped quote is no end": 'IdentityFile "~/a\\"\n',
    "comments": "# c\n  # c\nHost h # c\nUser x # c\nIdentityFile a#b\n",
    "CRLF": "Host h\r\n  User x\r\n\r\nPort 8\r\n",
    "tabs": "\tHost\th\n\t\tUser\tx\n",
    "form feed at the end": "User x \f\n",
    "no value": "User\n",
    "two values": "User a b\n",
    "an empty value": 'User ""\n',
    "port zero": "Port 0\n",
    "port word": "Port abc\n",
    "port too large": "Port 65536\n",
    "hostname": "HostName Other.Example.ORG\n",
    "hostname of a token": "HostName %h.example.org\n",
    "hostname percent": "HostName a%%b\n",
    "hostname of a wrong token": "HostName %p\n",
    "match host sees HostName": "HostName real\nMatch host real\nUser x\nMatch host h\nPort 1\n",
    "match originalhost": "HostName real\nMatch originalhost h\nUser x\n",
    "match user": "User a\nMatch user a\nPort 1\nMatch user b\nPort 2\n",
    "match localuser": f"Match localuser {ME}\nPort 1\n",
    "match not": "Match !host h\nPort 1\nMatch !host x host h,i\nPort 2\n",
    "match a list": "Match host a,h\nPort 1\n",
    "match a negated list": "Match host *,!h\nPort 1\nMatch host !x,*\nPort 2\n",
    "match all": "Match host x\nPort 1\nMatch all\nPort 2\n",
    "match all with others": "Match host h all user x\nPort 1\n",
    "match all after one": "Match host x all\nPort 1\nMatch host h all\nPort 2\n",
    "match final": "Match final\nPort 1\nHost *\nPort 2\nUser x\n",
    "match final sees hosts": "HostName real\nMatch final host real\nUser x\nHost real\nPort 3\n",
    "match final all": "Match final all\nUser x\n",
    "match not final": "Match !final\nUser x\n",
    "match canonical": "Match canonical\nUser x\n",
    "match canonical in a final pass": "Match final\nPort 1\nMatch canonical\nUser x\n",
    "match final once more": "HostName %h.a\nMatch final\nUser x\nHost *.a\nIdentityFile b\n",
    "match without an argument": "Match host\nUser x\n",
    "match nothing known": "Match frob x\nUser x\n",
    "match with a comment": "Match host h # user x\nUser y\n",
    "times": "ConnectTimeout 1m30s\nServerAliveInterval 2H\nServerAliveCountMax 7\n",
    "no times": "ConnectTimeout none\nServerAliveInterval 0\n",
    "odd times": "ConnectTimeout abc\n",
    "known hosts": 'UserKnownHostsFile ~/a "/b c"\nUserKnownHostsFile d\n',
    "known hosts of all": "GlobalKnownHostsFile /a /b /c\n",
    "known hosts of tokens": "UserKnownHostsFile ~/a\nHostKeyAlias k\n",
    "jump": "ProxyJump a@b:1,[::1]:2\nProxyCommand x\n",
    "jump by URI": "ProxyJump ssh://a@b:1\n",
    "jump none": "ProxyJump none\nProxyJump a\n",
    "jump after command": "ProxyCommand none\nProxyJump a\n",
    "jump to itself": "ProxyJump h\n",
    "jump to nowhere": "ProxyJump a:b:c\n",
    "unknown": "Frobnicate yes\n",
    "unknown and ignored": "IgnoreUnknown frob*\nFrobnicate yes\nUser x\n",
    "include": "Include {dir}/one\nUser later\n",
    "include in a block": "Host x\nInclude {dir}/one\nHost h\nUser later\n",
    "include in a block that holds": "Host h\nInclude {dir}/one\nPort 99\n",
    "include several": "Include {dir}/o* {dir}/two\n",
    "include sorted": "Include {dir}/*\n",
    "include nothing": "Include {dir}/none*\nUser x\n",
    "include keeps the block": "Host x\nInclude {dir}/two\nUser y\n",
    "include with final": "Host x\nInclude {dir}/final\nHost *\nPort 1\n",
    "include itself": "Include {dir}/config\n",
    "include in a circle": "Include {dir}/circle\n",
}  # fmt: skip


FILES = {
    "one": "User one\nHost x\nUser x\nHost h\nPort 11\n",
    "other": "Port 12\n",
    "two": "Match host h\nUser two\nHost x\nPort 13\n",
    "final": "Match final\nUser last\n",
    "circle": "Include {dir}/circle\n",
}
"""Beside each configuration of the table."""


@pytest.mark.parametrize("name", TABLE)
def test_the_table_is_read_as_openssh_reads_it(name: str, tmp_path: Path) -> None:
    """Values and refusals alike."""
    for word, text in FILES.items():
        (tmp_path / word).write_text(text.replace("{dir}", str(tmp_path)))
    config = tmp_path / "config"
    config.write_text(TABLE[name].replace("{dir}", str(tmp_path)), newline="")
    assert ours(config, "h") == theirs(config, "h")


def test_the_table_has_refusals_and_values() -> None:
    """An oracle that refuses everything, or nothing, would prove little."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config")
        path.write_text("Port 0\n")
        assert theirs(path, "h") is None
        path.write_text("Port 7\n")
        assert (theirs(path, "h") or {})["port"] == ["7"]


_NAMES = st.sampled_from(("a", "b", "ab", "a.b", "A", "r"))
_PATTERNS = st.sampled_from(("a", "b", "*", "?", "a*", "*.b", "A", "!a", "!*b", "!b", "r", "[a]"))
_LISTS = st.lists(_PATTERNS, min_size=1, max_size=3)
_SETTINGS = st.one_of(
    st.builds("HostName {}".format, st.sampled_from(("a", "b", "R", "%h.b", "%%x"))),
    st.builds("User {}".format, _NAMES),
    st.builds("Port {}".format, st.integers(1, 65535)),
    st.builds("IdentityFile {}".format, st.sampled_from(("~/x", "/y", '"~/a b"', "%d/z"))),
    st.builds("CertificateFile {}".format, st.sampled_from(("~/x", "/y"))),
    st.builds("UserKnownHostsFile {}".format, st.sampled_from(("~/x", "/y ~/z", "none"))),
    st.builds("HostKeyAlias {}".format, _NAMES),
    st.builds("ProxyJump {}".format, st.sampled_from(("j", "k,j", "u@j:1", "none"))),
    st.just("ProxyCommand none"),
    st.builds("ConnectTimeout={}".format, st.sampled_from(("3", "1m", "1h2s"))),
    st.builds("ServerAliveInterval\t{}".format, st.integers(1, 99)),
    st.builds("serveralivecountmax = {}".format, st.integers(1, 99)),
)
_CRITERIA = st.one_of(
    st.builds(
        "{}{} {}".format,
        st.sampled_from(("", "!")),
        st.sampled_from(("host", "originalhost", "user", "localuser")),
        st.builds(",".join, _LISTS),
    ),
    st.sampled_from(("final", "!final", "canonical", "!canonical")),
)
_MATCHES = st.one_of(
    st.just("Match all"),
    st.builds("Match {}".format, st.builds(" ".join, st.lists(_CRITERIA, min_size=1, max_size=3))),
)
_HOSTS = st.builds("Host {}".format, st.builds(" ".join, _LISTS))
_INCLUDES = st.builds("Include {{dir}}/{}".format, st.sampled_from(("x", "y", "[xy]", "*", "z")))


def _configurations(*more: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lines = st.one_of(_SETTINGS, _SETTINGS, _SETTINGS, _HOSTS, _MATCHES, *more)
    return st.builds("\n".join, st.lists(lines, max_size=10))


@given(config=_configurations(_INCLUDES), x=_configurations(), y=_configurations(), alias=_NAMES)
@settings(max_examples=150, deadline=None)
def test_any_configuration_is_read_as_openssh_reads_it(
    config: str, x: str, y: str, alias: str
) -> None:
    """Blocks, negations, includes within blocks, second passes: generated."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "parts").mkdir()
        for name, text in (("parts/x", x), ("parts/y", y), ("config", config)):
            Path(folder, name).write_text(text.replace("{dir}", f"{folder}/parts") + "\n")
        path = Path(folder, "config")
        assert ours(path, alias) == theirs(path, alias)


@given(text=st.text("aA \t\"'\\#=%$*?!,~/\r\f\u00e9", max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_value_is_split_as_openssh_splits_it(text: str) -> None:
    """Quotes, escapes and comments, generated."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config")
        path.write_text(f"IdentityFile {text}\n", newline="")
        theirs_ = ssh_client.resolved(path, "h")
        sources = [Source(str(path), f"IdentityFile {text}\n")]
        try:
            lines = lookup(sources, Ask("h"), ME, _ssh_files._included).lines["identityfile"]
            words = lines[0].words
        except ConfigurationError:
            words = ()
        if len(words) != 1 or not words[0]:
            assert theirs_ is None
        else:
            assert theirs_ is not None
            assert theirs_["identityfile"] == [words[0]]


TOKENS = "%d %h %i %k %L %l %n %p %r %u %% ${TT_VARIABLE}"


def test_tokens_of_a_path_are_those_of_openssh(tmp_path: Path) -> None:
    """As the client shows them when it looks for the keys."""
    config = tmp_path / "config"
    config.write_text(
        "Host h\nHostName %h.example.org\nUser alice\nPort 7\nHostKeyAlias pinned\n"
        + "".join(f"IdentityFile /x/{word}/x\n" for word in TOKENS.split())
    )
    done = ssh_client.ssh(
        "-v", "-F", str(config), "-o", "ProxyCommand=true", "h", env={"TT_VARIABLE": "value"}
    )
    shown_ = [
        line.split("identity file ")[1].partition(" type ")[0]
        for line in os.fsdecode(done.stderr).splitlines()
        if "identity file " in line and "-cert" not in line
    ]
    host = next(each for each in shown_ if each not in {"", "/x/%/x"})  # the list is not empty
    assert host
    found = lookup([Source("c", config.read_text())], Ask("h"), ME, _ssh_files._included)
    local = _ssh_files._local()
    env = {**local.env, "TT_VARIABLE": "value"}
    here = server(found, replace(local, env=env, home=HOME))
    assert list(here.identities) == shown_


def test_a_home_is_the_accounts_as_it_is_for_openssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever HOME leads: it would decide which pins are read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "config"
    config.write_text("UserKnownHostsFile ~/a ~/.ssh/b %d/c\n")
    found = ssh_client.resolved(config, "h")
    assert found is not None
    pins = SSHOptions.from_ssh_config("h", path=config, identity="k").known_hosts.paths
    expanded = [f"{HOME}/a", f"{HOME}/.ssh/b", f"{HOME}/c"]
    assert list(pins)[:3] == expanded
    assert found["userknownhostsfile"][0].replace("%d", HOME).split() == expanded


def test_every_keyword_of_openssh_is_known(tmp_path: Path) -> None:
    """Used, refused, or named as being without effect: none is passed over unseen."""
    printed = ssh_client.resolved(Path(os.devnull), "h") or {}
    known = USED | REFUSED.keys() | UNUSED | {"host"}
    assert {keyword.lower() for keyword in printed} <= known


def test_every_keyword_has_one_treatment() -> None:
    """The three groups do not overlap."""
    assert not USED & UNUSED
    assert not (USED | UNUSED) & REFUSED.keys()
