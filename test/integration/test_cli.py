"""`davit`, as a user calls it."""

import json
import time

import forge
from server import IMAGE


def test_the_usual_way(davit, repo, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    added = davit.cli("repo", "add", "app", "--clone", repo.url, "--forge", "github", "--secret-file", str(tmp_path / "secret"))
    assert added.returncode == 0, added.stderr
    assert "/hook/app" in added.stdout
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo hello from the cli\n"}, message="A title")
    number = forge.deliver(davit, forge.push_payload(commit, message="A title")).json["build"]
    log = davit.cli("log", "-f", str(number))
    assert log.returncode == 0, log.stdout + log.stderr
    assert "hello from the cli\n" in log.stdout
    assert f"build {number} passed" in log.stdout
    assert "hello from the cli\n" in davit.cli("log", f"{number}.1").stdout
    builds = davit.cli("builds").stdout
    assert f"\n{number} " in builds and "passed" in builds and "A title" in builds and commit[:8] in builds
    again = davit.cli("rerun", str(number))
    assert again.stdout == f"build {number + 1}\n"
    assert davit.cli("log", "-f", str(number + 1)).returncode == 0
    assert davit.cli("repo", "list").stdout.startswith("app ")
    assert "s3cret" not in davit.cli("repo", "show", "app").stdout
    assert davit.cli("repo", "remove", "app").returncode == 0
    assert davit.cli("repo", "show", "app").returncode == 1


def test_failures_have_an_exit_code_and_a_reason(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - exit 7\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    log = davit.cli("log", "-f", str(number))
    assert log.returncode == 1 and "exit code 7" in log.stdout
    commit = repo.push({"daocloud.yml": "image: [\n"})
    number = forge.deliver(davit, forge.push_payload(commit, message="broken")).json["build"]
    log = davit.cli("log", "-f", str(number))
    assert log.returncode == 1 and "daocloud.yml:" in log.stdout
    assert davit.cli("log", "999").returncode == 1
    assert davit.cli("cancel", "x").returncode == 2
    assert davit.cli("nonsense").returncode == 2


def test_cancel(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - sleep 600\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"running"})
    assert davit.cli("cancel", str(number)).returncode == 0
    assert davit.wait_build(number)["state"] == "cancelled"


def test_tokens_have_roles(davit, repo):
    davit.add_repo(repo)
    assert davit.cli("token", "add", "ann", "--role", "captain").returncode == 1
    made = davit.cli("token", "add", "ann", "--role", "develop")
    ann = made.stdout.strip()
    assert made.returncode == 0 and ann.startswith("davit_"), made.stderr
    repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo $DAVIT_SENDER\n"})
    started = davit.cli("start", "app", token=ann)
    assert started.returncode == 0, started.stderr
    number = started.stdout.split()[-1]
    log = davit.cli("log", "-f", number, token=ann)
    assert log.returncode == 0 and "\nann\n" in log.stdout, log.stdout + log.stderr
    refused = davit.cli("repo", "remove", "app", token=ann)
    assert refused.returncode == 1 and "takes the role admin, and ann has the role develop" in refused.stderr
    listed = davit.cli("token", "ls").stdout
    assert "\nann " in listed and "develop" in listed and "by admin" in listed and ann not in listed
    davit.stop()
    davit.start()
    deadline = time.monotonic() + 60
    while "not known yet" in (known := davit.cli("builds", token=ann)).stderr:
        assert time.monotonic() < deadline
    assert known.returncode == 0
    assert davit.cli("token", "rm", "ann").returncode == 0
    gone = davit.cli("builds", token=ann)
    assert gone.returncode == 1 and "Bearer" in gone.stderr, gone.stderr


def test_lint_and_plan_need_no_server(davit, tmp_path):
    good = tmp_path / "daocloud.yml"
    good.write_text(f"image: {IMAGE}\nservices: [redis]\nenv:\n  - A = \"1\"\nscript: [make]\n")
    davit.stop()
    plan = davit.cli("plan", str(good))
    assert plan.returncode == 0, plan.stderr
    job = json.loads(plan.stdout)["jobs"][0]
    assert job["image"] == IMAGE and job["services"][0]["name"] == "redis"
    assert davit.cli("lint", str(good)).returncode == 0
    good.write_text("image: x\nscripts: [make]\n")
    lint = davit.cli("lint", str(good))
    assert lint.returncode == 1 and ":2:1:" in lint.stdout + lint.stderr and "script" in lint.stdout + lint.stderr
    assert davit.cli("builds").returncode == 1, "the server is gone, and it says so"
