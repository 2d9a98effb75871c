"""Secrets: what a job is given, and that it is found nowhere else."""

import base64
import glob
import json
import os
import pty
import subprocess
import urllib.parse

import pytest

import forge
from server import FINAL, IMAGE, OBJ, Davit

CANARY = "c4n4ry/of+the~coal?mine&Zürich'42"
PEM = "-----BEGIN TEST KEY-----\n" + "\n".join(base64.b64encode(os.urandom(48)).decode() for _ in range(4)) + "\n-----END TEST KEY-----\n"


def forms(value):
    """Of the value whatever must not be found: as it is, and in the usual encodings wherever they begin."""
    raw = value.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote(value, safe="").encode(),
             urllib.parse.quote(value).encode(), json.dumps(value)[1:-1].encode()}
    for skip in range(3):
        whole = base64.b64encode(b"\0" * skip + raw)
        text = whole[0 if skip == 0 else skip + 1:(skip + len(raw)) * 8 // 6]
        found |= {text, text.replace(b"+", b"-").replace(b"/", b"_")}
    return found


CANARIES = forms(CANARY) | {line.encode() for line in PEM.splitlines()[1:-1]}


def search(where, data):
    for canary in CANARIES:
        assert canary not in data, f"{canary!r} stands in {where}"


def search_files(*patterns):
    count = 0
    for pattern in patterns:
        for path in glob.glob(pattern, recursive=True):
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    search(path, file.read())
                count += 1
    assert count > 0, patterns


def search_arguments():
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                search(path, file.read())
        except OSError:
            pass  # it has ended


def set_secret(davit, name, value, *args):
    done = davit.cli("secret", "set", name, *args, input=value)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


SCRIPT = f"""image: {IMAGE}
secrets: [CANARY, KEY]
script:
  - echo ready; while [ ! -e /tmp/go ]; do sleep 0.05; done
  - |
    echo "whole: $CANARY, again: $CANARY"
    half=$(printf %s "$CANARY" | cut -c1-14); other=${{CANARY#"$half"}}
    printf %s "split: $half"; sleep 0.3; echo "$other"
    printf %s "$CANARY" | while IFS= read -r -n 1 c || [ -n "$c" ]; do printf %s "$c"; done; echo
    echo "reversed: $other $half"
    echo "base64: $(printf %s "$CANARY" | base64 | tr -d '\\n')"
    echo "base64: $(printf %s "user:$CANARY" | base64 | tr -d '\\n')"
    echo "base64: $(printf %s "u:$CANARY:more" | base64 | tr -d '\\n')"
    echo "base64: $(printf %s "me:$CANARY" | base64 | tr -d '\\n' | tr '+/' '-_')"
    echo "hex: $(printf %s "$CANARY" | od -An -tx1 | tr -d ' \\n')"
    echo "$KEY"
    echo "error: $CANARY" >&2
    set -x; : "$CANARY"; set +x
  - printf %s "the end of a segment $half"
  - "false"
"""


def test_a_secret_stands_nowhere_but_in_the_job(make_davit, repo, receiver, docker, tmp_path):
    mail = forge.MailServer()
    davit = make_davit(smtp={"url": f"smtp://127.0.0.1:{mail.port}", "from": "davit@example.org"})
    davit.add_repo(repo, api=receiver.url, statuses=True, emails="dev@example.org", token="t0ken-of-the-forge")
    (tmp_path / "key").write_text(PEM)
    set_secret(davit, "CANARY", CANARY + "\n", "--repo", "app", "--events", "push,tag", "--branches", "main,release/*")
    set_secret(davit, "KEY", "", "--org", "acme", "--file", str(tmp_path / "key"))
    (tmp_path / "key").unlink()
    listed = davit.cli("secret", "ls").stdout
    assert "CANARY" in listed and "repo app" in listed and "push,tag" in listed and "main,release/*" in listed
    commit = repo.push({"daocloud.yml": SCRIPT})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    job = f"{number}.1"
    assert davit.wait_build(number, {"running", "failed", "error"})["state"] == "running", davit.api("GET", f"/builds/{number}")
    with davit.follow(job) as events:
        for event in events:
            if "ready" in event["data"]:
                break
    container = davit.api("GET", f"/jobs/{job}")
    assert container["state"] == "running"
    names = docker("ps", "-q", "--no-trunc").split()
    search("docker inspect", docker("inspect", *names).encode())
    root = docker("info", "-f", "{{.DockerRootDir}}")
    search_files(f"{root}/containers/*/*", f"{root}/overlay2/*/diff/davit/**", f"{root}/overlay2/*/diff/workspace/**",
                 f"{root}/overlay2/*/diff/tmp/**")
    search_arguments()
    running = docker("ps", "-q", "--no-trunc", "--filter", f"label=davit.job={job}").split() or names
    for name in running:
        docker("exec", name, "touch", "/tmp/go", check=False)
    build = davit.wait_build(number)
    assert build["state"] == "failed" and "exit code 1" in build["reason"], build
    mail.wait()
    receiver.wait(lambda requests: any(json.loads(r["body"]).get("state") == "failure" for r in requests))
    log = davit.job_log(job)
    search("the job's log", log)
    for line in ("whole: ***, again: ***", "error: ***", "split: ", "base64: ***", "hex: ***", "secrets: CANARY of repo app, KEY of org acme"):
        assert line.encode() in log, log.decode()
    search("a status", b"".join(r["body"] for r in receiver.requests))
    search("a mail", b"".join(m["text"] for m in mail.mails))
    for path in ("/secrets", "/secrets?repo=app", "/repos", "/repos/app", f"/builds/{number}", "/builds", f"/jobs/{job}", "/queue"):
        search(path, davit.ask("GET", "/api/v1" + path).body)
    with davit.follow(job) as events:
        search("the stream", json.dumps([event["data"] for event in events]).encode())
    for key in davit.redis("KEYS", "*").split("\n"):
        search(key, davit.redis("DUMP", key).encode())
    davit.stop()
    mail.close()
    search_files(f"{davit.folder}/**", f"{root}/containers/**")
    text = "\n".join(davit.log.lines)
    assert f"job {job}: secrets: CANARY of repo app, KEY of org acme" in text
    assert "secret CANARY of repo app: set by admin at 127.0.0.1" in text
    assert "t0ken-of-the-forge" not in text


ASKING = f"image: {IMAGE}\nsecrets: [TOKEN]\nscript:\n  - echo \"it is $TOKEN\"\n"
SILENT = f"image: {IMAGE}\nscript:\n  - echo \"it is [$TOKEN]\"\n"


def outcome(davit, number):
    build = davit.wait_build(number, FINAL | {"waiting"})
    assert build["jobs"], build
    return build["state"], build["jobs"][0]["reason"], davit.job_log(f"{number}.1").decode()


def test_every_part_of_a_job_has_them(davit, repo):
    davit.add_repo(repo)
    set_secret(davit, "deploy-key.1", CANARY, "--repo", "app")
    repo.push({"daocloud.yml": f"""image: {IMAGE}
jobs:
  one:
    secrets: [{{name: deploy-key.1, as: KEY}}]
    before_script: ['echo "before: $KEY"']
    script: ['echo "script: $KEY"']
    after_script: ['echo "after: $KEY"; [ -n "$KEY" ] && echo there']
  two:
    script: ['echo "two: [$KEY]"']
"""})
    commit = repo.git("rev-parse", "HEAD")
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    state, _, log = outcome(davit, number)
    assert state == "passed", log
    for part in ("before: ***", "script: ***", "after: ***", "there"):
        assert f"\n{part}\n" in log, log
    search("the log", log.encode())
    assert "two: []" in davit.job_log(f"{number}.2").decode()


def pull_payload(commit, fork):
    return {
        "action": "synchronize", "number": 7,
        "pull_request": {
            "number": 7, "state": "open", "title": "Pull", "user": {"login": "eve"}, "html_url": "https://forge.test/pull/7",
            "head": {"ref": "topic", "sha": commit, "repo": {"id": 2 if fork else 1, "full_name": "eve/app" if fork else "acme/app", "fork": fork,
                                                             "clone_url": "ssh://forge.test/x.git"}},
            "base": {"ref": "main", "sha": "0" * 40, "repo": {"id": 1, "full_name": "acme/app", "clone_url": "https://forge.test/acme/app.git"}}},
        "repository": {"full_name": "acme/app", "html_url": "https://forge.test/acme/app"}, "sender": {"login": "eve"},
    }


def test_rules_decide_who_gets_it(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": ASKING})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    state, reason, log = outcome(davit, number)
    assert state == "failed" and "davit secret set TOKEN --repo app" in reason and reason in log
    set_secret(davit, "TOKEN", "of the organisation", "--org", "acme")
    set_secret(davit, "TOKEN", "of the repository", "--repo", "app", "--branches", "main")
    number = davit.api("POST", f"/builds/{number}/rerun")["build"]
    state, reason, log = outcome(davit, number)
    assert state == "passed" and "it is ***" in log and "TOKEN of repo app" in log
    repo.push({"topic": "x"}, ref="refs/heads/topic")
    commit = repo.git("rev-parse", "HEAD")
    number = forge.deliver(davit, forge.push_payload(commit, ref="refs/heads/topic")).json["build"]
    state, reason, _ = outcome(davit, number)
    assert state == "failed" and "it is for the branches main" in reason
    assert davit.cli("secret", "rm", "TOKEN", "--repo", "app").returncode == 0
    assert davit.cli("secret", "rm", "TOKEN", "--repo", "app").returncode == 1
    number = davit.api("POST", f"/builds/{number}/rerun")["build"]
    state, _, log = outcome(davit, number)
    assert state == "passed" and "TOKEN of org acme" in log


def test_a_fork_gets_none_approved_or_not(davit, repo):
    davit.add_repo(repo)
    set_secret(davit, "TOKEN", "not for strangers", "--repo", "app")
    commit = repo.push({"daocloud.yml": ASKING}, ref="refs/pull/7/head")
    number = forge.deliver(davit, pull_payload(commit, fork=True), event="pull_request").json["build"]
    assert davit.wait_build(number, FINAL | {"waiting"})["state"] == "waiting"
    davit.api("POST", f"/builds/{number}/approve")
    state, reason, log = outcome(davit, number)
    assert state == "failed" and "code from outside the repository gets no secrets" in reason
    number = davit.api("POST", f"/builds/{number}/rerun")["build"]
    if davit.wait_build(number, FINAL | {"waiting"})["state"] == "waiting":
        davit.api("POST", f"/builds/{number}/approve")
    assert outcome(davit, number)[0] == "failed"
    number = forge.deliver(davit, pull_payload(commit, fork=False), event="pull_request").json["build"]
    state, _, log = outcome(davit, number)
    assert state == "passed" and "it is ***" in log, "who may push to the repository may have its secrets"


def test_by_hand_from_a_pull_request_is_foreign_code(davit, repo):
    davit.add_repo(repo)
    set_secret(davit, "TOKEN", "not for strangers", "--repo", "app")
    commit = repo.push({"daocloud.yml": ASKING}, ref="refs/pull/7/head")
    number = davit.api("POST", "/repos/app/builds", {"commit": commit, "ref": "refs/pull/7/head"})["build"]
    state, reason, log = outcome(davit, number)
    assert state == "failed" and "code from outside the repository gets no secrets" in reason
    commit = repo.push({"daocloud.yml": SILENT}, ref="refs/pull/8/head")
    number = davit.api("POST", "/repos/app/builds", {"commit": commit, "ref": "refs/pull/8/head"})["build"]
    state, reason, log = outcome(davit, number)
    assert state == "passed" and "it is []" in log


@pytest.mark.parametrize("value,words", [("abc", "too short"), ("", "too short"), ("x" * 60000, "49152"), ("bad \0 nul", "NUL"),
                                         (b"\xff\xfe bytes".decode("latin-1"), None)])
def test_values_that_cannot_be_kept(davit, repo, value, words):
    davit.add_repo(repo)
    done = davit.cli("secret", "set", "TOKEN", "--repo", "app", input=value)
    assert (done.returncode == 1 and words in done.stderr) if words else done.returncode == 0, done
    wrong = davit.ask("PUT", "/api/v1/secrets/repo/none/TOKEN", {"value": "long enough"})
    assert wrong.status == 404


def test_a_terminal_does_not_show_what_is_typed(davit, repo):
    davit.add_repo(repo)
    ours, theirs = pty.openpty()
    env = {**os.environ, "DAVIT_URL": davit.url, "DAVIT_TOKEN": davit.token}
    process = subprocess.Popen([os.path.join(OBJ, "cli/davit"), "secret", "set", "TOKEN", "--repo", "app"], env=env,
                               stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    while b"Ctrl-D" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, b"typed by hand\n\x04")
    assert process.wait(60) == 0
    while not shown.endswith(b"\n"):
        shown += os.read(ours, 1000)
    os.close(ours)
    assert b"typed" not in shown
    repo.push({"daocloud.yml": f"image: {IMAGE}\nsecrets: [TOKEN]\nscript:\n  - '[ \"$TOKEN\" = \"typed by hand\" ]'\n"})
    number = davit.api("POST", "/repos/app/builds", {"commit": repo.git("rev-parse", "HEAD"), "branch": "main"})["build"]
    assert outcome(davit, number)[0] == "passed"


# --- a new key ---

def sealed(davit):
    return {davit.redis("HGET", key, field) for key, field in
            (("davit:repo:app", "secret"), ("davit:repo:app", "token"), ("davit:secret:repo:app:TOKEN", "value"))}


def assert_all_opens(davit, repo):
    number = davit.api("POST", "/repos/app/builds", {"commit": repo.git("rev-parse", "HEAD"), "branch": "main"})["build"]
    state, _, log = outcome(davit, number)
    assert state == "passed" and "it is ***" in log


def test_rotation(davit, repo):
    davit.add_repo(repo, token="t0ken-of-the-forge")
    repo.push({"daocloud.yml": ASKING})
    set_secret(davit, "TOKEN", CANARY, "--repo", "app")
    before, key = sealed(davit), open(f"{davit.state}/seal-key").read()
    done = davit.cli("secret", "rotate-key")
    assert done.returncode == 0, done.stderr
    davit.log.wait("seal key: 3 values are sealed anew; the old key is removed")
    assert not before & sealed(davit)
    assert open(f"{davit.state}/seal-key").read() != key
    assert not os.path.exists(f"{davit.state}/seal-key.old")
    assert_all_opens(davit, repo)
    davit.stop()
    davit.start()
    assert_all_opens(davit, repo)


def test_a_key_that_cannot_be_written_changes_nothing(davit, repo):
    davit.add_repo(repo)
    repo.push({"daocloud.yml": ASKING})
    set_secret(davit, "TOKEN", CANARY, "--repo", "app")
    key = open(f"{davit.state}/seal-key").read()
    os.mkdir(f"{davit.state}/seal-key.new")
    davit.cli("secret", "rotate-key")
    davit.log.wait("seal key: it stays as it was")
    assert open(f"{davit.state}/seal-key").read() == key
    assert_all_opens(davit, repo)
    os.rmdir(f"{davit.state}/seal-key.new")
    assert davit.cli("secret", "rotate-key").returncode == 0
    davit.log.wait("seal key: 2 values are sealed anew; the old key is removed")
    assert_all_opens(davit, repo)


def test_a_rotation_before_an_older_one_is_finished_is_refused(tmp_path):
    """A restart in the middle of one, and Redis is not there yet: what is sealed opens with the old key alone."""
    folder = tmp_path / "early"
    folder.mkdir()
    davit = Davit(folder, redis={"url": f"unix://{tmp_path}/nobody.sock"})
    for name, digit in ("seal-key", "1"), ("seal-key.old", "2"):
        with open(f"{davit.state}/{name}", "w") as file:
            file.write(digit * 64 + "\n")
    try:
        davit.start(wait_ready=False)
        assert davit.ask("POST", "/api/v1/seal-key/rotate").status == 409
        assert open(f"{davit.state}/seal-key.old").read() == "2" * 64 + "\n"
        assert open(f"{davit.state}/seal-key").read() == "1" * 64 + "\n"
        davit.stop()
    finally:
        davit.end()


@pytest.mark.parametrize("state", ["idle -> write", "write -> keep", "keep -> switch", "switch -> switched", "switched -> reseal",
                                   "reseal -> forget", "forget -> forgotten"])
def test_a_kill_in_any_state_of_a_rotation(davit, repo, state):
    davit.add_repo(repo, token="t0ken-of-the-forge")
    repo.push({"daocloud.yml": ASKING})
    for i in range(20):
        davit.api("PUT", f"/secrets/repo/app/MORE_{i}", {"value": f"value number {i}"})
    set_secret(davit, "TOKEN", CANARY, "--repo", "app")
    assert davit.cli("secret", "rotate-key").returncode == 0
    davit.log.wait(f"seal key: {state}")
    davit.kill()
    was_under_way = os.path.exists(f"{davit.state}/seal-key.old")
    davit.start()
    assert_all_opens(davit, repo)
    if was_under_way:
        davit.log.wait("the old key is removed")
    before = len(davit.log.lines)
    done = davit.cli("secret", "rotate-key")
    assert done.returncode == 0, done.stderr
    davit.log.wait("seal key: 23 values are sealed anew; the old key is removed", since=before)
    assert not os.path.exists(f"{davit.state}/seal-key.old")
    assert_all_opens(davit, repo)
