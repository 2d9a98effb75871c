"""A short round of the torture (test/torture/run has long ones), with an engine of its own, since that is killed, too."""

import pytest

from engine import Engine
from torture import Torture


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path / "engine")
    yield made
    made.stop()


def test_torture(tmp_path, engine):
    wrong = Torture(tmp_path / "torture", 1, {"davitd": 4, "redis": 1, "engine": 1, "power": 1, "memory": 1}, engine).run()
    assert not wrong, "\n".join(map(str, wrong))
