"""The protocol's own shape."""

import inspect

import pytest
from transport_core import DEFAULT_OUTPUT_LIMIT, Transport


@pytest.mark.parametrize("verb", ["run", "put", "get"])
def test_every_option_of_a_verb_is_a_keyword_with_a_default(verb: str) -> None:
    parameters = list(inspect.signature(getattr(Transport, verb)).parameters.values())
    subjects = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert subjects in (["self", "argv"], ["self", "local", "remote"], ["self", "remote", "local"])
    for parameter in parameters[len(subjects) :]:
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty


def test_every_method_says_what_it_promises() -> None:
    for name in ("run", "put", "get", "aclose", "__aenter__", "__aexit__", "name", "capabilities"):
        assert inspect.getdoc(getattr(Transport, name))


def test_the_default_limit_is_64_mib() -> None:
    parameter = inspect.signature(Transport.run).parameters["output_limit"]
    assert parameter.default == DEFAULT_OUTPUT_LIMIT == 2**26
