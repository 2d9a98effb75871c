"""A push becomes a build: webhook, plan, container, log, status, mail, and nothing left behind."""

import json
import ssl
import subprocess

import pytest

import forge
from server import IMAGE

PIPELINE = f"""\
image: {IMAGE}
env:
  - GREETING = "hello"
before_script:
  - echo "on $(cat .git/HEAD | cut -c1-3)"
script:
  - echo "$GREETING world"
  - echo to stderr >&2
  - test -f data.txt
"""


def states(requests, commit):
    return [json.loads(r["body"])["state"] for r in requests if r["path"].endswith(commit)]


def test_push_to_passed(davit, repo, docker):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"})
    answer = forge.deliver(davit, forge.push_payload(commit))
    assert answer.status == 202
    number = answer.json["build"]
    build = davit.wait_build(number)
    assert build["state"] == "passed", build
    assert build["commit"] == commit
    assert build["branch"] == "main"
    job = build["jobs"][0]
    assert (job["state"], job["exit_code"], job["attempt"]) == ("passed", 0, 1)
    log = davit.job_log(job["id"]).decode()
    assert "hello world\n" in log
    assert "to stderr\n" in log
    assert "\x1e" not in log, "markers do not reach the stored log"
    davit.stop()
    assert docker("ps", "-aq", "--filter", f"label=davit.job={job['id']}") == ""


@pytest.mark.parametrize("kind,payload", [
    ("github", forge.push_payload), ("gitea", forge.push_payload), ("gitlab", forge.gitlab_payload)])
def test_every_forge_gets_its_statuses_in_order(davit, repo, receiver, kind, payload):
    davit.add_repo(repo, forge=kind, api=receiver.url, token="t0ken", statuses=True)
    commit = repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"})
    answer = forge.deliver(davit, payload(commit), forge=kind)
    assert answer.status == 202, answer
    assert davit.wait_build(answer.json["build"])["state"] == "passed"
    path = {"github": f"/api/v3/repos/acme/app/statuses/{commit}", "gitea": f"/api/v1/repos/acme/app/statuses/{commit}",
            "gitlab": f"/api/v4/projects/acme%2Fapp/statuses/{commit}"}[kind]
    requests = receiver.wait(lambda rs: "success" in states(rs, commit))
    assert {r["path"] for r in requests} == {path}
    assert all("t0ken" in r["headers"]["PRIVATE-TOKEN" if kind == "gitlab" else "Authorization"] for r in requests)
    seen = states(requests, commit)
    assert seen[0] == "pending" and seen[-1] == "success" and sorted(seen, key=["pending", "running", "success"].index) == seen
    davit.stop()


def test_failed_script_names_segment_and_exit_code(davit, repo, receiver):
    davit.add_repo(repo, api=receiver.url, token="t0ken", statuses=True)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo before\n  - exit 3\n  - echo never\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number)
    assert build["state"] == "failed"
    assert build["jobs"][0]["exit_code"] == 3
    assert "script" in build["jobs"][0]["reason"] and "3" in build["jobs"][0]["reason"]
    log = davit.job_log(f"{number}.1").decode()
    assert "before" in log and "\nnever\n" not in log
    assert "failure" in states(receiver.wait(lambda rs: "failure" in states(rs, commit)), commit)


def test_mail_by_starttls_and_auth(make_davit, repo, tmp_path):
    server = forge.MailServer(forge.certificate(tmp_path), {"davit": "p4ssword"})
    try:
        (tmp_path / "smtp-password").write_text("p4ssword\n")
        davit = make_davit(smtp={"url": f"smtp://127.0.0.1:{server.port}", "user": "davit", "starttls": "required",
                                 "password_file": str(tmp_path / "smtp-password"), "from": "davit@example.org",
                                 "ca": str(tmp_path / "cert.pem")})
        davit.add_repo(repo, emails="owner@example.org")
        commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript: [\"false\"]\n"
                            "notify: {email: {recipients: [dev@example.org], on_failure: always}}\n"},
                           message="Break: the build\n\n.\nhidden")
        number = forge.deliver(davit, forge.push_payload(commit, message="Break: the build\n\n.\nhidden")).json["build"]
        assert davit.wait_build(number)["state"] == "failed"
        mail = server.wait(2)[0]
        assert mail["tls"] and mail["authenticated"]
        assert {to for m in server.mails for to in m["to"]} == {"dev@example.org", "owner@example.org"}
        text = mail["text"].decode()
        assert "Subject:" in text and f"/builds/{number}" in text and "failed" in text
    finally:
        server.close()


