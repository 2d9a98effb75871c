"""What makes a build: pushes, pull requests, forks, the clock, people; and what does not."""

import json
import os
import shutil
import subprocess
import time

import pytest

import forge
from server import IMAGE, Davit, Events

PIPELINE = f"image: {IMAGE}\nscript:\n  - echo built $(cat data.txt)\n"


def pull_payload(commit, number=7, fork=False, action="opened", target="main", title="A change of mine"):
    """A pull request as GitHub tells it; a fork's repository may be gone when it is told."""
    base = {"id": 1, "full_name": "acme/app", "clone_url": "https://forge.test/acme/app.git"}
    return {"action": action, "number": number,
            "pull_request": {"title": title, "user": {"login": "eve"}, "html_url": f"https://forge.test/acme/app/pull/{number}",
                             "head": {"sha": commit, "ref": "topic", "repo": {"id": 2, "full_name": "eve/app"} if fork else base},
                             "base": {"ref": target, "repo": base}},
            "repository": base, "sender": {"login": "eve"}}


def deliver_pull(davit, commit, **more):
    return forge.deliver(davit, pull_payload(commit, **more), event="pull_request")


def states(requests, commit):
    return [json.loads(r["body"])["state"] for r in requests if r["path"].endswith(commit)]


@pytest.fixture
def fork(davit, repo):
    """A repository, and a commit of a fork's pull request to it."""
    davit.add_repo(repo)
    repo.push({"daocloud.yml": PIPELINE, "data.txt": "ours"})
    return repo.push({"data.txt": "theirs"}, ref="refs/pull/7/head")


def test_a_fork_waits_and_is_approved_by_the_cli(davit, fork):
    answer = deliver_pull(davit, fork, fork=True)
    assert answer.status == 202
    number = answer.json["build"]
    build = davit.wait_build(number, {"waiting"})
    assert (build["trust"], build["jobs"], build["reason"]) == ("fork", [], "it is a pull request of a fork")
    assert davit.redis("EXISTS", "davit:planning") == "0"
    assert " waiting " in davit.cli("builds").stdout
    assert davit.cli("approve", str(number)).returncode == 0
    build = davit.wait_build(number)
    assert (build["state"], build["approved_by"], build["trust"]) == ("passed", "admin", "fork"), build
    assert b"built theirs" in davit.job_log(f"{number}.1")
    again = davit.cli("approve", str(number))
    assert again.returncode == 0, "done already is no error"
    again = davit.cli("rerun", str(number))
    build = davit.wait_build(int(again.stdout.split()[1]))
    assert (build["state"], build["trust"]) == ("passed", "fork"), "a rerun makes nobody trusted"
    davit.stop()


def browser(davit):
    """The cookie that the page gets for the token."""
    answer = davit.ask("POST", "/login", {"token": davit.token}, token=False)
    assert answer.status == 204
    return answer.headers["Set-Cookie"].split(";")[0]


def test_a_fork_is_approved_by_the_page_and_no_other(davit, fork):
    number = deliver_pull(davit, fork, fork=True).json["build"]
    cookie = browser(davit)
    path = f"/api/v1/builds/{number}/approve"
    foreign = davit.ask("POST", path, b"", {"Cookie": cookie, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}, token=False)
    assert foreign.status == 403
    assert davit.ask("POST", path, b"", token=False).status == 401
    assert davit.ask("GET", path, None, {"Cookie": cookie}, token=False).status == 405
    assert davit.api("GET", f"/builds/{number}")["state"] == "waiting"
    own = davit.ask("POST", path, b"", {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}, token=False)
    assert own.status == 202
    assert davit.wait_build(number)["state"] == "passed"


def test_a_fork_is_rejected_and_a_newer_push_supersedes(davit, fork, repo):
    first = deliver_pull(davit, fork, fork=True).json["build"]
    newer = repo.push({"data.txt": "better"}, ref="refs/pull/7/head")
    second = deliver_pull(davit, newer, fork=True, action="synchronize").json["build"]
    build = davit.api("GET", f"/builds/{first}")
    assert (build["state"], build["reason"]) == ("cancelled", f"superseded by build {second}")
    assert davit.cli("reject", str(second)).returncode == 0
    build = davit.api("GET", f"/builds/{second}")
    assert (build["state"], build["reason"]) == ("cancelled", "rejected by admin")
    refused = davit.cli("approve", str(second))
    assert refused.returncode == 1 and "ended already" in refused.stderr


