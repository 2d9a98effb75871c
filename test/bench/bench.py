"""Figures side by side with the peers, in one run, as ratios (reference points: ../../doc/bench.md)."""

import concurrent.futures
import hashlib
import hmac
import http.client
import json
import os
import resource
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../integration"))

import forge
import pushes
import server
from bench_mirror import bench_mirror
from race import bench_race

IMAGE = server.IMAGE
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
DOCKER = ["/usr/bin/docker", "-H", server.ENGINE]
SECRET = b"s3cret"


class Bench:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="davit-bench-")
        self.count = 0
        self.started = []

    def davit(self, **options):
        self.count += 1
        folder = os.path.join(self.folder, f"davit{self.count}")
        self.started.append(server.Davit(folder, log_level="info", **options))
        return self.started[-1].start()

    def repo(self):
        folder = os.path.join(self.folder, f"repo{self.count}")
        os.makedirs(folder, exist_ok=True)
        return forge.Repo(folder)

    def close(self):
        for davit in self.started:
            davit.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def median(values):
    return statistics.median(values)


def row(name, davit, peer, unit, better):
    ratio = davit / peer if better == "more" else peer / davit
    print(f"{name:52s} davit {davit:10.1f}  peer {peer:10.1f} {unit:10s} ratio {ratio:6.2f}")


def times(name, davit, peer):
    """Milliseconds of many rounds: the medians as a row, and the least of both, which other work disturbs least."""
    row(name, median(davit), median(peer), "ms", "less")
    print(f"{'':52s} least {min(davit):10.1f}       {min(peer):10.1f} ms         ratio {min(peer) / min(davit):6.2f}")


# --- webhooks accepted per second ---

def write_bodies(path, commit, count):
    with open(path, "w") as file:
        for i in range(count):
            payload = forge.push_payload(commit, message=f"push {i}")
            payload["filler"] = ""
            payload["filler"] = "x" * (4096 - len(json.dumps(payload)))
            body = json.dumps(payload).encode()
            digest = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            file.write(f"{digest} delivery-{i} {body.decode()}\n")


def wrk(url, bodies, kind, seconds):
    env = {**os.environ, "BENCH_BODIES": bodies, "BENCH_KIND": kind}
    script = os.path.join(os.path.dirname(__file__), "hooks.lua")
    done = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script, url], capture_output=True, text=True, env=env)
    line = next((l for l in done.stdout.splitlines() if l.startswith("RESULT")), None)
    assert line, done.stdout + done.stderr
    duration, requests, ok, new, other, p50, p99, errors = map(int, line.split()[1:])
    return {"rate": requests / (duration / 1e6), "ok": ok, "new": new, "other": other, "p50": p50 / 1000, "p99": p99 / 1000,
            "errors": errors, "requests": requests}


