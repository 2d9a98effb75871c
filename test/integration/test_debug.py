"""davit debug: a terminal in a job that runs or is held, through the real binaries, a pty and nginx."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import forge
import server
from server import IMAGE
from test_files import fork_payload
from test_nginx import proxied  # noqa: F401  (a fixture)


class Terminal:
    """A command on a pty of its own; waits for what it shows."""

    def __init__(self, davit, *args, rows=31, columns=97):
        self.text = ""
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        env = {**os.environ, "DAVIT_URL": davit.url, "DAVIT_TOKEN": davit.token, "TERM": "xterm"}
        self.process = subprocess.Popen([os.path.join(server.OBJ, "cli/davit"), *args], stdin=slave, stdout=slave,
                                        stderr=slave, env=env, start_new_session=True)
        self.slave = slave  # stays open, so that its settings can be read afterwards

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def _read(self, deadline):
        left = deadline - time.monotonic()
        assert left > 0, f"it shows only: {self.text!r}"
        if select.select([self.master], [], [], min(left, 0.2))[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")

    def expect(self, pattern, timeout=60):
        deadline = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            self._read(deadline)

    def gather(self, end, timeout=120):
        """All that it shows up to some words."""
        deadline = time.monotonic() + timeout
        pieces = [self.text]
        while end not in pieces[-1]:
            self.text = pieces[-1][-len(end):]  # the words may be cut
            pieces[-1] = pieces[-1][:-len(end)]
            self._read(deadline)
            pieces.append(self.text)
        self.text = ""
        return "".join(pieces)

    def wait(self, timeout=60):
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            self._read(deadline)
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is as it was"
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def start_job(davit, repo, script="echo going\nsleep 1000"):
    davit.add_repo(repo)
    lines = "".join(f"  - {line}\n" for line in script.split("\n"))
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nenv:\n  - COLOUR = \"deep blue\"\nscript:\n{lines}"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    with davit.follow(job) as events:
        for event in events:
            if "going" in event["data"]:
                break
    return number, job


def check_terminal(davit, job):
    terminal = Terminal(davit, "debug", job)
    try:
        terminal.type("pwd; echo \"$COLOUR\" $((40 + 2)); stty size; id -u\r")
        terminal.expect(r"\n/workspace\r\n")
        terminal.expect(r"deep blue 42\r\n")
        terminal.expect(r"31 97\r\n")
        terminal.expect(r"\b0\r\n")
        terminal.resize(20, 60)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.type("until [ \"$(stty size)\" = '20 60' ]; do sleep 0.1; done; echo re''sized\r")
        terminal.expect("resized")
        terminal.type("sh -c 'echo slee\"\"ping; exec sleep 1000'\r")
        terminal.expect("sleeping")
        terminal.type("\x03")  # to the process there, not to the one here
        terminal.type("echo af''ter\r")
        terminal.expect("after")
        terminal.type("exit 7\r")
        assert terminal.wait() == 7
    finally:
        terminal.close()


def test_a_terminal_in_a_running_job(davit, repo):
    number, job = start_job(davit, repo)
    check_terminal(davit, job)
    davit.log.wait(rf"debug: admin at 127\.0\.0\.1 opens a terminal in job {job}")
    davit.log.wait(rf"debug: admin at 127\.0\.0\.1 leaves job {job} after \d+ s")
    assert davit.api("GET", f"/builds/{number}")["state"] == "running", "the job does not mind"
    assert "deep blue 42" not in davit.job_log(job).decode()
    davit.stop()


def test_through_nginx(proxied, repo):  # noqa: F811
    _, job = start_job(proxied, repo)
    check_terminal(proxied, job)


def test_much_in_both_directions(davit, repo):
    _, job = start_job(davit, repo)
    terminal = Terminal(davit, "debug", job)
    try:
        terminal.type("yes | tr -d '\\n' | head -c 2000000; echo; echo do''ne\r")
        text = terminal.gather("done\r\n")
        assert text.count("y") >= 2000000
        terminal.type("stty raw -echo; echo go''ing; head -c 200000 | wc -c; stty sane; exit\r")
        terminal.expect("going")
        for _ in range(200):
            terminal.type("y" * 1000)
        terminal.expect("200000")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_the_end_of_the_job_ends_the_terminal(davit, repo):
    number, job = start_job(davit, repo)
    terminal = Terminal(davit, "debug", job)
    try:
        terminal.type("echo he''re\r")
        terminal.expect("here")
        davit.api("POST", f"/builds/{number}/cancel")
        assert terminal.wait() != 0
        assert davit.wait_build(number)["state"] == "cancelled"
    finally:
        terminal.close()


def test_who_leaves_takes_the_shell_along(davit, repo, docker):
    _, job = start_job(davit, repo)
    container = docker("ps", "-q", "--filter", f"label=davit.job={job}", "--filter", "label=davit.role=job") \
        or docker("ps", "-q", "--filter", f"name={job}-1")
    terminal = Terminal(davit, "debug", job)
    try:
        terminal.type("sleep 12345\r")
        deadline = time.monotonic() + 60
        while "sleep 12345" not in docker("top", container):
            assert time.monotonic() < deadline
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 1
        while "sleep 12345" in docker("top", container):
            assert time.monotonic() < deadline
    finally:
        terminal.close()


HANDSHAKE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def test_who_may(davit, repo):
    _, job = start_job(davit, repo)
    path = f"/api/v1/jobs/{job}/debug"
    assert davit.ask("GET", path, headers=HANDSHAKE, token=False).status == 401
    assert davit.ask("GET", path, headers=HANDSHAKE, token="x" * 32).status == 401
    login = davit.ask("POST", "/login", body=json.dumps({"token": davit.token}).encode(), token=False,
                      headers={"Content-Type": "application/json"})
    cookie = login.headers["Set-Cookie"].split(";")[0]
    foreign = davit.ask("GET", path, token=False,
                        headers={**HANDSHAKE, "Cookie": cookie, "Origin": "https://evil.example"})
    assert foreign.status == 403, foreign
    assert davit.ask("GET", path, token=False, headers={**HANDSHAKE, "Cookie": cookie}).status == 403
    own = {**HANDSHAKE, "Cookie": cookie, "Origin": davit.url}
    assert raw_handshake(davit, path, own).startswith(b"HTTP/1.1 101 ")
    assert davit.ask("GET", path).status == 426
    assert davit.ask("GET", "/api/v1/jobs/99.1/debug", headers=HANDSHAKE).status == 404
    assert davit.ask("POST", "/api/v1/jobs/99.1/release").status == 404


def raw_handshake(davit, path, headers):
    with socket.create_connection(("127.0.0.1", davit.port), timeout=60) as s:
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{davit.port}", *(f"{k}: {v}" for k, v in headers.items())]
        s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return s.recv(65536)


def test_only_so_many(davit, repo):
    _, job = start_job(davit, repo)
    terminals = []
    try:
        for _ in range(8):
            terminal = Terminal(davit, "debug", job)
            terminals.append(terminal)
            terminal.type("echo op''en\r")
            terminal.expect("open")
        refused = Terminal(davit, "debug", job)
        terminals.append(refused)
        assert refused.wait() == 1
        assert "there are 8 terminals open already" in refused.text
    finally:
        for terminal in terminals:
            terminal.close()


def hold_job(davit, repo, docker):
    docker("tag", IMAGE, "davit-test/other:latest")
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"""\
image: {IMAGE}
hold_on_failure: 30m
steps:
  - name: first
    script: [echo kept > file]
  - name: other
    image: davit-test/other:latest
    script: [cat file, exit 3]
  - never here
