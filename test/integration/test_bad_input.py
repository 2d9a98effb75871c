"""Bad input gets a clear error where the user looks, nothing is lost, and the server serves on."""

import os
import signal
import socket
import subprocess
import threading

import pytest

import forge
import server
from server import IMAGE

PASSING = f"image: {IMAGE}\nscript:\n  - echo fine\n"


def build_of(davit, repo, files, **more):
    commit = repo.push(files)
    answer = forge.deliver(davit, forge.push_payload(commit, **more))
    assert answer.status == 202, answer
    return davit.wait_build(answer.json["build"])


def reason(build):
    return " ".join([build["reason"]] + [job["reason"] for job in build["jobs"]])


@pytest.mark.parametrize("files,state,words", [
    ({"README": "x"}, "failed", ["daocloud.yml"]),
    ({"daocloud.yml": "image: busybox\nscript:\n\t- tab\n"}, "failed", ["daocloud.yml:3:1"]),
    ({"daocloud.yml": "image: busybox\nscrpt: [make]\n"}, "failed", ["daocloud.yml:2:1", "script"]),
    ({"daocloud.yml": "image: [\n"}, "failed", ["daocloud.yml:"]),
    ({"daocloud.yml": "image: no-such-image-here:1\nscript: [make]\n"}, "error", ["no-such-image-here:1"]),
    ({"daocloud.yml": "image: 'UPPER CASE'\nscript: [make]\n"}, "failed", ["UPPER CASE"]),
])
def test_a_bad_pipeline_says_where_and_what(davit, repo, files, state, words):
    davit.add_repo(repo)
    build = build_of(davit, repo, files)
    text = reason(build)
    assert build["state"] == state, text
    assert all(word in text for word in words), text
    assert build_of(davit, repo, {"daocloud.yml": PASSING})["state"] == "passed", "the server serves on"


def test_a_commit_that_is_not_there(davit, repo):
    davit.add_repo(repo)
    repo.push({"daocloud.yml": PASSING})
    answer = forge.deliver(davit, forge.push_payload("1" * 40))
    build = davit.wait_build(answer.json["build"])
    assert build["state"] == "error"
    assert "1111111" in build["reason"]


@pytest.mark.parametrize("ref", ["refs/heads/-x", "refs/heads/--upload-pack=touch${IFS}x", "refs/heads/a b", "refs/heads/..",
                                 "refs/heads/x\u0000y", "HEAD", "refs/heads/x\ny"])
def test_hostile_refs_are_refused(davit, repo, ref):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PASSING})
    answer = forge.deliver(davit, forge.push_payload(commit, ref=ref))
    assert answer.status == 422, answer
    assert answer.json["error"]["message"]


@pytest.mark.parametrize("ref", ["refs/heads/$(id)", "refs/heads/`id`", "refs/heads/a;id", "refs/heads/a|b", "refs/heads/<b>"])
def test_odd_but_legal_refs_build(davit, repo, ref):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PASSING}, ref=ref)
    answer = forge.deliver(davit, forge.push_payload(commit, ref=ref))
    assert davit.wait_build(answer.json["build"])["state"] == "passed"


def test_hook_refusals(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PASSING})
    payload = forge.push_payload(commit)
    before = davit.redis("DBSIZE")
    assert forge.deliver(davit, payload, secret="wrong").status == 401
    assert davit.ask("POST", "/hook/app", b"{}", {"X-GitHub-Event": "push"}, token=False).status == 401
    assert forge.deliver(davit, payload, repo="unknown").status == 404
    assert forge.deliver(davit, b"{not json").status == 422
    assert davit.redis("DBSIZE") == before, "a refused hook leaves no trace"
    assert davit.ask("POST", "/hook/app", b"x", {"Content-Length": str(30 << 20)}, token=False).status == 413
    first = forge.deliver(davit, payload, delivery="d-1")
    again = forge.deliver(davit, payload, delivery="d-1")
    replay = forge.deliver(davit, payload, delivery="d-2")
    other = forge.deliver(davit, forge.push_payload(commit, message="other"), delivery="d-1")
    assert (first.status, again.status, replay.status, other.status) == (202, 200, 200, 409)
    assert first.json["build"] == again.json["build"] == replay.json["build"]
    assert forge.deliver(davit, {"zen": "Keep it simple."}, event="ping").status == 200


