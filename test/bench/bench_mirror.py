"""The mirror beside its anchors (anchors.py), in front of the same origin: replies from the store, large and small; a cold object
that many clients want at once; what it costs webhooks; its memory under many transfers. Each server has one core, the
clients the other."""

import http.client
import os
import re
import statistics
import subprocess
import threading
import time

import forge
import server
from anchors import ANCHORS, Davit, DavitRegistry
from clients import Crowd, FarOrigin

SMALL, LARGE, COLD = 4096, 256 << 20, 100 << 20
LASTING = {"Cache_Control": "max-age=3600", "Last_Modified": "Sun, 29 Nov 2026 10:00:00 GMT", "ETag": '"one"',
           "Content_Type": "application/octet-stream"}
ROUNDS = int(os.environ.get("BENCH_MIRROR_ROUNDS", "5"))
SECONDS = 3


def mirrors(bench, origin, core=0):
    """Ours twice, once by digest, and the others, all running; what stops them."""
    started = [Davit(bench, origin.port, core), DavitRegistry(bench, origin.port, core),
               *[kind(bench.folder, origin.port, core) for kind in ANCHORS]]
    for mirror in started:
        mirror.start()
    return started


def wrk(url, connections, seconds, what):
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url], capture_output=True, text=True, check=True)
    number, unit = re.search(what + r":\s+([\d.]+)(\w*)", done.stdout).groups()
    return float(number) * {"": 1, "KB": 1 / 1024, "MB": 1, "GB": 1024}[unit]


