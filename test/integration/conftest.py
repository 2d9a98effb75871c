import subprocess

import pytest

import forge as forges
import server


@pytest.fixture(scope="session", autouse=True)
def parts():
    assert server.ENGINE, "DAVIT_TEST_DOCKER is not set: scripts/engine start DIR gives an engine"


@pytest.fixture
def make_davit(tmp_path):
    """davitd with these options; several may run."""
    made = []

    def make(**options):
        folder = tmp_path / f"davit{len(made)}"
        folder.mkdir()
        davit = server.Davit(folder, **options)
        made.append(davit)
        return davit.start()

    yield make
    for davit in made:
        davit.end()


@pytest.fixture
def davit(make_davit):
    return make_davit()


@pytest.fixture
def repo(tmp_path):
    return forges.Repo(str(tmp_path))


@pytest.fixture
def receiver():
    made = forges.Receiver()
    yield made
    made.close()


@pytest.fixture
def docker():
    """The engine, asked by its own client."""

    def run(*args, check=True):
        done = subprocess.run(["/usr/bin/docker", "-H", server.ENGINE, *args], capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
