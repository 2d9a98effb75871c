"""What is asked for again since its answer was lost is done once: on the way, by davitd's death, by another daemon."""

import json
import socket

import forge
from cutter import Cutter
from server import IMAGE, Events

KEY = {"Idempotency-Key": '"8e03978e40d543e8bc936894a57f9324"'}
NEVER = f"image: {IMAGE}\nwhen: {{branch: nowhere}}\nscript: [echo never]\n"  # a build that is over without a container


def built(davit, repo):
    """The number of a build that is over, the first."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, NEVER)
    davit.wait_build(number)
    return number


def numbers(davit):
    return [build["build"] for build in davit.api("GET", "/builds")["builds"]]


def rerun(davit, number):
    """Until the answer of the first time is there."""
    while True:
        answer = davit.ask("POST", f"/api/v1/builds/{number}/rerun", headers=KEY)
        if answer.status != 409 or "Retry-After" not in answer.headers:
            return answer


def send_and_leave(davit, number):
    """A client that goes when its request has become a build, without reading a word."""
    with Events(davit) as events, socket.create_connection(("127.0.0.1", davit.port)) as client:
        head = [f"POST /api/v1/builds/{number}/rerun HTTP/1.1", "Host: davit.test", f"Authorization: Bearer {davit.token}",
                "Idempotency-Key: " + KEY["Idempotency-Key"], "Content-Length: 0"]
        client.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        while json.loads(events.wait(60)["data"]).get("build") != number + 1:
            pass


def test_an_answer_that_nobody_has_read(make_davit, repo, external):
    """It is there on the other daemon, too."""
    redis = {"url": f"unix://{external()}"}
    davit = make_davit(node="one", redis=redis)
    other = make_davit(node="two", redis=redis, seal_key_of=davit)
    number = built(davit, repo)
    send_and_leave(davit, number)
    for daemon in (davit, other):
        answer = rerun(daemon, number)
        assert (answer.status, answer.json["build"], answer.headers["Idempotent-Replayed"]) == (201, number + 1, "true")
    assert numbers(davit) == [number + 1, number]
    answer = davit.ask("POST", f"/api/v1/builds/{number + 1}/rerun", headers=KEY)
    assert answer.status == 422 and "another request" in answer.json["error"]["message"]
    other.stop()
    davit.stop()


def test_davitd_dies_before_it_answers(make_davit, repo):
    davit = make_davit()
    number = built(davit, repo)
    davit.kill()
    davit.environment["DAVIT_CRASH"] = "rerun_recorded:1"
    davit.start()
    try:
        davit.ask("POST", f"/api/v1/builds/{number}/rerun", headers=KEY)
        raise AssertionError("it lives on")
    except (OSError, socket.error) as error:
        assert davit.process.wait(30) == -9, error
    davit.environment.clear()
    davit.start()
    answer = rerun(davit, number)
    assert answer.status == 409 and "may have been done" in answer.json["error"]["message"]
    assert numbers(davit) == [number + 1, number]
    davit.stop()


def test_the_cli_asks_again(davit, repo, monkeypatch):
    number = built(davit, repo)
    cutter = Cutter(davit.port, "/rerun", 0, 60, -1)
    with monkeypatch.context() as patch:
        patch.setattr(type(davit), "url", cutter.url)
        done = davit.cli("rerun", str(number))
    cutter.close()
    assert done.returncode == 0 and str(number + 1) in done.stdout, done
    assert cutter.requests >= 4 and numbers(davit) == [number + 1, number]
    davit.stop()
