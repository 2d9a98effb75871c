"""Redis, the engine and the forge behind a proxy that delays, drips, cuts and garbles by a seed: every push that was
accepted becomes one build with a true end, and nothing is left behind. DAVIT_TEST_LONG=1 runs twenty seeds instead of one,
DAVIT_CHAOS_SEEDS=FROM-TO those. What was run: 1 to 22, each against all three, without a loss."""

import json
import os
import secrets

import pytest

import chaos
import forge
import server
from server import IMAGE

PUSHES = 5
LINES = 300
PIPELINE = f"image: {IMAGE}\nscript:\n  - i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo \"line $i of the log\"; done\n"
EXPECTED = "".join(f"line {i + 1} of the log\n" for i in range(LINES))


def seeds():
    usual = "1-20" if os.environ.get("DAVIT_TEST_LONG") else "1-1"
    first, last = os.environ.get("DAVIT_CHAOS_SEEDS", usual).split("-")
    return range(int(first), int(last) + 1)


@pytest.fixture
def proxy():
    made = []

    def make(target, seed, **options):
        made.append(chaos.Proxy(target, seed, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def push_all(davit, repo):
    """Builds by commit."""
    made = {}
    for number in range(PUSHES):
        ref = f"refs/heads/b{number}"
        commit = repo.push({"daocloud.yml": PIPELINE, "number": str(number)}, ref=ref)
        made[commit] = forge.redeliver(davit, forge.push_payload(commit, ref=ref), secrets.token_hex(16))
    return made


def check(davit, docker, made, states):
    builds = {commit: davit.wait_build(number, timeout=180) for commit, number in made.items()}
    assert len(set(made.values())) == PUSHES, "each push has a build of its own"
    listed = davit.api("GET", "/builds")["builds"]
    assert sorted(b["build"] for b in listed) == sorted(made.values()), "and there is no other"
    for commit, build in builds.items():
        assert build["commit"] == commit and build["state"] in states, build
        job = build["jobs"][0]
        if build["state"] == "passed":
            assert job["exit_code"] == 0
            assert EXPECTED in davit.job_log(job["id"]).decode()
        else:
            assert job["reason"], job
    davit.stop()
    for number in made.values():
        assert docker("ps", "-aq", "--filter", f"label=davit.job={number}.1") == ""


@pytest.mark.parametrize("seed", seeds())
def test_redis_behind_chaos(make_davit, repo, external, proxy, docker, tmp_path, seed):
    between = proxy(external(), seed, at=str(tmp_path / "chaos.sock"))
    davit = make_davit(redis={"url": f"unix://{tmp_path}/chaos.sock"})
    davit.add_repo(repo)
    between.rage()
    made = push_all(davit, repo)
    between.calm()
    check(davit, docker, made, {"passed"})
    print(f"seed {seed}:", *between.journal, sep="\n")


@pytest.mark.parametrize("seed", seeds())
def test_engine_behind_chaos(make_davit, repo, proxy, docker, tmp_path, seed):
    between = proxy(server.ENGINE.removeprefix("unix://"), seed, at=str(tmp_path / "chaos.sock"))
    davit = make_davit(engines=[{"url": f"unix://{tmp_path}/chaos.sock", "slots": 2}])
    davit.add_repo(repo)
    between.rage()
    made = push_all(davit, repo)
    between.calm()
    check(davit, docker, made, {"passed", "error"})
    print(f"seed {seed}:", *between.journal, sep="\n")


@pytest.mark.parametrize("seed", seeds())
def test_forge_behind_chaos(davit, repo, receiver, proxy, docker, seed):
    between = proxy(("127.0.0.1", receiver.server.server_port), seed)
    davit.add_repo(repo, api=f"http://127.0.0.1:{between.port}", token="t0ken", statuses=True)
    between.rage()
    made = push_all(davit, repo)
    for number in made.values():
        davit.wait_build(number)
    between.calm()
    for commit in made:
        receiver.wait(lambda requests: told(requests, commit)[-1:] == ["success"], timeout=180)
        order = ["pending", "running", "success"]
        assert told(receiver.requests, commit) == sorted(told(receiver.requests, commit), key=order.index)
    check(davit, docker, made, {"passed"})
    print(f"seed {seed}:", *between.journal, sep="\n")


def told(requests, commit):
    return [json.loads(r["body"])["state"] for r in requests if r["path"].endswith(commit)]