def test_hundred_deliveries_at_once_are_one_build(davit, repo):
    davit.add_repo(repo)
    payload = forge.push_payload(repo.push({"daocloud.yml": PASSING}))
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(forge.deliver(davit, payload, delivery="same"))) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({a.json["build"] for a in answers}) == 1
    assert sorted({a.status for a in answers}) == [200, 202]
    assert [a.status for a in answers].count(202) == 1


def test_frozen_redis_is_503_and_nothing_is_lost(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PASSING})
    pid = davit.redis_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = forge.deliver(davit, forge.push_payload(commit), delivery="d-9")
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert davit.ask("GET", "/healthz", token=False).status == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    again = forge.deliver(davit, forge.push_payload(commit), delivery="d-9")
    assert again.status in (200, 202)
    assert davit.wait_build(again.json["build"])["state"] == "passed"


def test_killed_redis_comes_back(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PASSING})
    since = len(davit.log.lines)
    os.kill(davit.redis_pid(), signal.SIGKILL)
    davit.log.wait(r"Redis is connected$", since=since)
    answer = forge.deliver(davit, forge.push_payload(commit))
    assert answer.status == 202
    assert davit.wait_build(answer.json["build"])["state"] == "passed"


def test_killed_davitd_keeps_redis_and_finishes_its_builds(davit, repo, docker):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo started\n  - sleep 3\n  - echo done\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"running"})
    redis = davit.redis_pid()
    davit.kill()
    assert davit.redis_pid() == redis, "the private Redis outlives davitd"
    davit.start()
    assert davit.redis_pid() == redis
    build = davit.wait_build(number)
    assert build["state"] == "passed", build
    assert "done" in davit.job_log(f"{number}.1").decode()
    davit.stop()
    assert davit.redis_pid() is None, "SIGINT ends it"


def test_dead_engine_keeps_the_queue(make_davit, repo, tmp_path):
    davit = make_davit(engines=[{"url": f"unix://{tmp_path}/nobody.sock", "slots": 2}])
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PASSING})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"queued"})
    health = davit.ask("GET", "/healthz", token=False)
    assert health.status == 503 and b"engine" in health.body
    assert f"{number}.1" in davit.redis("ZRANGE", "davit:queue", "0", "-1")
    # The engine comes: its socket is forwarded from there on, and the job runs without anybody's doing.
    relay = Relay(f"{tmp_path}/nobody.sock", server.ENGINE.removeprefix("unix://"))
    try:
        assert davit.wait_build(number)["state"] == "passed"
    finally:
        davit.stop()
        relay.close()


class Relay:
    """Forwards a unix socket to another one, byte by byte as they come."""

    def __init__(self, path, target):
        self.target = target
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            there.connect(self.target)
            for source, sink in ((client, there), (there, client)):
                threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def test_raw_http_is_refused_and_the_server_lives(davit):
    davit.log.wait("engine engine1 is up")  # until then its health is 503
    cases = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    for case in cases:
        with socket.create_connection(("127.0.0.1", davit.port), timeout=20) as peer:
            peer.sendall(case)
            answer = b""
            while data := peer.recv(65536):
                answer += data
            assert answer.split(b" ")[1] in (b"400", b"413", b"414", b"431", b"501", b"505"), (case[:60], answer[:100])
    assert davit.ask("GET", "/healthz", token=False).status == 200
    davit.stop()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MiB for the state folder."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "davit-test", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk_ends_the_job_and_refuses_hooks_until_there_is_room(tmp_path, small_disk, repo):
    davit = server.Davit(tmp_path / "davit")
    davit.state = str(small_disk)
    try:
        davit.start()
        davit.add_repo(repo)
        flood = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - head -c 40000000 /dev/zero | tr '\\\\0' x\n"})
        build = davit.wait_build(forge.deliver(davit, forge.push_payload(flood)).json["build"])
        assert build["state"] == "error" and "No space left" in reason(build)
        davit.log.wait("is full: pushes are refused")
        health = davit.ask("GET", "/healthz")
        assert health.status == 503 and health.json["disk_full"]
        commit = repo.push({"daocloud.yml": PASSING})
        answers = [forge.deliver(davit, forge.push_payload(commit, message=f"push {i}")) for i in range(20)]
        assert {a.status for a in answers} == {503}
        since = len(davit.log.lines)
        subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
        davit.log.wait("has room again", since=since)
        for i in range(20):  # the forge delivers again what was refused
            answer = forge.deliver(davit, forge.push_payload(commit, message=f"push {i}"))
            assert answer.status == 202 and davit.wait_build(answer.json["build"])["state"] == "passed"
        davit.stop()
    finally:
        davit.end()