def test_a_fork_that_nobody_approves(davit, fork):
    davit.api("PATCH", "/repos/app", {"approval_s": 3600})
    number = deliver_pull(davit, fork, fork=True).json["build"]
    left = float(davit.redis("ZSCORE", "davit:waiting", str(number))) / 1000 - time.time()
    assert 3000 < left < 3700
    davit.redis("ZADD", "davit:waiting", "XX", "1", str(number))
    davit.redis("PUBLISH", "davit:wake", "delayed")
    build = davit.wait_build(number)
    assert build["state"] == "cancelled" and build["reason"].startswith("rejected: nobody approved it")


def test_settings_for_forks(davit, fork, repo):
    assert davit.cli("repo", "set", "app", "--forks", "never").returncode == 0
    answer = deliver_pull(davit, fork, fork=True)
    assert (answer.status, answer.json) == (200, {"ignored": "the repository's settings leave out pull requests of forks"})
    assert davit.cli("repo", "set", "app", "--forks", "allow").returncode == 0
    build = davit.wait_build(deliver_pull(davit, fork, fork=True).json["build"])
    assert (build["state"], build["trust"]) == ("passed", "fork")
    wrong = davit.cli("repo", "set", "app", "--forks", "sometimes")
    assert wrong.returncode == 1 and "approve, allow, never" in wrong.stderr
    # A pipeline file has no say in it.
    davit.cli("repo", "set", "app", "--forks", "approve")
    sly = repo.push({"daocloud.yml": PIPELINE + "forks: allow\n"}, ref="refs/pull/9/head")
    assert davit.api("GET", f"/builds/{deliver_pull(davit, sly, number=9, fork=True).json['build']}")["state"] == "waiting"


def test_a_fork_is_told_as_pending(davit, repo, receiver):
    davit.add_repo(repo, api=receiver.url, token="t0ken", statuses=True)
    repo.push({"daocloud.yml": PIPELINE, "data.txt": "ours"})
    commit = repo.push({"data.txt": "theirs"}, ref="refs/pull/7/head")
    number = deliver_pull(davit, commit, fork=True).json["build"]
    seen = receiver.wait(lambda rs: states(rs, commit))
    body = json.loads([r for r in seen if r["path"].endswith(commit)][0]["body"])
    assert body["state"] == "pending" and body["description"].startswith("waits for approval")
    davit.api("POST", f"/builds/{number}/reject")
    seen = receiver.wait(lambda rs: "error" in states(rs, commit))
    assert "rejected by admin" in json.loads(seen[-1]["body"])["description"]


def test_a_pull_request_is_built_merged(davit, repo):
    davit.add_repo(repo, pulls="merge")
    repo.push({"daocloud.yml": PIPELINE, "data.txt": "old", "a.txt": "a"})
    repo.git("checkout", "-q", "-b", "topic")
    commit = repo.push({"b.txt": "b"}, ref="refs/pull/7/head")
    repo.git("checkout", "-q", "main")
    target = repo.push({"data.txt": "of both"})
    number = deliver_pull(davit, commit).json["build"]
    build = davit.wait_build(number)
    assert build["state"] == "passed", build
    assert (build["commit"], build["base"]) == (commit, target) and build["built"] not in (commit, target)
    assert b"built of both" in davit.job_log(f"{number}.1")
    davit.api("PATCH", "/repos/app", {"pulls": "head"})
    number = deliver_pull(davit, commit, title="again").json["build"]
    build = davit.wait_build(number)
    assert (build["state"], build["built"]) == ("passed", "")
    assert b"built old" in davit.job_log(f"{number}.1")


def test_a_pull_request_that_conflicts(davit, repo):
    davit.add_repo(repo, pulls="merge")
    repo.push({"daocloud.yml": PIPELINE, "data.txt": "old"})
    repo.git("checkout", "-q", "-b", "topic")
    commit = repo.push({"data.txt": "theirs"}, ref="refs/pull/7/head")
    repo.git("checkout", "-q", "main")
    repo.push({"data.txt": "ours"})
    build = davit.wait_build(deliver_pull(davit, commit).json["build"])
    assert (build["state"], build["reason"]) == ("failed", "it cannot be merged into main: both sides changed data.txt")


def test_which_events_branches_and_tags(davit, repo):
    davit.add_repo(repo, branches="main release/*", tags="v*", events="push,tag")
    commit = repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"})
    cases = [("refs/heads/main", 202, None), ("refs/heads/release/1", 202, None),
             ("refs/heads/wip", 200, "leave out the branch wip"), ("refs/tags/v1", 202, None),
             ("refs/tags/nightly", 200, "leave out the tag nightly")]
    for ref, status, words in cases:
        repo.git("push", "-q", "--force", repo.bare, f"HEAD:{ref}")
        answer = forge.deliver(davit, forge.push_payload(commit, ref=ref))
        assert answer.status == status, (ref, answer)
        if words:
            assert words in answer.json["ignored"]
    assert "the event pull_request" in deliver_pull(davit, commit).json["ignored"]


