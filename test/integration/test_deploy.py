"""Deployments: approved, run, listed, rolled back; and what an environment does not take."""

import json

import forge
from server import IMAGE


def pipeline(**deploy):
    return json.dumps({"image": IMAGE, "jobs": {
        "test": {"script": ["echo tested > result"], "artifacts": [{"paths": ["result"]}]},
        "live": {"needs": ["test"], "deploy": {"environment": "live", "image": "davit-test/app:${short_commit}", **deploy}}}})


COMMAND = ["cat result", "echo $DAVIT_DEPLOY_IMAGE goes to $DAVIT_ENVIRONMENT in $REGION with $(cat data.txt)"]


def push(davit, repo, files, ref="refs/heads/main"):
    commit = repo.push(files, ref=ref)
    return commit, forge.deliver(davit, forge.push_payload(commit, ref=ref)).json["build"]


def deployments(davit):
    return davit.api("GET", "/repos/app/environments/live/deployments")["deployments"]


def test_approved_run_listed_and_rolled_back(davit, repo):
    davit.add_repo(repo)
    made = davit.cli("environment", "set", "app", "live", "--approve", "on", "--variable", "REGION=eu", "--branches", "main")
    assert made.returncode == 0 and "  branches: main\n" in made.stdout, made.stderr
    commits = []
    for n in (1, 2):
        commit, number = push(davit, repo, {"daocloud.yml": pipeline(command=COMMAND), "data.txt": f"version {n}"})
        commits.append(commit)
        davit.wait_waiting(f"{number}.2", "an approval")
        assert deployments(davit)[0]["state"] == "waiting"
        assert davit.cli("approve", f"{number}.2").returncode == 0
        assert davit.wait_build(number)["state"] == "passed"
        log = davit.job_log(f"{number}.2")
        assert b"tested\n" in log
        assert f"davit-test/app:{commit[:7]} goes to live in eu with version {n}\n".encode() in log
    listed = davit.cli("environment", "ls", "app").stdout
    assert commits[1][:8] in listed
    back = davit.cli("rollback", "app", "live")
    assert back.returncode == 0, back.stderr
    number = int(back.stdout.split()[1])
    build = davit.wait_build(number)
    assert (build["state"], build["event"], build["commit"]) == ("passed", "deploy", commits[0])
    assert build["jobs"][0]["reused_from"] == "1.1"
    log = davit.job_log(f"{number}.2")
    assert b"tested\n" in log and b"with version 1\n" in log
    history = deployments(davit)
    assert [(d["state"], d["commit"], d["approved_by"], d["redeploys"]) for d in history] == [
        ("passed", commits[0], "admin", 1), ("passed", commits[1], "admin", 0), ("passed", commits[0], "admin", 0)]
    assert davit.api("GET", "/repos/app/environments")["environments"][0]["deployment"]["commit"] == commits[0]
    shown = davit.cli("deployments", "app", "live").stdout
    assert len(shown.splitlines()) == 4 and "again 1" in shown
    seen = davit.cli("insights", "app", "--days", "7").stdout
    assert "live: deployments: 3 passed\n" in seen and "50 % of 2 changes failed or were taken back" in seen, seen
    assert all(f"  {time} " in seen for time in ("queue", "prepare", "run", "build", "lead", "restore")), seen
    nothing = davit.cli("rollback", "app", "live")
    assert nothing.returncode == 1 and "nothing else was deployed there before" in nothing.stderr