def test_statuses_survive_an_outage_of_the_forge(davit, repo, receiver):
    refuse = iter([True] * 3)
    receiver.answer = lambda request: (503, {}, b"down") if next(refuse, False) else (201, {}, b"{}")
    davit.add_repo(repo, api=receiver.url, token="t0ken", statuses=True)
    commit = repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"})
    forge.deliver(davit, forge.push_payload(commit))
    requests = receiver.wait(lambda rs: "success" in states(rs, commit), timeout=120)
    assert states(requests, commit)[:4] == ["pending"] * 4, "the refused one is repeated before the next is sent"


def test_services_are_reached_by_name(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"""\
image: {IMAGE}
services:
  - name: web
    image: {IMAGE}
    env: {{GREETING: hello}}
    ready: {{tcp: 8000, timeout: 20s}}
script:
  - echo service test
"""})
    # The service's image has no daemon of its own: the readiness probe must give up with a reason.
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number)
    assert build["state"] == "error"
    assert "web" in build["jobs"][0]["reason"]


def test_cancel_ends_a_running_job(davit, repo, docker):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo started\n  - sleep 600\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"running"})
    with davit.follow(f"{number}.1") as events:
        for event in events:
            if event["event"] == "log" and "started" in event["data"]:
                break
    davit.api("POST", f"/builds/{number}/cancel")
    build = davit.wait_build(number, timeout=30)
    assert build["state"] == "cancelled"
    assert docker("ps", "-aq", "--filter", f"label=davit.job={number}.1") == ""


def test_timeout_ends_a_job(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\ntimeout: 2s\nscript:\n  - sleep 600\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number, timeout=60)
    assert build["state"] == "timed_out"


def test_rerun_makes_a_new_build_of_the_same_change(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PIPELINE, "data.txt": "x"})
    first = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(first)
    second = davit.api("POST", f"/builds/{first}/rerun")["build"]
    assert second != first
    build = davit.wait_build(second)
    assert (build["state"], build["commit"], build["rerun_of"]) == ("passed", commit, first)


def test_followers_see_every_byte_once(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"""\
image: {IMAGE}
script:
  - i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i of the log"; done
"""})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"running", "passed"})
    text, last, half = "", None, None
    with davit.follow(f"{number}.1") as events:
        for event in events:
            if event["event"] == "end":
                break
            if event["event"] == "log":
                text += json.loads(event["data"])
                last = event["id"]
                if half is None and len(text) > 10000:
                    half = (int(last), len(text.encode()))
    stored = davit.job_log(f"{number}.1").decode()
    assert text == stored
    assert int(last) == len(stored.encode())
    with davit.follow(f"{number}.1", last_event_id=half[0]) as events:
        rest = "".join(json.loads(e["data"]) for e in iter_until_end(events))
    assert rest.encode() == stored.encode()[half[0]:]
    answer = davit.ask("GET", f"/api/v1/jobs/{number}.1/log", headers={"Range": "bytes=10-19"})
    assert (answer.status, answer.body) == (206, stored.encode()[10:20])


def iter_until_end(events):
    for event in events:
        if event["event"] == "end":
            return
        if event["event"] == "log":
            yield event


def test_names_of_two_processes_differ(make_davit, repo, docker):
    """What a killed davitd has asked for, the engine may make after the next one's sweep has looked: a container of the same
    name would be refused then, and of two networks of one name it takes neither."""

    def names():
        networks = docker("network", "ls", "--filter", "label=davit.node=twice", "--format", "{{.Name}}")
        return set(networks.split()) | set(docker("ps", "-a", "--filter", "label=davit.node=twice", "--format", "{{.Names}}").split())

    davit = make_davit(node="twice", builder={"warm_images": 0})
    davit.add_repo(repo)
    kept = []
    for _ in range(2):
        number = forge.push(davit, repo, f"image: {IMAGE}\nscript: [echo fine]\n")
        assert davit.wait_build(number)["state"] == "passed"
        kept.append(names())
        davit.kill()
        davit.start()
    assert any("-net-" in name for name in kept[0]) and any("-pause-" in name for name in kept[0])
    assert not kept[0] & kept[1]
