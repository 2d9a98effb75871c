"""System calls of the daemon that fail, one kind after the other: it lives on, each accepted push has one true end, and a
later push passes. Only what the daemon calls itself fails, not its git and its Redis. DAVIT_TEST_LONG=1 runs all, else one in
four."""

import contextlib
import os
import subprocess
import time

import pytest

import forge
import server
from server import IMAGE

PIPELINE = (f"image: {IMAGE}\nscript:\n  - i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo \"line $i of the log\"; done\n"
            "  - echo kept > out.txt\nartifacts: [out.txt]\n")
EXPECTED = "".join(f"line {i + 1} of the log\n" for i in range(200))

# What fails, how, and which of the calls: the first, the next, ... (strace's FIRST+STEP). ENOSYS is what a call gives whose
# tracer leaves in the middle of it, so each of these tests may end with one.
FAULTS = [
    ("openat", "EMFILE", "2+3"), ("openat", "ENOSPC", "1+2"), ("openat", "EIO", "3+4"),
    ("fsync,fdatasync", "EIO", "1+2"), ("fsync,fdatasync", "ENOSPC", "2+3"),
    ("rename,renameat,renameat2", "ENOSPC", "1+2"), ("mkdir,mkdirat", "ENOSPC", "1+2"),
    ("unlink,unlinkat", "EIO", "1+2"), ("pwrite64,pwritev", "ENOSPC", "2+3"),
    ("connect", "EMFILE", "1+2"), ("connect", "EAGAIN", "2+2"), ("socket", "EMFILE", "1+2"), ("accept4", "EMFILE", "1+3"),
    ("accept4", "ECONNABORTED", "1+2"), ("read,readv,recvfrom", "EINTR", "3+5"), ("read,readv,recvfrom", "EIO", "30+60"),
    ("write,writev,sendto", "EINTR", "3+5"), ("write,writev,sendto", "EIO", "40+80"), ("clone,clone3,vfork", "EAGAIN", "1+2"),
    ("pipe2,socketpair", "EMFILE", "1+2"), ("epoll_wait", "ENOSYS", "5+20"), ("epoll_wait", "EINTR", "2+2"),
]


@contextlib.contextmanager
def failing(davit, calls, error, when, log):
    """Those calls of davitd's threads fail until the end; not those of its children, as with strace -f."""
    threads = [part for thread in os.listdir(f"/proc/{davit.process.pid}/task") for part in ("-p", thread)]
    tracer = subprocess.Popen(["strace", *threads, "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}",
                               "-o", log], stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def deliver(davit, commit, ref):
    return forge.redeliver(davit, forge.push_payload(commit, ref=ref), commit)


@pytest.mark.parametrize("calls,error,when", FAULTS if os.environ.get("DAVIT_TEST_LONG") else FAULTS[::4])
def test_failing_calls(davit, repo, docker, tmp_path, calls, error, when):
    davit.add_repo(repo)
    first = deliver(davit, repo.push({"daocloud.yml": PIPELINE}), "refs/heads/main")
    assert davit.wait_build(first)["state"] == "passed", "all threads run by then"
    commits = {ref: repo.push({"daocloud.yml": PIPELINE, "number": ref}, ref=ref) for ref in ("refs/heads/a", "refs/heads/b")}
    with failing(davit, calls, error, when, tmp_path / "strace"):
        builds = [deliver(davit, commit, ref) for ref, commit in commits.items()]
        ends = until(davit, builds)
    assert "INJECTED" in (tmp_path / "strace").read_text(), "no call failed: the test has seen nothing"
    after = repo.push({"daocloud.yml": PIPELINE}, ref="refs/heads/c")
    builds.append(deliver(davit, after, "refs/heads/c"))
    last = davit.wait_build(builds[-1])
    assert last["state"] == "passed", last
    assert EXPECTED in davit.job_log(f"{builds[-1]}.1").decode()
    for build in ends:
        assert build["state"] == "passed" or build["state"] == "error" and (build.get("reason") or build["jobs"][0]["reason"]), build
    assert sorted(b["build"] for b in davit.api("GET", "/builds")["builds"]) == sorted({first, *builds}), "one build for each push"
    davit.stop()
    for number in builds:
        assert docker("ps", "-aq", "--filter", f"label=davit.job={number}.1") == ""


def until(davit, builds):
    """Their ends; what asks may be refused as everybody else is."""
    ends = []
    deadline = time.monotonic() + 120
    for number in builds:
        while True:
            with contextlib.suppress(OSError, AssertionError):
                build = davit.api("GET", f"/builds/{number}")
                if build["state"] in server.FINAL:
                    ends.append(build)
                    break
            assert time.monotonic() < deadline, f"build {number} has no end"
            time.sleep(0.2)
    return ends