def test_rules_are_asked_when_it_is_planned_and_when_it_begins(davit, repo):
    davit.add_repo(repo)
    assert davit.cli("environment", "set", "app", "live", "--approve", "on", "--branches", "main", "--command", "echo deploying").returncode == 0
    _, number = push(davit, repo, {"daocloud.yml": pipeline(), "data.txt": ""}, ref="refs/heads/topic")
    build = davit.wait_build(number)
    assert (build["state"], build["reason"]) == ("failed", "live: the environment live does not take refs/heads/topic")
    assert deployments(davit) == [], "nobody was asked about it"
    _, number = push(davit, repo, {"daocloud.yml": pipeline(), "data.txt": ""})
    davit.wait_waiting(f"{number}.2", "an approval")
    assert davit.cli("environment", "set", "app", "live", "--branches", "release").returncode == 0
    assert davit.cli("approve", f"{number}.2").returncode == 0
    build = davit.wait_build(number)
    assert (build["state"], build["reason"]) == ("failed", "live: the environment live does not take refs/heads/main")
    assert davit.cli("environment", "set", "app", "live", "--branches", "main").returncode == 0
    again = davit.cli("deploy", str(number), "live")
    assert again.returncode == 0, again.stderr
    build = davit.wait_build(int(again.stdout.split()[1]))
    assert build["state"] == "passed"
    assert b"deploying\n" in davit.job_log(f"{build['build']}.2")


def test_a_locked_environment_waits(davit, repo):
    davit.add_repo(repo)
    for words in (["set", "app", "live", "--command", "echo deploying"], ["lock", "app", "live", "a freeze"]):
        done = davit.cli("environment", *words)
        assert done.returncode == 0, done.stderr
    _, number = push(davit, repo, {"daocloud.yml": pipeline(), "data.txt": ""})
    davit.wait_waiting(f"{number}.2", "environment live: locked by admin: a freeze")
    busy = davit.cli("environment", "rm", "app", "live")
    assert busy.returncode == 1 and "something is being deployed there" in busy.stderr
    assert davit.cli("environment", "unlock", "app", "live").returncode == 0
    assert davit.wait_build(number)["state"] == "passed"
    assert davit.cli("environment", "rm", "app", "live").returncode == 0
    assert davit.ask("GET", "/api/v1/repos/app/environments/live").status == 404


def test_settings_that_are_wrong(davit, repo):
    davit.add_repo(repo)
    for option, value, words in (("--events", "pushes", "events: "), ("--image", "A B", "image: "), ("--tags", "[", "tags: ")):
        wrong = davit.cli("environment", "set", "app", "live", option, value)
        assert wrong.returncode == 1 and words in wrong.stderr, wrong.stderr
    assert davit.ask("PUT", "/api/v1/repos/app/environments/live", {"colour": "red"}).status == 422
    assert davit.ask("PUT", "/api/v1/repos/gone/environments/live", {}).status == 404


def test_secrets_of_an_environment(davit, repo):
    """They are for the jobs that deploy there, and go with it."""
    davit.add_repo(repo)
    missing = davit.cli("secret", "set", "KEY", "--environment", "app/live", input="the key of live")
    assert missing.returncode == 1
    davit.cli("environment", "set", "app", "live", "--command", 'echo "key has $(printf %s "$KEY" | wc -c) bytes: $KEY"')
    done = davit.cli("secret", "set", "KEY", "--environment", "app/live", input="the key of live")
    assert done.returncode == 0, done.stderr
    assert "app/live" in davit.cli("secret", "ls", "--environment", "app/live").stdout
    plan = {"image": IMAGE, "jobs": {"live": {"secrets": ["KEY"], "deploy": "live"},
                                     "test": {"secrets": ["KEY"], "script": ["echo $KEY"], "allow_failure": True}}}
    _, number = push(davit, repo, {"daocloud.yml": json.dumps(plan)})
    build = davit.wait_build(number)
    jobs = {job["name"]: job for job in build["jobs"]}
    assert (build["state"], jobs["live"]["state"], jobs["test"]["state"]) == ("passed", "passed", "failed"), build
    assert "secret KEY is not there for repository app" in jobs["test"]["reason"]
    log = davit.job_log(jobs["live"]["id"])
    assert b"key has 15 bytes: " in log and b"the key of live" not in log
    assert davit.cli("environment", "rm", "app", "live").returncode == 0
    assert davit.api("GET", "/secrets")["secrets"] == []
