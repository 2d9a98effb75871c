"""Jobs that need each other, tried again, one at a time, where their labels are, and run again in part."""

import json

import forge
from server import ENGINE, IMAGE, Events


def pipeline(**jobs):
    """JSON is YAML. Each job: its script's one command, or all of its members."""
    made = {name: {"script": [job]} if isinstance(job, str) else job for name, job in jobs.items()}
    return json.dumps({"image": IMAGE, "jobs": made}, indent=1)


def build(davit, repo, text):
    commit = repo.push({"daocloud.yml": text}, message="A change")
    answer = forge.deliver(davit, forge.push_payload(commit))
    assert answer.status == 202, answer
    return answer.json["build"]


def wait_job(davit, job, condition, timeout=60):
    with Events(davit, timeout=timeout) as events:
        while True:
            answer = davit.ask("GET", f"/api/v1/jobs/{job}")
            if answer.status != 404 and condition(answer.json):  # 404: not planned yet
                return answer.json
            events.wait(timeout)


def by_name(build):
    return {job["name"]: job for job in build["jobs"]}


def test_stages_follow_each_other(davit, repo):
    davit.add_repo(repo)
    number = build(davit, repo, pipeline(
        compile="echo compile", unit={"needs": ["compile"], "script": ["echo unit"]},
        style={"needs": ["compile"], "script": ["echo style"]}, deploy={"needs": ["unit", "style"], "script": ["echo deploy"]}))
    done = davit.wait_build(number)
    assert done["state"] == "passed", done
    jobs = by_name(done)
    assert all(job["state"] == "passed" for job in jobs.values())
    assert jobs["deploy"]["needs"] == [2, 3]
    assert jobs["compile"]["finished_ms"] <= min(jobs["unit"]["started_ms"], jobs["style"]["started_ms"])
    assert max(jobs["unit"]["finished_ms"], jobs["style"]["finished_ms"]) <= jobs["deploy"]["started_ms"]
    listed = davit.cli("jobs", str(number)).stdout
    assert f"\n{number}.4 " in listed and " 2 3 " in listed
    davit.stop()


def test_a_failure_skips_what_needs_it_and_nothing_else(davit, repo):
    davit.add_repo(repo)
    number = build(davit, repo, pipeline(
        compile="exit 3", test={"needs": ["compile"], "script": ["echo never"]}, docs="echo docs",
        mail={"needs": ["test"], "when": {"status": "failure"}, "script": ["echo mail"]},
        tidy={"needs": ["test", "docs"], "when": {"status": "always"}, "script": ["echo tidy"]},
        party={"needs": ["docs"], "when": {"status": "failure"}, "script": ["echo never"]}))
    done = davit.wait_build(number)
    assert done["state"] == "failed" and "compile" in done["reason"]
    states = {name: job["state"] for name, job in by_name(done).items()}
    assert states == {"compile": "failed", "test": "skipped", "docs": "passed", "mail": "passed", "tidy": "passed", "party": "skipped"}
    assert by_name(done)["test"]["reason"] == "compile failed"
    assert davit.cli("log", "-f", str(number)).returncode == 1


def test_a_job_may_be_allowed_to_fail(davit, repo):
    davit.add_repo(repo)
    number = build(davit, repo, pipeline(
        lint={"allow_failure": True, "script": ["exit 1"]}, test={"needs": ["lint"], "script": ["echo test"]}))
    done = davit.wait_build(number)
    assert done["state"] == "passed"
    jobs = by_name(done)
    assert (jobs["lint"]["state"], jobs["lint"]["allow_failure"], jobs["test"]["state"]) == ("failed", True, "passed")
    assert "(allowed to fail)" in davit.cli("jobs", str(number)).stdout


def test_a_job_is_tried_again(davit, repo):
    davit.add_repo(repo)
    number = build(davit, repo, pipeline(
        flaky={"retry": {"max": 2, "on": ["failure"]}, "script": ['echo "attempt $DAVIT_ATTEMPT"', '[ "$DAVIT_ATTEMPT" -gt 1 ]']},
        after={"needs": ["flaky"], "script": ["echo after"]}))
    wait_job(davit, f"{number}.1", lambda job: True)
    log = davit.cli("log", "-f", f"{number}.1")
    assert log.returncode == 0, log.stdout + log.stderr
    assert "attempt 1\n" in log.stdout and "attempt 2\n" in log.stdout and "is run again: attempt 2" in log.stdout
    done = davit.wait_build(number)
    assert done["state"] == "passed"
    job = by_name(done)["flaky"]
    assert job["attempt"] == 2
    assert job["history"].startswith("attempt 1 failed: ")
    assert b"attempt 1\n" in davit.job_log(job["id"], attempt=1)
    assert b"attempt 2\n" in davit.job_log(job["id"])


def test_a_newer_build_cancels_the_older_one_of_its_group(davit, repo, docker):
    davit.add_repo(repo)
    group = {"group": "ci-main", "cancel": True}
    first = build(davit, repo, pipeline(long={"concurrency": group, "script": ["sleep 600"]}, rest={"needs": ["long"], "script": ["echo rest"]}))
    wait_job(davit, f"{first}.1", lambda job: job["started_ms"])
    second = build(davit, repo, pipeline(short={"concurrency": group, "script": ["echo short"]}))
    assert davit.wait_build(second)["state"] == "passed"
    done = davit.wait_build(first)
    assert done["state"] == "cancelled"
    assert by_name(done)["long"]["reason"] == "a newer build of the group took its place"
    assert by_name(done)["rest"]["state"] == "skipped"
    assert docker("ps", "-aq", "--filter", f"label=davit.job={first}.1") == ""
    assert davit.redis("EXISTS", "davit:group:app:ci-main", "davit:members:app:ci-main") == "0"


