"""davitd as systemd starts it: sockets that are there already, and the words that a service of Type=notify says."""

import os
import socket

import pytest

import server


@pytest.fixture
def supervisor(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


@pytest.fixture
def made(tmp_path):
    """Not started yet."""
    davits = []

    def make(**options):
        folder = tmp_path / f"davit{len(davits)}"
        folder.mkdir()
        davits.append(server.Davit(folder, **options))
        return davits[-1]

    yield make
    for davit in davits:
        davit.end()


def activate(davit, listener):
    """What systemd does between fork and exec."""
    davit.under = ["bash", "-c", f'LISTEN_PID=$$ LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@" 3<&{listener.fileno()}',
                   "bash"]
    davit.pass_fds = (listener.fileno(),)


def test_words(made, supervisor):
    davit = made()
    davit.environment = {"NOTIFY_SOCKET": supervisor.getsockname()}
    davit.start()
    assert supervisor.recv(100) == b"READY=1"
    assert davit.api("GET", "/repos") is not None
    davit.stop()
    assert supervisor.recv(100) == b"STOPPING=1"


def test_activated_socket(made):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        davit = made(listen=[f"127.0.0.1:{port}"])
        activate(davit, listener)
        early = socket.create_connection(("127.0.0.1", port), timeout=30)  # before davitd is
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        davit.start()
    assert davit.port == port
    with early, early.makefile("rb") as answer:
        assert answer.readline().startswith(b"HTTP/1.1 ")
    assert davit.api("GET", "/repos") is not None
    davit.stop()


def test_activated_unix_socket_stays(made, tmp_path):
    path = str(tmp_path / "davit.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        davit = made(listen=[f"unix:{path}", "127.0.0.1:0"])
        activate(davit, listener)
        davit.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(path)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(9) == b"HTTP/1.1 "
        davit.stop()
    assert os.path.exists(path), "it is systemd's, who listens on"


def test_words_of_a_reload(made, supervisor):
    davit = made()
    davit.environment = {"NOTIFY_SOCKET": supervisor.getsockname()}
    davit.start()
    assert supervisor.recv(100) == b"READY=1"
    davit.reload()
    assert supervisor.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert supervisor.recv(100) == f"MAINPID={davit.process.pid}".encode()
    assert supervisor.recv(100) == b"READY=1"
    davit.stop()
    assert supervisor.recv(100) == b"STOPPING=1"


def test_activated_sockets_are_handed_on(made, tmp_path):
    path = str(tmp_path / "davit.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        davit = made(listen=[f"unix:{path}", "127.0.0.1:0"])
        activate(davit, listener)
        davit.start()
    inode = os.stat(path).st_ino
    for _ in range(2):
        davit.reload()
    assert os.stat(path).st_ino == inode
    davit.stop()
    assert os.path.exists(path)
