"""Where a missing stack in containers is an error, as a table."""

from __future__ import annotations

import pytest

from .containers_due import due


@pytest.mark.parametrize(
    ("ci", "uid", "python", "compose", "expected"),
    (
        ("true", 0, (3, 11), None, True),
        ("true", 0, (3, 13), None, False),
        ("true", 0, (3, 13), ("docker", "compose"), True),
        ("true", 1000, (3, 11), ("docker", "compose"), False),
        ("", 0, (3, 11), ("docker", "compose"), False),
    ),
)
def test_root_in_ci_does_without_no_container(
    ci: str, uid: int, python: tuple[int, int], compose: object, expected: bool
) -> None:
    """But where there can be no compose: a skip would be green, and nobody would look."""
    environment = {"CI": ci} if ci else {}
    assert due(environment, uid, python, compose) == expected