def test_one_of_a_group_at_a_time(davit, repo):
    davit.add_repo(repo)
    group = {"group": "deploy"}
    number = build(davit, repo, pipeline(**{name: {"concurrency": group, "script": ["sleep 1"]} for name in ("a", "b", "c")}))
    waiting = wait_job(davit, f"{number}.2", lambda job: job["waits_for"])
    assert waiting["waits_for"].startswith(f"group deploy: job {number}.1 ")
    jobs = davit.wait_build(number)["jobs"]
    assert [job["state"] for job in jobs] == ["passed"] * 3
    for before, after in zip(jobs, jobs[1:]):
        assert before["finished_ms"] <= after["started_ms"]


def test_jobs_go_where_their_labels_are(make_davit, repo, external):
    """Two daemons on one Redis, each with an engine that the other one has not."""
    redis = {"url": f"unix://{external()}"}
    small = make_davit(redis=redis, node="small", engines=[{"url": ENGINE, "slots": 1, "labels": {"size": "small"}}])
    big = make_davit(redis=redis, node="big", engines=[{"url": ENGINE, "slots": 1, "labels": {"size": "big", "gpu": ""}}],
                     seal_key_of=small)
    small.add_repo(repo)
    number = build(small, repo, pipeline(
        anywhere="echo anywhere", small={"labels": {"size": "small"}, "script": ["echo small"]},
        big={"labels": {"size": "big"}, "script": ["echo big"]}, nowhere={"labels": {"arch": "riscv64"}, "script": ["echo never"]}))
    nowhere = wait_job(small, f"{number}.4", lambda job: job["waits_for"])
    assert nowhere["waits_for"] == "no engine has arch=riscv64"
    assert wait_job(small, f"{number}.2", lambda job: job["state"] == "passed")["node"] == "small"
    assert wait_job(small, f"{number}.3", lambda job: job["state"] == "passed")["node"] == "big"
    big.api("POST", f"/jobs/{number}.4/cancel")
    assert small.wait_build(number)["state"] == "cancelled"
    big.stop()
    small.stop()


def test_failed_jobs_run_again_and_passed_ones_are_taken_over(davit, repo, receiver):
    davit.add_repo(repo, api=receiver.url, token="t0ken", statuses=True)
    text = pipeline(compile="echo compiled once", test={"needs": ["compile"], "script": ["exit 1"]},
                    deploy={"needs": ["test"], "script": ["echo deploy"]})
    first = build(davit, repo, text)
    assert davit.wait_build(first)["state"] == "failed"
    again = davit.cli("rerun", str(first), "--failed")
    assert again.returncode == 0, again.stderr
    second = int(again.stdout.split()[1])
    done = davit.wait_build(second)
    jobs = by_name(done)
    assert (done["state"], done["rerun_of"], done["rerun_jobs"]) == ("failed", first, "failed")
    assert (jobs["compile"]["state"], jobs["compile"]["reused_from"]) == ("passed", f"{first}.1")
    assert jobs["test"]["reused_from"] == "" and jobs["test"]["state"] == "failed"
    assert jobs["deploy"]["state"] == "skipped"
    assert b"compiled once\n" in davit.job_log(f"{second}.1")
    assert davit.cli("log", "-f", f"{second}.1").returncode == 0
    third = davit.api("POST", f"/builds/{second}/rerun?jobs=1")["build"]
    done = davit.wait_build(third)
    assert by_name(done)["compile"]["reused_from"] == "" and by_name(done)["compile"]["state"] == "passed"
    refused = davit.cli("rerun", str(first), "--job", "99")
    assert refused.returncode == 1
    # The commit's status follows: pending again, then the newer build's result, each with a link to its build.
    links = [json.loads(r["body"]).get("target_url", "") for r in receiver.wait(
        lambda rs: sum(json.loads(r["body"])["state"] == "failure" for r in rs) >= 3)]
    assert any(link.endswith(f"/builds/{second}") for link in links)


def test_a_killed_daemon_leaves_the_graph_whole(davit, repo, docker):
    """The job that runs goes on where its container is, and has another attempt where it is gone."""
    davit.add_repo(repo)
    number = build(davit, repo, pipeline(
        compile="echo compile", test={"needs": ["compile"], "script": ['[ "$DAVIT_ATTEMPT" -gt 1 ] || sleep 600']},
        deploy={"needs": ["test"], "concurrency": {"group": "deploy"}, "script": ["echo deploy"]}))
    wait_job(davit, f"{number}.2", lambda job: job["started_ms"])
    davit.kill()
    docker("rm", "-f", davit.redis("HGET", f"davit:job:{number}.2", "container"))
    davit.start()
    done = davit.wait_build(number)
    assert done["state"] == "passed", done
    jobs = by_name(done)
    assert (jobs["compile"]["attempt"], jobs["test"]["attempt"], jobs["deploy"]["attempt"]) == (1, 2, 1)
    assert jobs["test"]["history"] == "attempt 1: davitd was restarted, and the job's container was gone"
    assert "(attempt 2)" in davit.cli("jobs", str(number)).stdout


def test_cancel_of_a_build_ends_the_jobs_that_wait(davit, repo):
    davit.add_repo(repo)
    number = build(davit, repo, pipeline(
        long="sleep 600", rest={"needs": ["long"], "script": ["echo"]}, tidy={"needs": ["rest"], "when": {"status": "always"}, "script": ["echo"]}))
    wait_job(davit, f"{number}.1", lambda job: job["started_ms"])
    assert davit.cli("cancel", str(number)).returncode == 0
    done = davit.wait_build(number)
    assert done["state"] == "cancelled"
    assert [job["state"] for job in done["jobs"]] == ["cancelled"] * 3
