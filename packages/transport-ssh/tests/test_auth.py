"""What decides on a login: which methods, in which order, each once; pure, as tables."""

import base64
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_core import AuthenticationError, ConfigurationError, Delivery
from transport_ssh import Agent, KeyboardInteractive, Password, PrivateKey, SSHOptions
from transport_ssh._auth import (
    Steps,
    asked,
    check_auth,
    chosen,
    exposed,
    public_blob,
    refusal,
    too_short,
)
from transport_ssh._hostkeys import fingerprint

KEY, AGENT = PrivateKey("~/k"), Agent("SHA256:x")
PASSWORD = Password(lambda: "p")
CODE = KeyboardInteractive(lambda name, instructions, prompts: ["1"])
PUB, PW, KBD = "publickey", "password", "keyboard-interactive"


def blob(*fields: bytes) -> bytes:
    """Return fields as the protocol has them."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


ED = blob(b"ssh-ed25519", b"k" * 32)


BAD: tuple[tuple[Any, dict[str, Any], str], ...] = (
    (PrivateKey, {}, "path or data"),
    (PrivateKey, {"path": "a", "data": b"b"}, "path or data"),
    (PrivateKey, {"path": ""}, "path"),
    (PrivateKey, {"path": "a\0b"}, "NUL"),
    (PrivateKey, {"path": 7}, "path"),
    (PrivateKey, {"data": "text"}, "bytes"),
    (PrivateKey, {"path": "a", "passphrase": "p"}, "callable"),
    (PrivateKey, {"path": "a", "certificate": 7}, "certificate"),
    (Agent, {"identity": ""}, "identity"),
    (Agent, {"identity": None}, "identity"),
    (Agent, {"identity": "x", "socket": ""}, "socket"),
    (Password, {"callback": "secret"}, "callable"),
    (Password, {"callback": None}, "callable"),
    (KeyboardInteractive, {"callback": ["1"]}, "callable"),
    (check_auth, {"auth": "key"}, "auth must be"),
    (check_auth, {"auth": ()}, "auth must be"),
    (check_auth, {"auth": (KEY, None)}, "auth must be"),
    (check_auth, {"auth": (KEY, AGENT)}, "twice"),
    (check_auth, {"auth": (CODE, CODE)}, "twice"),
)


@pytest.mark.parametrize(("make", "values", "said"), BAD, ids=range(len(BAD)))
def test_what_can_log_nobody_in_is_refused_at_construction(
    make: Any, values: dict[str, Any], said: str
) -> None:
    """The text says which value, and why."""
    with pytest.raises(ConfigurationError, match=said):
        make(**values)


def test_a_secret_is_in_no_repr() -> None:
    """Neither a callback, whose repr may hold what it was made from, nor a key."""

    class Canary:
        def __call__(self, *_: Any) -> str:
            return "CANARY"

        def __repr__(self) -> str:
            return "CANARY"

    made = (
        PrivateKey(data=b"CANARY", passphrase=Canary(), certificate=b"CANARY"),
        Password(Canary()),
        KeyboardInteractive(Canary()),
    )
    assert "CANARY" not in repr(made)


@pytest.mark.parametrize(
    ("factors", "asks", "given", "tried"),
    (
        # one method
        ((KEY,), [PUB], [True], (PUB,)),
        ((KEY,), [PUB, PUB], [True, False], (PUB,)),
        ((PASSWORD,), [PW, PW, PW], [True, False, False], (PW,)),
        ((KEY,), [PW, KBD], [False, False], ()),
        # two in order
        ((KEY, CODE), [PUB, KBD], [True, True], (PUB, KBD)),
        ((KEY, CODE), [PUB, KBD, KBD], [True, True, False], (PUB, KBD)),
        # the key was not accepted: no code is given, whatever the server asks next
        ((KEY, CODE), [PUB, PUB, KBD], [True, False, False], (PUB,)),
        # the second is not given before the first, nor in its place
        ((KEY, PASSWORD), [PW], [False], ()),
        ((KEY, PASSWORD), [PW, PUB], [False, True], (PUB,)),
        ((AGENT, PASSWORD, CODE), [PUB, PW, KBD], [True, True, True], (PUB, PW, KBD)),
        ((AGENT, PASSWORD, CODE), [PUB, KBD], [True, False], (PUB,)),
    ),
)
def test_each_factor_is_given_once_and_in_order(
    factors: Any, asks: list[str], given: list[bool], tried: tuple[str, ...]
) -> None:
    """Being asked again for what was given means that it was refused, and ends the login."""
    steps = Steps(factors)
    assert [steps.may_give(method) for method in asks] == given
    assert steps.tried == tried


@given(st.lists(st.sampled_from([PUB, PW, KBD]), max_size=30))
def test_a_server_that_asks_in_any_order_gets_nothing_twice(asks: list[str]) -> None:
    """What was tried is always the beginning of what is configured."""
    steps = Steps((KEY, PASSWORD, CODE))
    given = [method for method in asks if steps.may_give(method)]
    assert tuple(given) == steps.tried == steps.methods[: len(given)]


@pytest.mark.parametrize(
    ("methods", "tried", "why", "hint"),
    (
        ((PUB,), (PUB,), "did not accept the key SHA256:x (of a file)", "authorized_keys"),
        ((PW,), (PW,), "did not accept the password", "lock accounts"),
        ((KBD,), (KBD,), "did not accept the answers", "clocks"),
        ((PUB, KBD), (PUB, KBD), "did not accept the answers", "clocks"),
        ((PUB,), (), "does not ask for publickey", "user name"),
        ((PUB, KBD), (PUB,), "does not ask for keyboard-interactive after", "the key was right"),
        ((PW, KBD), (PW,), "does not ask for keyboard-interactive after", "password was right"),
    ),
)
def test_a_refusal_says_why_and_what_to_check(
    methods: tuple[str, ...], tried: tuple[str, ...], why: str, hint: str
) -> None:
    """By what was given last."""
    text, advice = refusal(methods, tried, "the key SHA256:x (of a file)")
    assert why in text
    assert hint in advice


@pytest.mark.parametrize(
    ("mode", "owner", "is_exposed"),
    (
        (0o100600, 1, False),
        (0o100400, 1, False),
        (0o100640, 1, True),
        (0o100604, 1, True),
        (0o100644, 1, True),
        (0o100610, 1, True),
        (0o100660, 1, True),
        # somebody else's file, to be read by a group of ours: its owner says who may
        (0o100640, 0, False),
        (0o100644, 0, True),
        (0o100600, 0, False),
    ),
)
def test_a_key_file_that_others_can_read_is_exposed(
    mode: int, owner: int, is_exposed: bool
) -> None:
    """Mode and owner decide; we are user 1."""
    assert exposed(mode, owner, 1) is is_exposed


@pytest.mark.parametrize(
    ("identity", "found"),
    ((fingerprint(ED), 1), (ED, 1), (b"other", None), ("SHA256:other", None), ("", None)),
)
def test_exactly_the_chosen_key_of_an_agent_is_meant(
    identity: str | bytes, found: int | None
) -> None:
    """By fingerprint or by the key itself; never another one in its place."""
    assert chosen(identity, [blob(b"ssh-rsa", b"x"), ED]) == found


@pytest.mark.parametrize(
    ("text", "is_key"),
    (
        (f"ssh-ed25519 {base64.b64encode(ED).decode()} me@here", True),
        (f"ssh-ed25519 {base64.b64encode(ED).decode()}", True),
        (f"ssh-rsa {base64.b64encode(ED).decode()}", False),
        ("\udcff AAAA", False),
        ("ssh-ed25519 !!!", False),
        ("/home/me/.ssh/id.pub", False),
        ("", False),
    ),
)
def test_a_public_key_is_told_from_a_path(text: str, is_key: bool) -> None:
    """A line of a ``.pub`` file, whose type is the one within."""
    assert public_blob(text) == (ED if is_key else None)


@pytest.mark.parametrize(
    ("key", "bits"),
    (
        (blob(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 128), 1024),
        (blob(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 256), None),
        (ED, None),
        (blob(b"ssh-rsa"), None),
        (b"", None),
    ),
)
def test_a_short_rsa_key_is_told_by_its_bits(key: bytes, bits: int | None) -> None:
    """Below 2048 it is not offered."""
    assert too_short(key) == bits


def test_what_a_server_asks_is_harmless_to_show() -> None:
    """Lines stay lines; sequences for a terminal are written out."""
    name, instructions, prompts = asked("a\x1b[2J", "one\ntwo\x07", [("Code\x1b]0;x: ", False)])
    assert "\x1b" not in f"{name}{instructions}{prompts}"
    assert instructions == "one\ntwo\\x07"
    assert [echo for _, echo in prompts] == [False]


@pytest.mark.parametrize(
    ("plain", "auth"),
    (
        ({"identity": "k"}, PrivateKey("k")),
        ({"identity": "k", "certificate": "c"}, PrivateKey("k", certificate="c")),
        ({"agent": "SHA256:x"}, Agent("SHA256:x")),
        ({"auth": (KEY, CODE)}, (KEY, CODE)),
    ),
)
def test_plain_values_say_how_to_log_in(plain: dict[str, Any], auth: Any) -> None:
    """As a configuration file has them; callbacks are objects."""
    options = SSHOptions.from_mapping({"host": "h", "user": "u", "known_hosts": "k", **plain})
    assert options.auth == auth
    assert options.factors == (auth if isinstance(auth, tuple) else (auth,))


@pytest.mark.parametrize(
    "plain",
    (
        {"identity": "k", "agent": "SHA256:x"},
        {"identity": "k", "auth": KEY},
        {"certificate": "c"},
        {"agent": "SHA256:x", "certificate": "c"},
        {"identity": None},
    ),
)
def test_plain_values_that_contradict_are_refused(plain: dict[str, Any]) -> None:
    """One way to log in, said once."""
    with pytest.raises(ConfigurationError):
        SSHOptions.from_mapping({"host": "h", "user": "u", "known_hosts": "k", **plain})


def test_what_was_tried_survives_a_pickle() -> None:
    """Errors cross processes."""
    error = AuthenticationError("no", tried=(PUB, KBD), delivery=Delivery.NOT_SENT)
    assert pickle.loads(pickle.dumps(error)).tried == (PUB, KBD)
