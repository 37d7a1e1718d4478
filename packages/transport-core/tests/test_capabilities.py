"""Capabilities."""

from transport_core import MINIMUM, Capability


def test_names_and_values_are_unique_words() -> None:
    assert len({capability.value for capability in Capability}) == len(Capability)
    assert all(
        capability.value == capability.name.lower().replace("_", "-") for capability in Capability
    )


def test_the_minimum_is_to_run_and_to_move_files() -> None:
    assert {Capability.RUN, Capability.FILES} == MINIMUM