def test_a_job_that_another_node_put_back_is_given_up_and_run_again(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo started\n  - sleep 3\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"running"})
    # What a node that took ours for dead does; our daemon has not been told yet.
    davit.redis("EVAL", f"""
        redis.call('HSET', 'davit:job:{number}.1', 'state', 'queued', 'token', '')
        redis.call('ZREM', 'davit:running', '{number}.1')
        redis.call('HINCRBY', 'davit:repo:app', 'running', -1)
        redis.call('ZADD', 'davit:queue', 1, '{number}.1')
        redis.call('PUBLISH', 'davit:wake', 'queue')""", "0")
    build = davit.wait_build(number)
    assert build["state"] == "passed", build
    assert build["jobs"][0]["attempt"] >= 2
    davit.stop()


HOSTILE_FILES = [
    "[" * 100_000,
    "{a: " * 60_000,
    "? " * 100_000,
    "a: &a [x]\n" + "".join(f"b{i}: *a\n" for i in range(2000)),
    "jobs:\n" + "".join(f"  k{i}: {{script: [x]}}\n" for i in range(6000)),
    "image: x\nscript:\n" + "  - 'x\n" * 20_000,
    "image: x\nscript: [" + ",".join(["x"] * 95_000) + "]\n",
    "image: x\nscript: " + "[" * 58 + ",".join(["[x]"] * 32_000) + "]" * 58 + "\n",
]
HOSTILE_BODIES = [
    b"[" * 1_000_000,
    b'{"a":' * 200_000,
    b"[" + b"0," * 900_000 + b"0]",
    b'{"ref":"' + b"\\u0041" * 300_000 + b'"}',
    b'{"' + b'","'.join(b"k%d" % i for i in range(100_000)) + b'":1}',
]


def figures(davit):
    text = davit.ask("GET", "/metrics").body.decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_who_holds_the_loop_is_measured(davit, repo):
    """Each callback is counted, the longest has a gauge, and what is over the bound is in the log by name."""
    davit.add_repo(repo)
    before = float(figures(davit)["davit_loop_callback_seconds_count"])
    for body in HOSTILE_BODIES:
        assert forge.deliver(davit, body).status == 422
    for text in HOSTILE_FILES:
        built = build_of(davit, repo, {"daocloud.yml": text})
        assert built["state"] == "failed" and built["jobs"] == [], built["reason"]
    after = figures(davit)
    count, longest = float(after["davit_loop_callback_seconds_count"]), float(after["davit_loop_longest_callback_seconds"])
    assert count - before > len(HOSTILE_FILES) + len(HOSTILE_BODIES)
    assert after['davit_loop_callback_seconds_bucket{le="+Inf"}'] == after["davit_loop_callback_seconds_count"]
    assert 0 < longest <= float(after["davit_loop_callback_seconds_sum"])
    print(f"the longest callback took {1000 * longest:.1f} ms")
    named = [line for line in davit.log.lines if "the loop was held for " in line]
    assert bool(named) == (longest > 0.020), named
