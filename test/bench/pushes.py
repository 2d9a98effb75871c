"""What is promised of pushes: 200 within a minute are 200 builds, those that nobody told of too; and what the comparison of
20,000 branches costs. Counted from outside: what the forge was answered, what Redis holds, what the API tells."""

import re
import subprocess
import time

import forge
import server

PUSHES = 200
SECONDS = 60
REFS = 20000
PIPELINE = {"daocloud.yml": f"image: {server.IMAGE}\nscript: [echo built]\n"}


def final(davit):
    """Builds that came out, by commit's ref, and how they did."""
    ended, last = {}, int(davit.redis("GET", "davit:seq:build") or 0)
    for number in range(1, last + 1):
        build = davit.api("GET", f"/builds/{number}")
        if build["state"] in server.FINAL:
            ended.setdefault(build["ref"], []).append(build["state"])
    return ended


def until_built(davit, wanted, limit_s=300):
    """Until each of the refs has a build that came out; gives what there is."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if int(davit.redis("GET", "davit:seq:build") or 0) >= len(wanted):
            ended = final(davit)
            if len(ended) >= len(wanted):
                return ended
        time.sleep(1)  # what is measured here is minutes
    return final(davit)


def tell(name, wanted, ended, seconds, more=""):
    built = [ref for ref in wanted if ended.get(ref) == ["passed"]]
    doubled = [ref for ref in wanted if len(ended.get(ref, [])) > 1]
    print(f"{name}: {len(wanted)} accepted, {len(built)} built and passed once, {len(doubled)} built twice, "
          f"{len(set(ended) - set(wanted))} unexpected; the last was done {seconds:.1f} s after the first{more}")
    assert len(built) == len(wanted) and set(ended) == set(wanted), "accepted is not built"


def longest(davit):
    text = davit.ask("GET", "/metrics").body.decode()
    return float(re.search(r"^davit_loop_longest_callback_seconds (\S+)", text, re.M).group(1)) * 1000


def bench_pushes(bench):
    """Evenly over the minute, each to a branch of its own."""
    davit, repo = bench.davit(), bench.repo()
    davit.add_repo(repo)
    commit = repo.push(PIPELINE)
    refs = [f"refs/heads/b{i}" for i in range(PUSHES)]
    began, took = time.monotonic(), []
    for i, ref in enumerate(refs):
        time.sleep(max(0, began + i * SECONDS / PUSHES - time.monotonic()))
        at = time.monotonic()
        answer = forge.deliver(davit, forge.push_payload(commit, ref=ref))
        took.append(1000 * (time.monotonic() - at))
        assert answer.status == 202, answer
    ended = until_built(davit, refs)
    took.sort()
    tell(f"{PUSHES} pushes in {SECONDS} s", refs, ended, time.monotonic() - began,
         f"; answered in {took[len(took) // 2]:.1f} ms (median), {took[int(len(took) * 0.99)]:.1f} (99th percentile)")
    print(f"  the longest callback: {longest(davit):.1f} ms")
    davit.end()


def bench_missed(bench):
    """Pushed while davitd is down, and told by nobody: from its start on."""
    davit, repo = bench.davit(hook={"poll": "10s"}), bench.repo()
    davit.add_repo(repo)
    commit = repo.push(PIPELINE)
    forge.deliver(davit, forge.push_payload(commit))
    while davit.redis("HGET", "davit:repo:app", "looked_ms") in (None, ""):
        time.sleep(0.1)
    davit.kill()
    refs = [f"refs/heads/b{i}" for i in range(PUSHES)]
    repo.git("push", "-q", repo.bare, *[f"HEAD:{ref}" for ref in refs])
    began = time.monotonic()
    davit.start()
    ended = until_built(davit, refs + ["refs/heads/main"])
    ended.pop("refs/heads/main", None)
    tell(f"{PUSHES} pushes missed", refs, ended, time.monotonic() - began)
    print(f"  the longest callback: {longest(davit):.1f} ms")
    davit.end()


def bench_refs(bench):
    """Looks at a repository of so many branches, one of which moves."""
    davit, repo = bench.davit(hook={"poll": "2s"}), bench.repo()
    commit = repo.push(PIPELINE)
    lines = "".join(f"create refs/heads/r{i:05} {commit}\n" for i in range(REFS - 1))
    subprocess.run(["git", "-C", repo.bare, "update-ref", "--stdin"], input=lines.encode(), check=True)
    before = status_kb(davit, "VmRSS")
    davit.add_repo(repo)
    wait_for_looks(davit, 3)
    moved = repo.push({"data.txt": "moved"}, "It has moved", ref="refs/heads/r00007")
    davit.log.wait(f"no delivery told of refs/heads/r00007 at {moved}")
    wait_for_looks(davit, 3)
    print(f"{davit.redis('HLEN', 'davit:heads:app')} branches compared: the longest callback {longest(davit):.1f} ms, resident "
          f"{before / 1024:.1f} MiB before, {status_kb(davit, 'VmRSS') / 1024:.1f} after, at most "
          f"{status_kb(davit, 'VmHWM') / 1024:.1f}")
    davit.end()


def wait_for_looks(davit, count):
    """By when it looked last."""
    seen = davit.redis("HGET", "davit:repo:app", "looked_ms")
    while count > 0:
        time.sleep(0.1)
        now = davit.redis("HGET", "davit:repo:app", "looked_ms")
        count -= now not in (None, "", seen)
        seen = now


def status_kb(davit, name):
    with open(f"/proc/{davit.process.pid}/status") as file:
        return int(re.search(rf"^{name}:\s+(\d+)", file.read(), re.M).group(1))
