"""A short round of the torture (test/torture/run has long ones), with an engine of its own, since that is killed, too."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "torture"))
from engine import Engine  # noqa: E402
from torture import Torture  # noqa: E402


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path / "engine")
    yield made
    made.stop()


def test_torture(tmp_path, engine):
    wrong = Torture(tmp_path / "torture", 1, {"davitd": 4, "redis": 1, "engine": 1, "power": 1, "memory": 1}, engine).run()
    assert not wrong, "\n".join(map(str, wrong))
