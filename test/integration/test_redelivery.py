"""GitHub's record of deliveries: what did not arrive is sent again when davitd asks for it, and built once."""

import json
import threading

import forge
from server import IMAGE

FILES = {"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo built\n"}
PAGE = 30


class GitHub:
    """Its API for one webhook: a list of attempts, newest first, in pages; and it delivers again when told to."""

    def __init__(self):
        self.attempts = []
        self.bodies = {}
        self.davit = None
        self.listens = threading.Event()  # davitd, at a port that we know
        self.receiver = forge.Receiver(self.answer)

    def deliver(self, payload, event="push", arrives=True):
        """A delivery that arrives, or fails as when nobody listens."""
        guid = f"{len(self.bodies):08}-guid"
        self.bodies[guid] = (event, payload)
        return self.attempt(guid, arrives)

    def attempt(self, guid, arrives=True):
        event, payload = self.bodies[guid]
        assert not arrives or self.listens.wait(60)
        answer = forge.deliver(self.davit, payload, event=event, delivery=guid) if arrives else None
        self.attempts.insert(0, {"id": len(self.attempts) + 1, "guid": guid, "event": event,
                                 "status_code": answer.status if answer else 0})
        return answer

    def answer(self, request):
        path, _, query = request["path"].partition("?")
        if request["headers"].get("Authorization") != "Bearer hooks-token":
            return 404, {}, b'{"message": "Not Found"}'
        if path == "/api/v3/repos/acme/app/hooks":
            return 200, {}, json.dumps([{"id": 7, "config": {"url": "http://elsewhere.test/hook/app"}},
                                        {"id": 8, "config": {"url": "http://davit.test/hook/app"}}]).encode()
        if path == "/api/v3/repos/acme/app/hooks/8/deliveries":
            start = int(query.partition("cursor=")[2] or 0)
            more = f'<{self.receiver.url}{path}?per_page=100&cursor={start + PAGE}>; rel="next"'
            return 200, {"Link": more} if start + PAGE < len(self.attempts) else {}, json.dumps(
                self.attempts[start:start + PAGE]).encode()
        asked = [a["guid"] for a in self.attempts if path == f"/api/v3/repos/acme/app/hooks/8/deliveries/{a['id']}/attempts"]
        assert request["method"] == "POST" and asked, request
        self.attempt(asked[0])
        return 202, {}, b"{}"


def start(make_davit, repo, github, token="hooks-token", **more):
    davit = make_davit(hook={"poll": "1s"}, **more)
    github.davit = davit
    github.listens.set()
    davit.add_repo(repo, api=github.receiver.url, token=token, statuses=False)
    davit.log.wait("look at app: report -> done")
    return davit


def builds(davit):
    return [(build["build"], build["commit"]) for build in sorted(davit.api("GET", "/builds?limit=100")["builds"],
                                                                   key=lambda build: build["build"])]


def test_what_failed_is_sent_again(make_davit, repo):
    github = GitHub()
    davit = start(make_davit, repo, github)
    davit.kill()
    github.listens.clear()
    commits = [repo.push({**FILES, "n": str(n)}, f"Number {n}") for n in range(4)]
    payloads = [{**forge.push_payload(commit), "before": before} for before, commit in zip(["0" * 40, *commits], commits)]
    for payload in payloads[:3]:
        github.deliver(payload, arrives=False)
    for n in range(PAGE):  # they stand on the second page too
        github.deliver({"zen": str(n)}, event="issues", arrives=False)
    github.deliver(payloads[3], arrives=False)
    davit.start()
    github.listens.set()
    davit.log.wait("app: GitHub sends 4 missed deliveries again")
    davit.log.wait("look at app: report -> done", since=len(davit.log.lines))
    davit.log.wait("look at app: report -> done", since=len(davit.log.lines))
    assert builds(davit) == [(n + 1, commit) for n, commit in enumerate(commits)]
    posted = [request for request in github.receiver.requests if request["method"] == "POST"]
    assert len(posted) == 4, posted
    davit.stop()
    github.receiver.close()


def test_a_token_that_may_not_leaves_it_to_git(make_davit, repo):
    github = GitHub()
    davit = start(make_davit, repo, github, token="another")
    commit = repo.push(FILES)
    github.deliver(forge.push_payload(commit), arrives=False)
    davit.log.wait("no delivery told of refs/heads/main at " + commit)
    late = github.attempt("00000000-guid")
    assert (late.status, late.json["build"]) == (200, 1), late
    assert builds(davit) == [(1, commit)]
    davit.stop()
    github.receiver.close()
