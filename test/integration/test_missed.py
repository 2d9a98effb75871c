"""Pushes of which no delivery tells: they are found by looking, and each is built once, whatever comes late."""

import os

import forge
from server import IMAGE

FILES = {"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo built\n"}
OFTEN = {"poll": "1s"}
OTHER = "refs/heads/other"


def looked(davit, times=1):
    """Until the repository was looked at so many times, from begin to end."""
    for _ in range(times + 1):  # the first one may have begun before
        davit.log.wait("look at app: report -> done", since=len(davit.log.lines))


def builds(davit):
    return sorted((build["build"], build["ref"], build["commit"]) for build in davit.api("GET", "/builds")["builds"])


def test_pushed_while_davitd_was_down(make_davit, repo):
    davit = make_davit(hook=OFTEN)
    davit.add_repo(repo)
    old = repo.push(FILES)
    answer = forge.deliver(davit, forge.push_payload(old))
    looked(davit)
    davit.kill()
    new = repo.push({"data.txt": "x"}, "Came while nobody listened")
    davit.start()
    davit.log.wait("app: no delivery told of refs/heads/main at " + new)
    build = davit.wait_build(answer.json["build"] + 1)
    assert (build["state"], build["commit"], build["title"], build["author"], build["event"]) == (
        "passed", new, "Came while nobody listened", "Ada Example", "push"), build
    for _ in range(2):  # two deliveries, none of which was sent before
        late = forge.deliver(davit, {**forge.push_payload(new), "before": old})
        assert (late.status, late.json["build"]) == (200, build["build"]), late
    looked(davit, 2)
    assert len(builds(davit)) == 2
    davit.stop()


def test_a_delivery_that_was_dropped(make_davit, repo):
    davit = make_davit(hook=OFTEN)
    first = repo.push(FILES)
    davit.add_repo(repo)
    looked(davit)
    assert builds(davit) == [], "what was there before is not built"
    second = repo.push({"data.txt": "x"})
    davit.log.wait("no delivery told of refs/heads/main at " + second)
    repo.git("tag", "-a", "-m", "The first", "v1", first)
    repo.git("push", "-q", repo.bare, "v1")
    davit.log.wait("no delivery told of refs/tags/v1 at " + first)
    repo.git("push", "-q", "--force", repo.bare, f"{first}:refs/heads/main")
    davit.log.wait("no delivery told of refs/heads/main at " + first)
    repo.push({"data.txt": "y"}, "Not this [skip ci]")
    looked(davit, 2)
    assert builds(davit) == [(1, "refs/heads/main", second), (2, "refs/tags/v1", first), (3, "refs/heads/main", first)]
    davit.stop()


def test_what_is_told_is_built_once(make_davit, repo):
    davit = make_davit(hook=OFTEN)
    davit.add_repo(repo)
    looked(davit)
    first = repo.push(FILES, ref=OTHER)
    told = [(1, OTHER, first)]
    forge.deliver(davit, forge.push_payload(first, OTHER))
    looked(davit, 2)
    assert builds(davit) == told
    second = repo.push({}, "Not this [ci skip]", OTHER)
    forge.deliver(davit, {**forge.push_payload(second, OTHER, "Not this [ci skip]"), "before": first})
    assert davit.redis("HGET", "davit:heads:app", OTHER) == second
    repo.git("push", "-q", repo.bare, ":" + OTHER)
    gone = forge.deliver(davit, {**forge.push_payload("0" * 40, OTHER), "before": second, "deleted": True})
    assert gone.json == {"ignored": "a branch was deleted"}
    assert davit.redis("EXISTS", "davit:heads:app") == "0"
    looked(davit, 2)
    assert builds(davit) == told
    davit.stop()


def test_a_forge_that_cannot_be_reached(make_davit, repo):
    davit = make_davit(hook=OFTEN)
    davit.add_repo(repo)
    looked(davit)
    os.rename(repo.bare, repo.bare + ".away")
    davit.log.wait("warn +app: missed pushes cannot be looked for: ")
    shown = davit.api("GET", "/repos/app")["poll_error"]
    assert shown and shown == davit.redis("HGET", "davit:repo:app", "poll_error")
    looked(davit)
    os.rename(repo.bare + ".away", repo.bare)
    davit.log.wait("info +app: missed pushes are looked for again, after [2-9] failures")
    assert davit.api("GET", "/repos/app")["poll_error"] == ""
    warned = [line for line in davit.log.lines if "cannot be looked for" in line]
    assert len(warned) == 1, warned
    davit.stop()
