"""pytest's entry point: options and hooks, and nothing else.

Every pytest run of an environment imports it: the rest is loaded only for tests of the suite.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Generator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from transport_testbed.conformance._control import Control

PLACE = "transport_place"
_BEGAN = time.monotonic()
_FILE = "transport_stack_file"
_PATH = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("transport", "conformance suite of transports")
    add = group.addoption
    kinds = ("auto", "native", "containers", "inside", "none")
    add("--transport-stack", default="auto", choices=kinds, help="servers to test against")
    for name, metavar, text in (
        ("targets", "GLOB", "only these subjects or places: 'jump,ssh@login-*' is a partial run"),
        ("report", "DIR", "write conformance.json, .xml and .md there"),
        ("waivers", "FILE", "known deviations, with clause, reason, issue and until"),
    ):
        add(f"--transport-{name}", default="", metavar=metavar, help=text)
    text = "milliseconds that a transport may block the event loop"
    parser.addini("transport_loop_lag", text, default="100")


def _control(config: pytest.Config) -> Control:
    """Return the state of this run, which is made for the first test of the suite."""
    control = config.pluginmanager.get_plugin("transport_control")
    if control is None:
        # By name: the suite knows no stack, only that something opens its places.
        places: Any = import_module("transport_testbed.targets").Places
        mine = not hasattr(config, "workerinput")
        opened = places(config.option.transport_stack, _stack_file(config), mine=mine)
        module: Any = import_module("transport_testbed.conformance._control")
        control = module.Control(config, opened, began=_BEGAN)
        config.pluginmanager.register(control, "transport_control")
    return control  # type: ignore[no-any-return]


def _stack_file(config: pytest.Config) -> str:
    """Return where the stack of this run will be described; nothing is made yet."""
    given: Any = getattr(config, "workerinput", None)  # pytest-xdist's, on a worker
    if given is not None:
        return str(given[_FILE])
    name = f"transport-stack-{os.urandom(16).hex()}.json"
    return config.stash.setdefault(_PATH, os.path.join(tempfile.gettempdir(), name))


def _known(config: pytest.Config) -> Control | None:
    found: Control | None = config.pluginmanager.get_plugin("transport_control")
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Refuse bad waivers at once; a run that asks for the suite's options is judged."""
    option = config.option
    if option.transport_waivers or option.transport_targets or option.transport_report:
        _control(config)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests of the suite their subjects."""
    if PLACE in metafunc.fixturenames and metafunc.cls is not None:
        _control(metafunc.config).parametrize(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Count what is collected, before anybody takes it out."""
    if PLACE in getattr(item, "fixturenames", ()):
        _control(item.config).note(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a report what its phase came to."""
    report = yield
    if PLACE in getattr(item, "fixturenames", ()):
        _control(item.config).add_row(item, call, report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist where the stack will be described."""
    node.workerinput[_FILE] = _stack_file(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Start the stack before the first test runs, if a worker has collected one that needs it."""
    if any("@" in each for each in ids):
        _control(node.config).start_for(ids)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the stack whatever happened."""
    if (control := _known(config)) is not None:
        control.close()
