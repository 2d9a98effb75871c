"""Clients that take all descriptors: the daemon does not spin, its log stays short, jobs go on, and it serves again."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import time

import pytest

import forge
import server
from server import IMAGE

PASSING = f"image: {IMAGE}\nscript:\n  - echo fine\n"


@pytest.fixture
def flood():
    """Opens so many connections that send nothing; they stay until the test's end or flood.end()."""
    with contextlib.ExitStack() as stack:

        def connect(port, count):
            for _ in range(count):
                peer = stack.enter_context(socket.socket())
                peer.setblocking(False)
                peer.connect_ex(("127.0.0.1", port))

        connect.end = stack.close
        yield connect


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_share(pid, seconds):
    """Of one processor, while the process has this time to show what it does."""
    begin, cpu = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - cpu) / (time.monotonic() - begin)


def ports(davit):
    return re.findall(r"listening on 127\.0\.0\.1:(\d+)", "\n".join(davit.log.lines))


def descriptors(davit):
    return len(os.listdir(f"/proc/{davit.process.pid}/fd"))


def complaints(davit, since):
    return sum("accepting rests" in line for line in davit.log.lines[since:])


def most_complaints(begin):
    """Of one listener: one in ten seconds."""
    return (time.monotonic() - begin) // 10 + 2


def push(davit, repo, files, via=None):
    body = json.dumps(forge.push_payload(repo.push(files))).encode()
    headers = {"Content-Type": "application/json", **forge.hook_headers("github", body)}
    if via is None:
        answer = davit.ask("POST", "/hook/app", body, headers, token=False)
        assert answer.status == 202, answer
        return answer.json["build"]
    via.request("POST", "/hook/app", body, headers)
    reply = via.getresponse()
    assert reply.status == 202, reply.read()
    return json.loads(reply.read())["build"]


def test_more_clients_than_there_is_room_for(tmp_path, repo, flood):
    davit = server.Davit(tmp_path / "davit", listen=["127.0.0.1:0", "127.0.0.1:0"])
    davit.under = ["prlimit", "--nofile=256", "--"]  # which both listeners share
    try:
        davit.start()
        davit.add_repo(repo)
        kept = http.client.HTTPConnection("127.0.0.1", davit.port, timeout=60)  # a forge's, from before
        kept.connect()
        since, begin = len(davit.log.lines), time.monotonic()
        for port in ports(davit):
            flood(int(port), 200)
            davit.log.wait(rf"listener .*:{port}: accepting rests at", since=since)
        # What jobs need was kept aside: a push that comes by the old connection runs to its end.
        number = push(davit, repo, {"daocloud.yml": PASSING}, via=kept)
        davit.log.wait(rf"job {number}\.1: passed", since=since)
        assert descriptors(davit) < 256
        assert cpu_share(davit.process.pid, 2) < 0.5
        assert complaints(davit, since) <= 2 * most_complaints(begin)
        kept.close()
        flood.end()
        number = push(davit, repo, {"daocloud.yml": PASSING, "second": "x"})
        assert davit.wait_build(number)["state"] == "passed"
        davit.stop()
    finally:
        davit.end()


def test_no_descriptor_is_left_at_all(davit, repo, flood):
    davit.add_repo(repo)
    pid = davit.process.pid
    davit.wait_build(push(davit, repo, {"daocloud.yml": PASSING}))
    since, begin = len(davit.log.lines), time.monotonic()
    limits = subprocess.run(["prlimit", "--pid", str(pid), "--nofile", "--noheadings", "--output", "SOFT,HARD"],
                            capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={descriptors(davit) + 4}:{limits[1]}"], check=True)
    flood(davit.port, 100)
    davit.log.wait("accepting rests at .*Too many open files", since=since)
    assert cpu_share(pid, 3) < 0.5
    assert complaints(davit, since) <= most_complaints(begin)
    assert len(davit.log.lines) - since < 300, "the log is no place to store what clients do"
    flood.end()
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={limits[0]}:{limits[1]}"], check=True)
    number = push(davit, repo, {"daocloud.yml": PASSING, "second": "x"})
    assert davit.wait_build(number)["state"] == "passed"
    davit.stop()
