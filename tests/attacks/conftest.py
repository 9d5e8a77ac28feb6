"""Each attack of a family in a test of its own; the family is graded once."""

from __future__ import annotations

import pytest
from siege import Fallout, Siege, besieged


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each attack of a class."""
    if "attack" in metafunc.fixturenames and metafunc.cls is not None and issubclass(metafunc.cls, Siege):
        metafunc.parametrize("attack", metafunc.cls.attacks, ids=str)


@pytest.fixture(scope="class")
def fallout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fallout:
    """What both commands made of this family."""
    return besieged(request.cls.course(tmp_path_factory.mktemp("siege")), request.cls.attacks)
