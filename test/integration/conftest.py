import os
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "torture"))
import engine
import forge as forges
import origin as origins
import server


@pytest.fixture(scope="session", autouse=True)
def parts():
    assert server.ENGINE, "DAVIT_TEST_DOCKER is not set: scripts/engine start DIR gives an engine"
    wanted = [server.IMAGE, "davit-test/service:latest", "davit-test/healthy:latest"]
    if subprocess.run(["/usr/bin/docker", "-H", server.ENGINE, "image", "inspect", *wanted], capture_output=True).returncode == 0:
        return
    top = os.path.join(os.path.dirname(__file__), "..", "..")
    subprocess.run([f"{top}/scripts/engine", "image", server.ENGINE, server.IMAGE], check=True)
    subprocess.run([f"{top}/test/component/builder_images.sh", server.ENGINE], check=True)


def pytest_collection_modifyitems(items):
    """What stays together and takes longest comes first, so that processes end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture
def make_davit(tmp_path):
    """davitd with these options; several may run. On one Redis they need one seal key: that of another's."""
    made = []

    def make(seal_key_of=None, **options):
        folder = tmp_path / f"davit{len(made)}"
        folder.mkdir()
        davit = server.Davit(folder, **options)
        made.append(davit)
        if seal_key_of:
            shutil.copy(os.path.join(seal_key_of.state, "seal-key"), davit.state)
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
def origin():
    made = origins.Origin()
    yield made
    made.stop()


@pytest.fixture
def docker():
    """The engine, asked by its own client."""

    def run(*args, check=True):
        done = subprocess.run(["/usr/bin/docker", "-H", server.ENGINE, *args], capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def own_engine():
    """A dockerd that a test may kill."""
    folder = tempfile.mkdtemp(prefix="dv")  # a short name: there are sockets in it
    made = engine.Engine(folder, "--live-restore")
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def external(tmp_path):
    """A redis-server of the administrator's; more: its options."""
    started = []

    def start(**options):
        folder = tmp_path / "external"
        folder.mkdir(exist_ok=True)
        socket = folder / "r.sock"
        values = {"dir": folder, "unixsocket": socket, "port": 0, "save": '""', "appendonly": "yes", "appendfsync": "always",
                  **options}
        conf = folder / "r.conf"
        conf.write_text("".join(f"{name} {value}\n" for name, value in values.items()))
        process = subprocess.Popen(["redis-server", str(conf)], stdout=subprocess.PIPE)
        server.Lines(process.stdout, folder / "log").wait("ready to accept|Ready to accept")
        started.append(process)
        return socket

    yield start
    for process in started:
        process.terminate()
        process.wait()


DEBIAN = "davit-test/debian-tools:latest"
PACKAGES = "gcc,libc6-dev,make,automake,libtool,git,postgresql,redis-server"


@pytest.fixture(scope="session")
def debian_image():
    """A Debian with a compiler and two servers, made by mmdebstrap and imported. Takes a minute, so what uses it is of the
    group "debian", which one process runs."""
    docker = ["/usr/bin/docker", "-H", server.ENGINE]
    if subprocess.run([*docker, "image", "inspect", DEBIAN], capture_output=True).returncode != 0:
        make = subprocess.Popen(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", "-"],
                                stdout=subprocess.PIPE)
        subprocess.run([*docker, "import", "-", DEBIAN], stdin=make.stdout, check=True, capture_output=True)
        assert make.wait() == 0
    return DEBIAN