"""})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    assert davit.wait_build(number)["state"] == "failed"
    reason = davit.api("GET", f"/jobs/{number}.1")["reason"]
    assert re.fullmatch(r"exit code 3 in other; held for debugging until \d\d:\d\d UTC", reason), reason
    return number, f"{number}.1"


def test_a_held_job(make_davit, repo, docker):
    davit = make_davit(engines=[{"url": server.ENGINE, "slots": 1}])
    number, job = hold_job(davit, repo, docker)
    terminal = Terminal(davit, "debug", job)
    try:
        terminal.type("cat file; exit\r")
        terminal.expect("kept\r\n")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert davit.cli("debug", "--release", job).returncode == 0
    davit.log.wait(rf"releases job {job}")
    davit.api("POST", f"/builds/{number}/rerun")
    last = davit.wait_build(number + 1)  # the slot is free again
    assert last["state"] == "failed"
    assert davit.api("GET", "/engines")["engines"][0]["busy"] == 1, "it is held, too"
    assert davit.cli("cancel", str(number + 1)).returncode == 0
    assert davit.cli("cancel", str(number)).returncode == 1, "nothing of it is left"
    davit.api("POST", f"/builds/{number}/rerun")
    assert davit.wait_build(number + 2)["state"] == "failed"
    davit.stop()


def test_nothing_of_a_fork_is_held(davit, repo):
    davit.add_repo(repo, forks="allow")
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nhold_on_failure: 30m\nscript: [exit 3]\n"})
    number = forge.deliver(davit, fork_payload(commit, 7, repo.url), event="pull_request").json["build"]
    assert davit.wait_build(number)["state"] == "failed"
    assert davit.api("GET", f"/jobs/{number}.1")["reason"] == "exit code 3 in script"
    assert davit.ask("POST", f"/api/v1/jobs/{number}.1/release").status == 404


def test_nothing_is_left_of_a_held_job_after_a_kill(make_davit, repo, docker):
    davit = make_davit(engines=[{"url": server.ENGINE, "slots": 1}])
    _, job = hold_job(davit, repo, docker)
    node = re.search(r'"node": "(\w+)"', open(os.path.join(davit.folder, "davit.yml")).read()).group(1)
    label = f"label=davit.node={node}"
    terminal = Terminal(davit, "debug", job)
    try:
        terminal.type("echo he''re\r")
        terminal.expect("here")
        assert docker("ps", "-q", "--filter", label)
        davit.kill()
        assert terminal.wait() == 1
    finally:
        terminal.close()
    before = set(docker("ps", "-aq", "--filter", label).split())
    assert before
    davit.start()
    davit.log.wait("engine .* is up")
    assert not before & set(docker("ps", "-aq", "--filter", label).split())
    assert docker("volume", "ls", "-q", "--filter", label) == ""
    assert davit.ask("POST", f"/api/v1/jobs/{job}/release").status == 404
    davit.stop()