def bench_hooks(bench):
    seconds = 5
    bodies = os.path.join(bench.folder, "bodies")
    repo = bench.repo()
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript: ['true']\n"})
    write_bodies(bodies, commit, 60000)
    # Nothing takes the jobs: what is measured is accepting, as with the peer.
    davit = bench.davit(engines=[{"url": f"unix://{bench.folder}/none.sock", "slots": 1}])
    davit.add_repo(repo)
    port = forge.free_port()
    hooks = os.path.join(bench.folder, "hooks.json")
    with open(hooks, "w") as file:
        json.dump([{"id": "app", "execute-command": "/bin/true", "trigger-rule": {"and": [
            {"match": {"type": "payload-hmac-sha256", "secret": SECRET.decode(),
                       "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}},
            {"match": {"type": "value", "value": "never", "parameter": {"source": "payload", "name": "ref"}}}]},
            "trigger-rule-mismatch-http-response-code": 200}], file)
    peer = subprocess.Popen(["webhook", "-hooks", hooks, "-ip", "127.0.0.1", "-port", str(port)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ours = wrk(f"{davit.url}/hook/app", bodies, "davit", seconds)
        theirs = wrk(f"http://127.0.0.1:{port}/hooks/app", bodies, "webhook", seconds)
        row("webhooks accepted per second (4 KB, 32 connections)", ours["rate"], theirs["rate"], "1/s", "more")
        row("webhook latency, median", ours["p50"], theirs["p50"], "ms", "less")
        row("webhook latency, 99th percentile", ours["p99"], theirs["p99"], "ms", "less")
        builds = int(davit.redis("ZCARD", "davit:builds"))
        print(f"  davit: {ours['new']} new (202), {ours['ok']} seen before (200), {ours['other']} refused; "
              f"{builds} builds in Redis; socket errors {ours['errors']}")
        assert ours["other"] == 0 and builds >= ours["new"], "every 202 is a build on disk"
    finally:
        peer.terminate()
        peer.wait()
        davit.end()


# --- webhook to first log byte and to final state ---

def docker_run():
    start = time.monotonic()
    run = subprocess.Popen([*DOCKER, "run", "--rm", IMAGE, "sh", "-c", "echo hi"], stdout=subprocess.PIPE)
    run.stdout.read(1)
    first = time.monotonic()
    run.wait()
    return (first - start) * 1000, (time.monotonic() - start) * 1000


class Follower(threading.Thread):
    """Notes when the first byte of a job's own output and the final state are seen by a client of the API."""

    def __init__(self, davit, number):
        super().__init__()
        self.davit, self.number = davit, number
        self.first = self.last = None

    def run(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                events = self.davit.follow(f"{self.number}.1")
                break
            except AssertionError:
                continue
        for event in events:
            if event["event"] == "log" and "hi-there" in event["data"] and self.first is None:
                self.first = time.monotonic()
            if event["event"] == "end":
                self.last = time.monotonic()
                break
        events.close()


def first_stored(davit, number):
    """When the first byte of the job's standard output was stored, in ms since 1970: doc/log-format.md. The index has
    whole milliseconds, so half of one is added."""
    with open(os.path.join(davit.state, "log", str(number), "1.1.idx"), "rb") as index:
        while record := index.read(128):
            if struct.unpack_from("<I", record, 40)[0] == 1:
                return struct.unpack_from("<Q", record, 24)[0] + 0.5
    raise AssertionError("the job wrote nothing")


def trigger(davit, commit, i):
    wall = time.time() * 1000
    start = time.monotonic()
    answer = forge.deliver(davit, forge.push_payload(commit, message=f"run {i} {start}"))
    assert answer.status == 202, answer
    follower = Follower(davit, answer.json["build"])
    follower.start()
    follower.join(60)
    stored = first_stored(davit, answer.json["build"]) - wall
    return (follower.first - start) * 1000, (follower.last - start) * 1000, stored


class Engine:
    """Bare calls over the engine's socket."""

    def __init__(self):
        self.path = server.ENGINE.removeprefix("unix://")

    def connect(self):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(self.path)
        return peer

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("engine")
        connection.sock = self.connect()
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        assert reply.status < 400, text
        return json.loads(text) if text and text[:1] in b"{[" else None

    def attach(self, container):
        peer = self.connect()
        peer.sendall(f"POST /containers/{container}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: engine\r\n"
                     "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(1)
        assert b" 101 " in head, head
        return peer

    def run(self, network):
        made = self.call("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["sh", "-c", "echo hi"], "HostConfig": {"NetworkMode": network}})
        self.call("POST", f"/containers/{made['Id']}/start")
        self.call("POST", f"/containers/{made['Id']}/wait")
        self.call("DELETE", f"/containers/{made['Id']}?force=1&v=1")

    def first_byte(self, host_config):
        """Milliseconds from nothing to the first byte of a container made as Davit makes it."""
        start = time.monotonic()
        made = self.call("POST", "/containers/create", {
            "Image": IMAGE, "Entrypoint": ["/bin/sh", "-c", "echo hi"], "User": "0:0", "WorkingDir": "/", "HostConfig": host_config})
        peer = self.attach(made["Id"])
        self.call("POST", f"/containers/{made['Id']}/start")
        assert peer.recv(9), "the container wrote nothing"
        first = (time.monotonic() - start) * 1000
        peer.close()
        self.call("POST", f"/containers/{made['Id']}/wait")
        self.call("DELETE", f"/containers/{made['Id']}?force=1&v=1")
        return first


def host_config_of_a_job(engine, davit, repo):
    """All that Davit asks for a job's container; its network is a holder's, which lives on with the daemon."""
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo begin; exec sleep 60\n"})
    number = forge.deliver(davit, forge.push_payload(commit, message="a look")).json["build"]
    davit.wait_build(number, {"running"})
    with davit.follow(f"{number}.1") as events:
        for event in events:
            if "begin" in event["data"]:
                break
    name = next(n for c in engine.call("GET", "/containers/json") for n in c["Names"] if n.endswith(f"-{number}.1-1"))
    config = engine.call("GET", f"/containers{name}/json")["HostConfig"]
    davit.api("POST", f"/builds/{number}/cancel")
    davit.wait_build(number)
    return config


def bench_latency(bench):
    engine = Engine()
    for name, warm in (("warm", 1), ("cold", 0)):
        davit = bench.davit(builder={"warm_images": warm, "warm_per_image": 2})
        repo = bench.repo()
        davit.add_repo(repo)
        host_config = host_config_of_a_job(engine, davit, repo) if name == "cold" else None
        commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo hi-there\n"})
        for i in range(3):
            trigger(davit, commit, -i)
        ours, theirs, bare, fresh = [], [], [], []
        measured = [(ours, lambda i: trigger(davit, commit, i)), (theirs, lambda i: docker_run()),
                    (fresh, lambda i: trigger(davit, repo.push({"n": str(i)}), i))]
        if host_config:
            measured.append((bare, lambda i: engine.first_byte(host_config)))
        for i in range(ROUNDS):
            for took, measure in measured:
                time.sleep(1)  # what the one before it left to the engine is removed, and the pool is full again
                took.append(measure(i))
        first, last = [t[0] for t in theirs], [t[1] for t in theirs]
        times(f"{name}: webhook to first byte stored, commit known", [o[2] for o in ours], first)
        times(f"{name}: webhook to first byte stored, new commit", [o[2] for o in fresh], first)
        times(f"{name}: webhook to first byte at a follower, known", [o[0] for o in ours], first)
        times(f"{name}: webhook to first byte at a follower, new", [o[0] for o in fresh], first)
        times(f"{name}: webhook to final state at a follower", [o[1] for o in ours], last)
        if bare:
            times("cold: the same against bare engine calls", [o[2] for o in ours], bare)
            over = [o[2] - b for o, b in zip(ours, bare)]
            print(f"  cold over the engine's own time, round by round: median {median(over):.1f} ms, least {min(over):.1f} (aim: at most 10)")
        davit.end()


# --- jobs per minute at 2 slots ---

def bench_throughput(bench):
    jobs = int(os.environ.get("BENCH_JOBS", "60"))
    engine = Engine()
    subprocess.run([*DOCKER, "network", "create", "davit-bench"], check=True, capture_output=True)
    rates = {}
    for network in ("none", "davit-bench"):
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: engine.run(network), range(jobs)))
        rates[network] = jobs / (time.monotonic() - start) * 60
    subprocess.run([*DOCKER, "network", "rm", "davit-bench"], check=True, capture_output=True)
    davit = bench.davit(builder={"warm_images": 1, "warm_per_image": 2})
    repo = bench.repo()
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo hi\n"})
    trigger_first = forge.deliver(davit, forge.push_payload(commit, message="first")).json["build"]
    davit.wait_build(trigger_first)
    start = time.monotonic()
    numbers = [forge.deliver(davit, forge.push_payload(commit, message=f"job {i}")).json["build"] for i in range(jobs)]
    for number in numbers:
        assert davit.wait_build(number)["state"] == "passed"
    rate = jobs / (time.monotonic() - start) * 60
    row("trivial jobs per minute, 2 slots, against bridge", rate, rates["davit-bench"], "1/min", "more")
    row("trivial jobs per minute, 2 slots, against none", rate, rates["none"], "1/min", "more")
    davit.end()


# --- what a step costs ---

STEPS = 50  # the most of a job


def bench_steps(bench):
    davit = bench.davit(builder={"warm_images": 1, "warm_per_image": 2})
    other = "davit-test/other:latest"
    subprocess.run(["docker", "-H", server.ENGINE, "tag", IMAGE, other], check=True)
    repo = bench.repo()
    davit.add_repo(repo)

    def job(steps):
        return repo.push({"daocloud.yml": f"image: {IMAGE}\nsteps:\n" + "".join(f"  - {step}\n" for step in steps)})

    elsewhere = "{name: elsewhere, image: '%s', script: [':']}"
    first = "echo hi-there"  # what a follower waits for
    kinds = {"one": job([first]), "many": job([first] + ["':'"] * (STEPS - 1)), "two": job([first, elsewhere % other]),
             "three": job([first, elsewhere % other, "':'"])}
    took = {kind: [] for kind in kinds}
    for commit in kinds.values():
        trigger(davit, commit, 0)
    for i in range(ROUNDS):
        for kind, commit in kinds.items():
            time.sleep(1)  # the pool fills up again
            took[kind].append(trigger(davit, commit, i)[1])
    peer = [docker_run()[1] for _ in range(ROUNDS)]
    step = (median(took["many"]) - median(took["one"])) / (STEPS - 1)
    print(f"a further step of the same image: {step:.2f} ms (aim: under 5)")
    row("a further step of another image", median(took["three"]) - median(took["two"]), median(peer), "ms", "less")
    davit.end()


# --- idle memory ---

def memory(pid):
    """Private and resident kB."""
    private = rss = 0
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            words = line.split()
            if words[0] in ("Private_Clean:", "Private_Dirty:"):
                private += int(words[1])
            elif words[0] == "Rss:":
                rss = int(words[1])
    return private, rss


def bench_memory(bench):
    davit = bench.davit()
    private, rss = memory(davit.process.pid)
    print(f"idle memory: davitd {private / 1024:.1f} MiB private, {rss / 1024:.1f} MiB resident (aim: under 8 private)")
    redis = davit.redis_pid()
    if redis:
        private, rss = memory(redis)
        print(f"  its private Redis: {private / 1024:.1f} MiB private, {rss / 1024:.1f} MiB resident")
    port = forge.free_port()
    hooks = os.path.join(bench.folder, "none.json")
    with open(hooks, "w") as file:
        file.write('[{"id": "idle", "execute-command": "/bin/true"}]')
    peer = subprocess.Popen(["webhook", "-hooks", hooks, "-ip", "127.0.0.1", "-port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)  # a Go runtime has settled by then
    private, rss = memory(peer.pid)
    print(f"  the package webhook: {private / 1024:.1f} MiB private, {rss / 1024:.1f} MiB resident")
    peer.terminate()
    peer.wait()
    davit.end()


# --- 10,000 followers ---

def bench_followers(bench):
    count = int(os.environ.get("BENCH_FOLLOWERS", "10000"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 2000, max(count + 2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    davit = bench.davit()
    repo = bench.repo()
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\ntimeout: 10m\nscript:\n"
                        "  - echo begin; i=0; while [ $i -lt 20 ]; do sleep 3; i=$((i+1)); echo \"tick $i $(date +%s)\"; done\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"running"})
    with davit.follow(f"{number}.1") as events:
        for event in events:
            if "begin" in event["data"]:
                break
    before, _ = memory(davit.process.pid)
    request = (f"GET /api/v1/jobs/{number}.1/log/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {davit.token}\r\n\r\n").encode()
    poll = select.epoll()
    peers = {}
    while len(peers) < count:  # a thousand at a time: more at once than Redis may have in flight are told 503
        ready = set()
        for _ in range(min(1000, count - len(peers))):
            peer = socket.create_connection(("127.0.0.1", davit.port))
            peer.sendall(request)
            peer.setblocking(False)
            peers[peer.fileno()] = peer
            poll.register(peer.fileno(), select.EPOLLIN)
            ready.add(peer.fileno())
        while ready:
            for fd, _ in poll.poll(10):
                text = peers[fd].recv(65536)
                assert text, "a follower was sent away"
                if b"begin" in text:
                    ready.discard(fd)
    after, _ = memory(davit.process.pid)
    delays = []
    for _ in range(5):
        got, first = set(), None
        while len(got) < count:
            events = poll.poll(10)
            assert events, "a line did not reach all"
            for fd, _ in events:
                if b"tick" in peers[fd].recv(65536):
                    first = first or time.monotonic()
                    got.add(fd)
        delays.append((time.monotonic() - first) * 1000)
    print(f"{count} followers: {(after - before) / count:.2f} kB each (aim: under 10); "
          f"a new line reaches the last {median(delays):.0f} ms after the first (a reader in Python included)")
    for peer in peers.values():
        peer.close()
    davit.api("POST", f"/builds/{number}/cancel")
    davit.end()


# --- masking ---

def bench_mask(bench):
    """50 secrets in all forms, against sed (which hides 50 words as they are) and grep -F (which only finds them)."""
    log = os.path.join(bench.folder, "log")
    secrets = os.path.join(bench.folder, "secrets")
    block = b"".join(b"  CC       server/part%d/file%d.o\n%s" % (i % 17, i, b"ok   test %d took %d ms\n" % (i, i * 37 % 911)) for i in range(20000))
    with open(log, "wb") as file:
        for _ in range(200_000_000 // len(block)):
            file.write(block)
    size = os.path.getsize(log) / 1e6
    program = os.path.join(server.OBJ, "test/bench/mask")
    out = subprocess.run([program, log, "50", secrets], capture_output=True, text=True, check=True).stdout
    rate = float(out.split()[-2])
    with open(secrets) as file:
        words = [f"-e s/{line.strip()}/***/g" for line in file]
    sed, grep = [], []
    for _ in range(3):
        for times, command in ((sed, ["sed", *words, log]), (grep, ["grep", "-F", "-f", secrets, log])):
            begin = time.monotonic()
            subprocess.run(command, stdout=subprocess.DEVNULL, env={"LC_ALL": "C", "PATH": os.environ["PATH"]})
            times.append(time.monotonic() - begin)
    row("masking 50 secrets, sed", rate, size / median(sed), "MB/s", "more")
    row("masking 50 secrets, grep -F", rate, size / median(grep), "MB/s", "more")


# --- caches and artifacts ---

FILES_MB = 500

def job_seconds(davit, repo, files):
    """One build of a change to files: how long its job took, and its log."""
    commit = repo.push(files)
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number, timeout=600)
    assert build["state"] == "passed", build
    job = build["jobs"][0]
    return (job["finished_ms"] - job["started_ms"]) / 1000, davit.job_log(job["id"]).decode()


def tar_seconds(*commands):
    """What the commands take with the engine's client, in a container that is there already."""
    begin = time.monotonic()
    for command in commands:
        subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def bench_cache(bench):
    """Saving and restoring 500 MB, against tar into and out of a container by the engine's own client."""
    davit = bench.davit(builder={"warm_images": 0}, artifacts={"size": "2g"})
    repo = bench.repo()
    davit.add_repo(repo)
    pipeline = f"image: {IMAGE}\nCACHEscript:\n  - 'true'\n"
    cache = "cache: {key: large-0, paths: [/large]}\n"
    make = f"  - mkdir -p /large; i=0; while [ $i -lt {FILES_MB} ]; do dd if=/dev/zero of=/large/$i bs=1M count=1 2>/dev/null; i=$((i+1)); done\n"
    plain = [job_seconds(davit, repo, {"daocloud.yml": pipeline.replace("CACHE", ""), "x": str(i)})[0] for i in range(3)]
    made = [job_seconds(davit, repo, {"daocloud.yml": pipeline.replace("CACHE", "") + make, "x": f"made {i}"})[0] for i in range(3)]
    saved = [job_seconds(davit, repo, {"daocloud.yml": pipeline.replace("CACHE", cache.replace("large-0", f"large-{i}")) + make})[0]
             for i in range(3)]
    restored = []
    for i in range(3):
        took, log = job_seconds(davit, repo, {"daocloud.yml": pipeline.replace("CACHE", cache), "y": str(i)})
        assert ": restored" in log
        restored.append(took)
    file = os.path.join(davit.state, "caches", os.listdir(os.path.join(davit.state, "caches"))[0])
    docker = " ".join(DOCKER)
    into, out = [], []
    for _ in range(3):
        name = "davit-bench-tar"
        subprocess.run(f"{docker} run -d --name {name} {IMAGE} sleep 1000", shell=True, check=True, stdout=subprocess.DEVNULL)
        into.append(tar_seconds(f"{docker} exec -i {name} tar -x -f - -C / <{file}"))
        out.append(tar_seconds(f"{docker} exec {name} tar -c -f - -C / large >{bench.folder}/out.tar; sync {bench.folder}/out.tar"))
        subprocess.run(f"{docker} rm -f {name}", shell=True, check=True, stdout=subprocess.DEVNULL)
    times(f"restore a cache of {FILES_MB} MB", [(s - median(plain)) * 1000 for s in restored], [s * 1000 for s in into])
    times("save it", [(s - median(made)) * 1000 for s in saved], [s * 1000 for s in out])
    davit.end()


# --- a large workspace ---

REPO_MB = 1000


def bench_checkout(bench):
    """A repository of 1 GB whose mirror is warm: from the webhook of a new commit to the job's first word, against a clone of
    that commit alone and its way into a container by tar and the engine's own client."""
    davit = bench.davit(builder={"warm_images": 0})
    repo = bench.repo()
    davit.add_repo(repo)
    os.makedirs(os.path.join(repo.tree, "large"), exist_ok=True)
    for i in range(REPO_MB):
        with open(os.path.join(repo.tree, "large", str(i)), "wb") as file:
            file.write(os.urandom(1 << 20))
    pipeline = f"image: {IMAGE}\nscript: [echo hi-there]\n"
    job_seconds(davit, repo, {"daocloud.yml": pipeline})
    docker, ours, theirs = " ".join(DOCKER), [], []
    for i in range(3):
        ours.append(trigger(davit, repo.push({"n": str(i)}), i)[2])
        name = "davit-bench-clone"
        subprocess.run(f"{docker} create --name {name} -i {IMAGE} sh -c 'tar -x -f - -C /; echo hi-there'", shell=True, check=True,
                       stdout=subprocess.DEVNULL)
        theirs.append(1000 * tar_seconds(
            f"git clone -q --depth=1 file://{repo.bare} {bench.folder}/clone -b main",
            f"tar -c -C {bench.folder} clone | {docker} start -a -i {name}"))
        subprocess.run(f"{docker} rm -f {name}; rm -rf {bench.folder}/clone", shell=True, check=True, stdout=subprocess.DEVNULL)
    times(f"a new commit of a repository of {REPO_MB} MB, to the first word", ours, theirs)
    davit.end()


# --- the context of an image's build ---

def peak_memory(pid, reset=False):
    """Resident kB at most since the last reset."""
    if reset:
        with open(f"/proc/{pid}/clear_refs", "w") as file:
            file.write("5")
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def bench_context(bench):
    """An image that takes over a context of 1 GB, against docker build of the same checkout by the engine's own client."""
    davit = bench.davit(builder={"warm_images": 0})
    repo = bench.repo()
    davit.add_repo(repo)
    os.makedirs(os.path.join(repo.tree, "large"), exist_ok=True)
    for i in range(REPO_MB // 10):
        with open(os.path.join(repo.tree, "large", str(i)), "wb") as file:
            file.write(b"%d" % i + bytes((10 << 20) - 8))  # which git packs in no time, and a tar does not
    files = {"daocloud.yml": "jobs: {image: {build: {cache: false}}}\n", "Dockerfile": f"FROM {IMAGE}\nCOPY large /large\n", ".dockerignore": ".git\n"}
    job_seconds(davit, repo, files)
    docker, ours, theirs, peaks = " ".join(DOCKER), [], [], []
    for i in range(min(3, ROUNDS)):
        peak_memory(davit.process.pid, reset=True)
        ours.append(1000 * job_seconds(davit, repo, {"n": str(i)})[0])
        peaks.append(peak_memory(davit.process.pid))
        theirs.append(1000 * tar_seconds(f"DOCKER_BUILDKIT=0 {docker} build --no-cache -q {repo.tree}"))
        subprocess.run(f"{docker} image prune -f", shell=True, check=True, stdout=subprocess.DEVNULL)
    times(f"an image with a context of {REPO_MB} MB", ours, theirs)
    print(f"  davitd had at most {max(peaks) / 1024:.1f} MiB resident meanwhile (aim: under 16)")
    davit.end()


# --- an application's container is replaced ---

def replace_bare(engine, name, config):
    """Milliseconds of the engine's own calls for it: a new one beside the old one, which is stopped and removed."""
    start = time.monotonic()
    made = engine.call("POST", "/containers/create", config)["Id"]
    engine.call("POST", f"/containers/{made}/start")
    engine.call("POST", f"/containers/{name}/stop")
    engine.call("DELETE", f"/containers/{name}?v=1")
    took = (time.monotonic() - start) * 1000
    return made, took


def bench_replace(bench):
    """A small application, in the place of the one before it; its gate is a second of running."""
    davit, engine, repo = bench.davit(), Engine(), bench.repo()
    davit.add_repo(repo)
    davit.cli("environment", "set", "app", "live", "--kind", "engine")
    application = {"image": IMAGE, "command": ["sleep", "1000"], "init": True, "gate": {"stable": "1s"}}
    commit = repo.push({"daocloud.yml": json.dumps({"jobs": {"live": {"deploy": {"environment": "live", "application": application}}}})})
    ours, bare, name = [], [], None
    for i in range(ROUNDS + 1):
        number = forge.deliver(davit, forge.push_payload(commit, message=f"deploy {i}")).json["build"]
        job = davit.wait_build(number)["jobs"][0]
        assert job["state"] == "passed", job
        new = engine.call("GET", f"/containers/app.live.app.1.{i + 1}/json")
        config = {**new["Config"], "HostConfig": new["HostConfig"], "Hostname": "", "Labels": {}}
        if name is None:
            name = engine.call("POST", "/containers/create", config)["Id"]
            engine.call("POST", f"/containers/{name}/start")
            continue
        ours.append(job["finished_ms"] - job["started_ms"] - 1000)
        name, took = replace_bare(engine, name, config)
        bare.append(took)
    times("a container replaced, without the second of its gate", ours, bare)
    own = [o - b for o, b in zip(ours, bare)]
    print(f"  over the engine's own time, round by round: median {median(own):.1f} ms, least {min(own):.1f} (aim: under 50)")
    for container in (name, f"app.live.app.1.{ROUNDS + 1}"):
        engine.call("DELETE", f"/containers/{container}?force=1&v=1")
    davit.end()


# --- planning ---

def bench_plan(bench):
    """Reading a pipeline file: medians, as the program prints them."""
    program = os.path.join(server.OBJ, "test/bench/plan")
    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        print(line)


PARTS = {"hooks": bench_hooks, "latency": bench_latency, "throughput": bench_throughput, "memory": bench_memory, "followers": bench_followers, "mask": bench_mask,
         "cache": bench_cache, "checkout": bench_checkout, "context": bench_context, "replace": bench_replace, "plan": bench_plan, "steps": bench_steps,
         "mirror": bench_mirror, "race": bench_race}
# minutes each, and only when they are asked for
PROMISES = {"pushes": pushes.bench_pushes, "missed": pushes.bench_missed, "refs": pushes.bench_refs}

if __name__ == "__main__":
    bench = Bench()
    try:
        for name in sys.argv[1:] or PARTS:
            print(f"== {name}", flush=True)
            {**PARTS, **PROMISES}[name](bench)
    finally:
        bench.close()
