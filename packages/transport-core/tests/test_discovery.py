"""Transports by name."""

import contextlib
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any, Self

import pytest
from transport_core import Capability, ConfigurationError, _discovery, build, load, names
from transport_core.authoring import GROUP, check_options, shape_problems


class Good:
    """The smallest class with the contract's shape."""

    name = "good"
    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, *, host: str = "h", port: int = 22) -> None:
        self.host, self.port = host, port

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def aclose(self) -> None: ...

    async def run(
        self, argv: Any, *, stdin: Any = None, env: Any = None, cwd: Any = None,
        timeout: Any = None, output_limit: Any = None, check: bool = False, extra: int = 1,
    ) -> Any: ...  # fmt: skip

    async def put(self, local: Any, remote: Any, **options: Any) -> Any: ...

    async def get(self, *paths: Any, **options: Any) -> Any: ...


class Mapped(Good):
    @classmethod
    def from_options(cls, options: Any) -> Self:
        return cls(host=options["where"])


class Demanding(Good):
    def __init__(self, host: str) -> None:
        super().__init__(host=host)


not_a_class = Good()


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that these are installed: name to the name of something in this module."""

    def install(*pairs: tuple[str, str]) -> None:
        points = [
            EntryPoint(name, value if ":" in value else f"plugin_here:{value}", GROUP)
            for name, value in pairs
        ]
        monkeypatch.setattr(_discovery, "entry_points", lambda *, group: points)
        monkeypatch.setitem(sys.modules, "plugin_here", sys.modules[__name__])

    return install


def test_names_are_listed_without_importing(plugins: Callable[..., None]) -> None:
    plugins(("ssh", "no_such_module:X"), ("local", "Good"), ("ssh", "no_such_module:X"))
    assert names() == ("local", "ssh")


def test_one_is_loaded_and_a_broken_one_breaks_only_itself(plugins: Callable[..., None]) -> None:
    plugins(("broken", "no_such_module:X"), ("good", "Good"))
    assert load("good") is Good
    with pytest.raises(ConfigurationError, match=r"'broken'.*cannot be imported") as caught:
        load("broken")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("goood", "installed: good, other", "did you mean 'good'"),
        ("xyzzy", "there is no transport 'xyzzy'", "pip install transport-xyzzy"),
    ],
)
def test_an_unknown_name_names_the_known_ones(
    name: str, text: str, hint: str, plugins: Callable[..., None]
) -> None:
    plugins(("good", "Good"), ("other", "Good"))
    with pytest.raises(ConfigurationError, match=text) as caught:
        load(name)
    assert hint in (caught.value.hint or "")


def test_a_name_that_two_claim_is_refused(plugins: Callable[..., None]) -> None:
    plugins(("good", "Good"), ("good", "Mapped"))
    with pytest.raises(ConfigurationError, match="claimed more than once"):
        load("good")


def test_what_is_no_class_is_refused(plugins: Callable[..., None]) -> None:
    plugins(("odd", "not_a_class"))
    with pytest.raises(ConfigurationError, match="it is no class but Good"):
        load("odd")


def test_one_is_built_from_options(plugins: Callable[..., None]) -> None:
    plugins(("good", "Good"), ("mapped", "Mapped"), ("demanding", "Demanding"))
    built: Any = build("good", {"host": "x"})
    assert (built.host, built.port) == ("x", 22)
    mapped: Any = build("mapped", {"where": "there"})
    assert mapped.host == "there"
    with pytest.raises(ConfigurationError, match="has no option 'hots'; it has: host, port") as e:
        build("good", {"hots": "x"})
    assert e.value.hint == "did you mean 'host'?"
    with pytest.raises(ConfigurationError, match="missing a required argument: 'host'"):
        build("demanding")


def test_options_of_nothing_are_named_so() -> None:
    check_options("x", {}, ())
    with pytest.raises(ConfigurationError, match="it has: none"):
        check_options("x", {"a": 1}, ())


def test_a_good_shape_has_no_problems() -> None:
    assert shape_problems(Good) == []


def changed(**members: Any) -> type:
    return type("Changed", (Good,), members)


async def no_options(self: Any, argv: Any) -> None: ...
async def no_argv(
    self: Any, *, stdin: Any = None, env: Any = None, cwd: Any = None, timeout: Any = None,
    output_limit: Any = None, check: bool = False,
) -> None: ...  # fmt: skip
async def must_have(self: Any, argv: Any, *, must: int, **options: Any) -> None: ...
async def must_have_ours(self: Any, argv: Any, *, stdin: Any, **options: Any) -> None: ...
async def one_more(self: Any, argv: Any, more: Any, **options: Any) -> None: ...
async def only_options(self: Any, **options: Any) -> None: ...
async def takes_nothing(self: Any) -> None: ...
async def by_position(self: Any, argv: Any, /, **options: Any) -> None: ...
async def in_any_way(  # noqa: PLR0917 - what is tested
    self: Any, argv: Any, stdin: Any = None, env: Any = None, cwd: Any = None,
    timeout: Any = None, output_limit: Any = None, check: Any = False,
) -> None: ...  # fmt: skip
def not_async(self: Any, argv: Any, **options: Any) -> None: ...
def no_timeout(self: Any, argv: Any, *, env: Any = None, cwd: Any = None) -> None: ...
async def generates(self: Any, argv: Any, **options: Any) -> Any:
    yield


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"run": None}, "no method 'run'"),
        ({"run": not_async}, "run is not 'async def'"),
        ({"run": no_options}, "run lacks stdin, env, cwd, timeout, output_limit, check"),
        ({"run": no_argv}, "run takes 1 positional words, not 2"),
        ({"run": only_options}, "run takes 1 positional words, not 2"),
        ({"run": must_have}, "run demands must"),
        ({"run": must_have_ours}, "run demands stdin"),
        ({"run": one_more}, "run demands 3 positional words, not 2"),
        ({"__aexit__": takes_nothing}, "__aexit__ takes 1 positional words, not 4"),
        (
            {"stream": no_options},
            "stream is 'async def': it has to return an async context manager",
        ),
        ({"stream": generates}, "stream is 'async def': it has to return an async context manager"),
        ({"stream": no_timeout}, "stream lacks timeout"),
        ({"stream": 1}, "stream is no method"),
        ({"stream": contextlib.asynccontextmanager(generates)}, None),
        ({"stream": not_async}, None),
        ({"run": by_position}, None),
        ({"run": in_any_way}, None),
    ],
)
def test_signatures_are_checked_and_not_only_names(
    members: dict[str, Any], problem: str | None
) -> None:
    assert shape_problems(changed(**members)) == ([] if problem is None else [problem])


def test_a_class_without_anything_lacks_everything() -> None:
    problems = shape_problems(object)
    assert "no attribute 'name'" in problems
    assert "no method 'put'" in problems
