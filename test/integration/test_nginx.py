"""The shipped nginx sample with the real nginx: hook, API, live log through it, large body refused."""

import os

import pytest

import forge
import nginx
import server
from server import IMAGE

SAMPLE = os.path.join(os.path.dirname(__file__), "../../conf/nginx/davit.conf")


class Proxied(server.Davit):
    """The same server, asked through nginx."""

    def __init__(self, davit, port):
        self.__dict__.update(davit.__dict__)
        self.port = port


@pytest.fixture
def proxied(davit, tmp_path):
    port = forge.free_port()
    with open(SAMPLE) as sample:
        text = sample.read()
    assert "server 127.0.0.1:8080;" in text and "listen 80;" in text
    text = text.replace("server 127.0.0.1:8080;", f"server 127.0.0.1:{davit.port};")
    running = nginx.Nginx(tmp_path / "nginx", text.replace("listen 80;", f"listen 127.0.0.1:{port};"), port)
    proxied = Proxied(davit, port)
    yield proxied
    running.stop()


def test_push_and_live_log(proxied, repo):
    proxied.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo early\n  - sleep 3\n  - echo late\n"})
    answer = forge.deliver(proxied, forge.push_payload(commit))
    assert answer.status == 202, answer
    number = answer.json["build"]
    proxied.wait_build(number, {"running", "passed"})
    with proxied.follow(f"{number}.1") as events:
        for event in events:
            if event["event"] == "log" and "early\\n" in event["data"]:
                state = proxied.api("GET", f"/builds/{number}")["state"]
                assert state == "running", "the line is here before the job has ended"
                break
        rest = [e for e in events]
    assert rest[-1]["event"] == "end"
    assert any("late" in e["data"] for e in rest)
    assert proxied.wait_build(number)["state"] == "passed"


def test_large_body_is_refused(proxied, repo):
    proxied.add_repo(repo)
    answer = forge.deliver(proxied, b"x" * (27 << 20))
    assert answer.status == 413
    assert proxied.ask("GET", "/healthz", token=False).status == 200


def test_wrong_signature_and_page(proxied, repo):
    proxied.add_repo(repo)
    assert forge.deliver(proxied, forge.push_payload("1" * 40), secret="wrong").status == 401
    page = proxied.ask("GET", "/", token=False)
    assert page.status == 200 and b"<html" in page.body
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