@pytest.mark.parametrize("message", ["Fix [skip ci]", "[CI SKIP] Fix", "Fix\n\nmore [ ci  sKip ]", "[skip ci ]"])
def test_skipped_by_the_message(davit, repo, message):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"}, message=message)
    answer = forge.deliver(davit, forge.push_payload(commit, message=message))
    assert (answer.status, answer.json) == (200, {"ignored": "the commit's message asks for no build"})
    tagged = forge.deliver(davit, forge.push_payload(commit, ref="refs/tags/v1", message=message))
    assert tagged.status == 202, "whoever pushes a tag wants it built"
    assert davit.cli("start", "app").returncode == 0, "and who starts a build by hand, too"


def start(davit, *args):
    done = davit.cli("start", "app", *args)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[1])


def test_started_by_hand(davit, repo):
    davit.add_repo(repo)
    first = repo.push({"daocloud.yml": PIPELINE, "data.txt": "one"})
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("push", "-q", repo.bare, "refs/tags/v1")
    second = repo.push({"data.txt": "two"})
    build = davit.wait_build(start(davit))
    assert (build["state"], build["commit"], build["event"]) == ("passed", second, "manual"), build
    repo.git("push", "-q", repo.bare, "main:trunk")
    subprocess.run(["git", "-C", repo.bare, "symbolic-ref", "HEAD", "refs/heads/trunk"], check=True)
    third = repo.push({"data.txt": "three"})
    build = davit.wait_build(start(davit))
    assert (build["state"], build["commit"], build["branch"], build["ref"]) == (
        "passed", second, "trunk", "refs/heads/trunk"), "the forge's default branch"
    build = davit.wait_build(start(davit, "--branch", "main"))
    assert (build["state"], build["commit"], build["branch"]) == ("passed", third, "main")
    build = davit.wait_build(start(davit, "--tag", "v1"))
    assert (build["state"], build["commit"], build["branch"]) == ("passed", first, "v1"), build
    build = davit.wait_build(start(davit, "--commit", first, "--branch", "main"))
    assert (build["state"], build["commit"]) == ("passed", first)
    build = davit.wait_build(davit.api("POST", "/repos/app/builds", {"branch": "main"})["build"])
    assert (build["state"], build["event"], build["title"]) == ("passed", "api", "Started by the API")
    build = davit.wait_build(start(davit, "--branch", "gone"))
    assert (build["state"], build["reason"]) == ("failed", "head: the repository has no refs/heads/gone")
    assert davit.cli("start", "app", "--param", "novalue").returncode == 2
    assert davit.cli("start", "nowhere").returncode == 1


def wait_fired(davit, number):
    """The clock's build, once it is there."""
    with Events(davit) as events:
        while davit.ask("GET", f"/api/v1/builds/{number}").status == 404:
            events.wait(60)
    return davit.wait_build(number)


