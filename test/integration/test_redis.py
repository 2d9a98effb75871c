"""Redis as an operator meets it: private or external, readable keys, weak persistence refused."""

import signal
import subprocess

import pytest

import forge
from server import IMAGE

PASSING = f"image: {IMAGE}\nscript:\n  - echo fine\n"


def test_queue_is_readable(make_davit, repo, tmp_path):
    davit = make_davit(engines=[{"url": f"unix://{tmp_path}/nobody.sock", "slots": 1}])
    davit.add_repo(repo)
    number = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": PASSING}))).json["build"]
    davit.wait_build(number, {"queued"})
    assert davit.redis("ZRANGE", "davit:queue", "0", "-1") == f"{number}.1"
    fields = davit.redis("HGETALL", f"davit:job:{number}.1").split("\n")
    job = dict(zip(fields[::2], fields[1::2]))
    assert (job["repo"], job["state"], job["image"]) == ("app", "queued", IMAGE)
    repo_hash = davit.redis("HGETALL", "davit:repo:app")
    assert "s3cret" not in repo_hash, "secrets are sealed"
    queue = davit.api("GET", "/queue")
    assert "s3cret" not in str(queue) and f"{number}.1" in str(queue)


def test_external_redis(make_davit, repo, external):
    socket = external()
    davit = make_davit(redis={"url": f"unix://{socket}"})
    davit.add_repo(repo)
    number = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": PASSING}))).json["build"]
    assert davit.wait_build(number)["state"] == "passed"
    davit.stop()
    keys = subprocess.run(["redis-cli", "-s", socket, "EXISTS", f"davit:build:{number}"], capture_output=True, text=True)
    assert keys.stdout.strip() == "1", "it outlives davitd"


def test_data_that_are_lost(make_davit, repo, external):
    """The node makes itself known again, so that its engines' labels count, and works on."""
    socket = external()
    davit = make_davit(node="alone", redis={"url": f"unix://{socket}"})
    davit.add_repo(repo)
    subprocess.run(["redis-cli", "-s", socket, "FLUSHALL"], check=True, capture_output=True)
    davit.log.wait("node alone: Redis does not know it any more")
    since = len(davit.log.lines)
    davit.log.wait(r"node alone: epoch \d+", since)
    known = subprocess.run(["redis-cli", "-s", socket, "HEXISTS", "davit:node:alone", "labels"], capture_output=True, text=True)
    assert known.stdout.strip() == "1"
    davit.add_repo(repo)
    number = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": PASSING}))).json["build"]
    assert davit.wait_build(number)["state"] == "passed"
    davit.stop()


def test_a_frozen_process_that_was_replaced_ends(make_davit, repo, external):
    """Two of one name on one Redis: the older one must not write what the newer one has taken over."""
    redis = {"url": f"unix://{external()}"}
    old = make_davit(node="twin", redis=redis)
    old.add_repo(repo)
    old.process.send_signal(signal.SIGSTOP)
    new = make_davit(seal_key_of=old, node="twin", redis=redis)
    number = forge.deliver(new, forge.push_payload(repo.push({"daocloud.yml": PASSING}))).json["build"]
    old.process.send_signal(signal.SIGCONT)
    old.log.wait("another davitd of the name twin has started on this Redis")
    old.stop(expect=1)
    assert new.wait_build(number)["state"] == "passed"


@pytest.mark.parametrize("options,word", [({"appendonly": "no"}, "appendonly"), ({"appendfsync": "everysec"}, "appendfsync"),
                                          ({"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy")])
def test_weak_persistence_is_refused(tmp_path, repo, external, options, word):
    import server
    socket = external(**options)
    folder = tmp_path / "weak"
    folder.mkdir()
    davit = server.Davit(folder, redis={"url": f"unix://{socket}"})
    try:
        davit.start(wait_ready=False)
        davit.log.wait(rf"Redis.*{word}")
        answer = davit.ask("GET", "/healthz", token=False)
        assert answer.status == 503
        davit.stop()
    finally:
        davit.end()


def test_weak_persistence_may_be_allowed(make_davit, external):
    davit = make_davit(redis={"url": f"unix://{external(appendfsync='everysec')}", "allow_weak_persistence": True})
    assert davit.ask("GET", "/healthz", token=False).json
