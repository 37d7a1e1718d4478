"""Names by audience, and what importing costs."""

import subprocess
import sys

import transport_core
from transport_core import authoring


def test_each_name_has_one_audience() -> None:
    assert not set(transport_core.__all__) & set(authoring.__all__)


def test_all_names_exist_and_are_sorted_in_their_lists() -> None:
    for module in (transport_core, authoring):
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_every_public_thing_of_every_module_is_exported_once() -> None:
    """A class or function without underscore belongs to one audience, or gets an underscore."""
    inner = {"T"}  # a type variable
    exported = set(transport_core.__all__) | set(authoring.__all__)
    for name, module in list(sys.modules.items()):
        if name.startswith("transport_core._"):
            own = {
                key
                for key, value in vars(module).items()
                if not key.startswith("_") and getattr(value, "__module__", None) == name
            }
            assert own <= exported | inner, name


def test_importing_adds_no_third_party_module() -> None:
    script = (
        "import sys; before = set(sys.modules); import transport_core.authoring\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["transport_core"]