def bench_hits(bench, origin):
    running = mirrors(bench, origin)
    try:
        for size, connections, what, unit in [(SMALL, 32, "Requests/sec", "a second"), (LARGE, 4, "Transfer/sec", "MiB/s")]:
            rates, body = {mirror.name: [] for mirror in running}, os.urandom(size)
            for mirror in running:
                origin.serve(mirror.path(f"hit{size}", body), (body, LASTING))
                crowd = Crowd()
                client = crowd.add(mirror.url(mirror.path(f"hit{size}", body)))
                assert crowd.run(60) and client.has(body), mirror.name
            time.sleep(1)
            for _ in range(ROUNDS):
                for mirror in running:
                    rates[mirror.name].append(wrk(mirror.url(mirror.path(f"hit{size}", body)), connections, SECONDS, what))
            ours = rates[running[0].name]
            for name, theirs in rates.items():
                ratios = sorted(a / b for a, b in zip(ours, theirs))
                print(f"  {size} bytes, {connections} connections: {name:16s} {statistics.median(theirs):10,.0f} {unit}; "
                      f"Davit's ratio {statistics.median(ratios):6.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
    finally:
        for mirror in running:
            mirror.stop()


def bench_crowd(bench, origin, clients=50, patience=25):
    """All want one cold object at once, which the origin gives at 10 MiB/s to all who ask it together."""
    for mirror in mirrors(bench, origin, core=None):
        body = os.urandom(COLD)
        path = mirror.path("crowd", body)
        origin.serve(path, (body, {**LASTING, "rate": 10 << 20, "is_shared": True, "delay": 0.5}))
        crowd = Crowd()
        began = time.monotonic()
        running = [crowd.add(mirror.url(path), hashes=False) for _ in range(clients)]
        crowd.run(patience)
        crowd.drop()
        done = [client for client in running if client.got == COLD]
        late = [1000 * (client.first_at - origin.begun(path)) for client in running if client.first_at]
        gets = len([1 for method, _ in origin.asked(path) if method == "GET"])
        last = max((client.began + client.last - began for client in done), default=0)
        first = f"{min(late):.1f} to {max(late):.1f} ms behind the upstream's" if late else "never"
        print(f"  {clients} clients, one cold object: {mirror.name:16s} {gets} GETs; first byte for {len(late)}, {first}; "
              f"whole for {len(done)}" + (f", the last after {last:.1f} s" if done else f" within {patience} s"), flush=True)
        mirror.stop()


class Hooks(threading.Thread):
    """Webhooks one behind the other on one connection, a few milliseconds apart: how long each took to be answered."""

    def __init__(self, davit, commit, seconds):
        super().__init__()
        self.davit, self.commit, self.until = davit, commit, time.monotonic() + seconds
        self.took = []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.davit.port)
        while time.monotonic() < self.until:
            body = forge.push_payload(self.commit, message=f"push {time.monotonic()}")
            body = server.json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **forge.hook_headers("github", body)}
            began = time.monotonic()
            connection.request("POST", "/hook/app", body, headers)
            reply = connection.getresponse()
            reply.read()
            assert reply.status == 202, reply.status
            self.took.append(1000 * (time.monotonic() - began))
            time.sleep(0.003)

    def result(self):
        self.join()
        took = sorted(self.took)
        return took[len(took) // 2], took[int(len(took) * 0.99)], len(took)


def bench_hooks_beside(bench, origin):
    """Nothing takes the jobs; the clients that load the mirror are nice, so that what is measured is the server's."""
    mirror = Davit(bench, origin.port, core=0, engines=[{"url": f"unix://{bench.folder}/none.sock", "slots": 1}]).start()
    repo = bench.repo()
    commit = repo.push({"daocloud.yml": f"image: {server.IMAGE}\nscript: ['true']\n"})
    mirror.davit.add_repo(repo)
    crowd = Crowd()
    for name, size in (("small", SMALL), ("large", LARGE)):
        origin.serve(f"/{name}", (os.urandom(size), LASTING))
        crowd.add(mirror.url(f"/{name}"))
    crowd.run(60)
    seconds = 8
    for name, path, connections in [("idle", None, 0), ("4 KiB", "/small", 32), ("256 MiB, 4 clients", "/large", 4),
                                    ("256 MiB, 32 clients", "/large", 32), ("idle again", None, 0)]:
        load = path and subprocess.Popen(["nice", "-n", "15", "taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds + 1}s",
                                          mirror.url(path)], stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        hooks = Hooks(mirror.davit, commit, seconds)
        hooks.start()
        median, p99, count = hooks.result()
        if load:
            load.wait()
        print(f"  webhooks beside the mirror, {name:20s}: median {median:6.1f} ms, 99th percentile {p99:6.1f} ms ({count})", flush=True)
    mirror.stop()


def bench_transfers(bench, origin, count=1000):
    """So many clients, each of a cold object of its own of 1 MiB, held back at its half: from 32 addresses of the origin."""
    rules = [{"host": f"127.0.0.{i}:{origin.port}", "private": True, "clear": True} for i in range(1, 33)]
    mirror = Davit(bench, origin.port, upstreams=rules).start()
    body = os.urandom(1 << 20)
    crowd = Crowd()
    origin.serve_all(body, **LASTING, hold=len(body) // 2)
    before = private_kb(mirror.davit.process.pid)
    clients = [crowd.add(f"http://127.0.0.1:{mirror.port}/generic/127.0.0.{1 + i % 32}:{origin.port}/held{i}") for i in range(count)]
    assert crowd.run(60, lambda: all(client.got >= len(body) // 2 for client in clients)), \
        f"{len([1 for client in clients if client.got >= len(body) // 2])} of {count} have a half"
    during = private_kb(mirror.davit.process.pid)
    origin.release()
    assert crowd.run(60) and all(client.has(body) for client in clients)
    after = private_kb(mirror.davit.process.pid)
    print(f"  {count} transfers at once, all on their way: private {before / 1024:.1f} MiB before, {during / 1024:.1f} during, "
          f"{after / 1024:.1f} after (aim: under 64)", flush=True)
    mirror.stop()


def private_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


PARTS = {"hits": bench_hits, "crowd": bench_crowd, "hooks": bench_hooks_beside, "transfers": bench_transfers}


def bench_mirror(bench):
    for name in os.environ.get("BENCH_MIRROR", " ".join(PARTS)).split():
        origin = FarOrigin(bench.folder)
        try:
            PARTS[name](bench, origin)
        finally:
            origin.end()