def test_the_clock(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"})
    added = davit.cli("repo", "cron", "add", "app", "nightly", "--cron", "30 3 * * MON-FRI", "--timezone", "Europe/Berlin")
    assert added.returncode == 0 and "nightly" in added.stdout, added.stderr
    due = davit.api("GET", "/repos/app/crons")["crons"][0]["next_ms"]
    assert due > time.time() * 1000
    # The hand-moved clock: it was due long ago, and often since.
    davit.redis("ZADD", "davit:cron", "XX", "1000", "app nightly")
    davit.redis("PUBLISH", "davit:wake", "cron")
    build = wait_fired(davit, 1)
    assert (build["state"], build["event"], build["commit"]) == ("passed", "cron", commit), build
    assert build["title"] == "Scheduled: nightly"
    cron = davit.api("GET", "/repos/app/crons")["crons"][0]
    assert (cron["next_ms"], cron["last_build"]) == (due, 1)
    assert " 1\n" in davit.cli("repo", "cron", "ls", "app").stdout
    wrong = davit.cli("repo", "cron", "add", "app", "x", "--cron", "61 * * * *")
    assert wrong.returncode == 1 and "minute" in wrong.stderr
    assert davit.cli("repo", "cron", "rm", "app", "nightly").returncode == 0
    assert davit.cli("repo", "cron", "rm", "app", "nightly").returncode == 1
    assert davit.redis("ZCARD", "davit:cron") == "0"
    davit.stop()


@pytest.fixture
def pair(make_davit, tmp_path):
    """Two daemons on the Redis of the first, with the same key for what is sealed in it."""
    first = make_davit()
    folder = tmp_path / "second"
    folder.mkdir()
    second = Davit(folder, redis={"url": f"unix://{first.redis_socket()}"})
    shutil.copy(os.path.join(first.state, "seal-key"), second.state)
    yield first, second.start()
    second.end()


def test_two_daemons_fire_one_build(pair, repo):
    first, second = pair
    first.add_repo(repo)
    repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"})
    assert first.cli("repo", "cron", "add", "app", "hourly", "--cron", "@hourly").returncode == 0
    for n in range(1, 4):
        first.redis("ZADD", "davit:cron", "XX", str(n), "app hourly")
        first.redis("PUBLISH", "davit:wake", "cron")
        assert wait_fired(first, n)["state"] == "passed"
    assert first.redis("ZCARD", "davit:builds") == "3"
    second.stop()
    first.stop()


PARAMETERS = f"""\
image: {IMAGE}
parameters:
  level: {{options: [quick, full], default: quick, description: how much is tested}}
  note: none
script:
  - echo "level $level, note $note"
"""


def test_parameters(davit, repo):
    davit.add_repo(repo)
    repo.push({"daocloud.yml": PARAMETERS})
    number = start(davit, "--param", "level=full", "--param", "note=$(id) 'x' \"y\"")
    build = davit.wait_build(number)
    assert (build["state"], build["parameters"]) == ("passed", {"level": "full", "note": "$(id) 'x' \"y\""}), build
    assert b"level full, note $(id) 'x' \"y\"\n" in davit.job_log(f"{number}.1"), "a value is no command"
    asked = davit.api("GET", "/repos/app")["parameters"]
    assert [(p["name"], p["default"], p["options"]) for p in asked] == [("level", "quick", ["quick", "full"]), ("note", "none", [])]
    assert davit.cli("start", "app", "--help").stdout.splitlines()[1:] == [
        "  level=quick: how much is tested [quick, full]", "  note=none"]
    number = start(davit)
    assert davit.wait_build(number)["state"] == "passed"
    assert b"level quick, note none\n" in davit.job_log(f"{number}.1")
    for wrong, words in [("level=slow", "level"), ("other=1", "other")]:
        build = davit.wait_build(start(davit, "--param", wrong))
        assert build["state"] == "failed" and words in build["reason"], build
    again = davit.api("POST", f"/builds/{1}/rerun")["build"]
    assert davit.wait_build(again)["parameters"]["level"] == "full", "a rerun has the same"
    davit.cli("repo", "cron", "add", "app", "full", "--cron", "@daily", "--param", "level=full")
    davit.redis("ZADD", "davit:cron", "XX", "1", "app full")
    davit.redis("PUBLISH", "davit:wake", "cron")
    assert wait_fired(davit, again + 1)["parameters"] == {"level": "full"}


PATHS = f"""\
image: {IMAGE}
jobs:
  docs: {{script: [echo docs], when: {{path: ["doc/**"]}}}}
  code: {{script: [echo code], when: {{path: ["src/**"]}}}}
"""


def ran(build):
    return {j["name"] for j in build["jobs"] if j["state"] == "passed"}


def test_conditions_on_changed_files(davit, repo):
    davit.add_repo(repo)
    first = repo.push({"daocloud.yml": PATHS, "doc/a": "1", "src/a": "1"})

    def push(commit, before, ref="refs/heads/main"):
        payload = {**forge.push_payload(commit, ref=ref), "before": before}
        return ran(davit.wait_build(forge.deliver(davit, payload).json["build"]))

    assert push(first, "0" * 40) == {"docs", "code"}, "the first push of the default branch: not known"
    second = repo.push({"doc/a": "2"})
    assert push(second, first) == {"docs"}
    repo.git("reset", "-q", "--hard", first)
    forced = repo.push({"src/a": "2"})
    assert push(forced, second) == {"docs", "code"}, "a forced push takes back what it leaves behind"
    assert push(forced, "1" * 40, ref="refs/heads/other") == {"docs", "code"}
    repo.git("checkout", "-q", "-b", "topic", first)
    repo.git("push", "-q", "--force", repo.bare, f"{first}:refs/heads/main")
    renamed = repo.git("mv", "src/a", "doc/b")
    renamed = repo.push({}, ref="refs/heads/topic")
    assert push(renamed, "0" * 40, ref="refs/heads/topic") == {"docs", "code"}, "a new branch; both names of a file"
    repo.git("reset", "-q", "--hard", first)
    pull = repo.push({"doc/a": "3"}, ref="refs/pull/7/head")
    repo.git("checkout", "-q", "main")
    repo.git("reset", "-q", "--hard", first)
    repo.push({"src/a": "9"})
    assert ran(davit.wait_build(deliver_pull(davit, pull).json["build"])) == {"docs"}, "from where it left its target"
    assert ran(davit.wait_build(start(davit))) == {"docs", "code"}, "by hand: not known"
