"""A short round of the torture (test/torture/run has long ones), with an engine of its own, since that is killed, too."""

import pytest

from engine import Engine
from torture import Torture

# A dockerd that starts takes the chains of iptables away from others for a moment, so that the sweep of crash points is not
# run beside this. There davitd dies everywhere: here it is mostly the others.
pytestmark = pytest.mark.xdist_group("crash points")


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path / "engine")
    yield made
    made.stop()


def test_torture(tmp_path, engine):
    wrong = Torture(tmp_path / "torture", 1, {"davitd": 2, "redis": 1, "engine": 1, "power": 1, "memory": 1}, engine).run()
    assert not wrong, "\n".join(map(str, wrong))
