"""davitd is killed, stopped or replaced while jobs run: what runs goes on in its container, as attempt 1, and its log has
every byte once; what cannot go on is run again. The rows of the table in ARCHITECTURE.md, with the real daemon."""

import json
import signal

import pytest

import forge
from server import IMAGE

CHATTY = f"""\
image: {IMAGE}
script:
  - 'echo begins; i=0; while [ $i -lt 1000 ]; do echo "line $i"; echo "aside $i" >&2; i=$((i+1)); [ $((i % 100)) != 0 ] || sleep 0.05; done'
  - printf "no newline at its end"
after_script: [echo after]
"""
# Waits in its midst until it is told to go on.
WAITING = f"""\
image: {IMAGE}
script:
  - "echo wai''ting; until [ -e /tmp/go ]; do sleep 0.1; done; echo went o''n"
after_script: ['echo "<$DAVIT_JOB_STATUS>"']
"""


def container_of(davit, job):
    return davit.redis("HGET", f"davit:job:{job}", "container")


def streams(log):
    """The log's lines by stream: those of two streams come in any order."""
    lines = log.decode().split("\n")
    return [line for line in lines if not line.startswith("aside")], [line for line in lines if line.startswith("aside")]


def start_and_stop(davit, repo, text, stop=None):
    """A job that waits is there; davitd is killed, or stopped."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, text)
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "waiting\\n")
    container = container_of(davit, job)
    (stop or davit.kill)()
    return number, job, container


def kill(davit):
    davit.kill()
    davit.start()


def restart(davit):
    davit.stop(signal.SIGTERM)
    davit.start()


def reload(davit):
    davit.reload()


@pytest.mark.parametrize("at, again", [("line 0", kill), ("line 333", kill), ("line 950", kill),
                                       ("line 333", restart), ("line 333", reload)])
def test_another_davitd_goes_on_with_the_log(davit, repo, docker, at, again):
    davit.add_repo(repo)
    number = forge.push(davit, repo, CHATTY)
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    seen = []
    last = None
    with davit.follow(job) as events:
        for event in events:
            if event["event"] == "log":
                seen.append(event["data"])
                last = event["id"]
                if at in event["data"]:
                    break
    container = container_of(davit, job)
    again(davit)
    with davit.follow(job, last_event_id=last) as events:
        for event in events:
            if event["event"] == "log":
                seen.append(event["data"])
            elif event["event"] == "end":
                break
    assert davit.wait_build(number)["state"] == "passed"
    told = davit.api("GET", f"/jobs/{job}")
    assert told["attempt"] == 1 and not told.get("history"), told
    assert container_of(davit, job) == container
    log = davit.job_log(job)
    lines, asides = streams(log)
    assert asides == [f"aside {i}" for i in range(1000)]
    assert [line for line in lines if line.startswith("line")] == [f"line {i}" for i in range(1000)]
    assert "".join(json.loads(piece) for piece in seen).encode() == log, "the follower saw every byte once"
    if again is kill:
        undisturbed = forge.push(davit, repo, CHATTY, {"other": "file"})
        assert davit.wait_build(undisturbed)["state"] == "passed"
        assert streams(davit.job_log(f"{undisturbed}.1")) == (lines, asides)
    davit.stop()
    assert container not in docker("ps", "-aq", "--no-trunc")


def test_a_job_that_waits_goes_on_in_its_container(davit, repo, docker):
    number, job, container = start_and_stop(davit, repo, WAITING)
    for _ in range(2):
        davit.start()
        davit.log.wait(rf"job {job}: find -> script")
        davit.kill()
    docker("exec", container, "touch", "/tmp/go")
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    assert davit.job_log(job).count(b"went on\n") == 1
    assert davit.api("GET", f"/jobs/{job}")["attempt"] == 1
    davit.stop()


def test_a_job_that_ended_meanwhile(davit, repo, docker):
    number, job, container = start_and_stop(davit, repo, WAITING)
    docker("exec", container, "touch", "/tmp/go")
    docker("wait", container)
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    log = davit.job_log(job)
    assert log.count(b"went on\n") == 1 and log.count(b"\n<passed>\n") == 1
    assert davit.api("GET", f"/jobs/{job}")["attempt"] == 1
    davit.stop()


def test_a_job_whose_time_ran_out_meanwhile(davit, repo):
    """What runs always does, with the word for it."""
    number, job, _ = start_and_stop(davit, repo, WAITING)
    started = int(davit.redis("HGET", f"davit:job:{job}", "started_ms"))
    davit.redis("HSET", f"davit:job:{job}", "started_ms", str(started - 3600 * 1000))
    davit.start()
    assert davit.wait_build(number)["state"] == "timed_out"
    told = davit.api("GET", f"/jobs/{job}")
    assert (told["attempt"], told["reason"]) == (1, "took longer than 3600 s")
    assert b"\n<timed_out>\n" in davit.job_log(job)
    davit.stop()


def test_a_kill_in_what_runs_always_after_a_cancel(davit, repo, docker):
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
script: [echo wai''ting, sleep 1000]
after_script: ['echo "<$DAVIT_JOB_STATUS>"; until [ -e /tmp/go ]; do sleep 0.1; done; printf "went %s\\n" on']
""")
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "waiting\\n")
    davit.api("POST", f"/builds/{number}/cancel")
    davit.wait_log(job, "<cancelled>\\n")
    container = container_of(davit, job)
    davit.kill()
    davit.start()
    davit.log.wait(rf"job {job}: verdict -> after")
    docker("exec", container, "touch", "/tmp/go")
    assert davit.wait_build(number)["state"] == "cancelled"
    log = davit.job_log(job)
    assert log.count(b"\n<cancelled>\n") == 1 and log.count(b"went on\n") == 1, log
    davit.stop()


def test_secrets_are_hidden_in_what_is_read_anew(davit, repo, docker):
    """Also in what was cut by the kill."""
    davit.add_repo(repo)
    davit.api("PUT", "/secrets/repo/app/CANARY", {"value": "swordfish-and-more"})
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
secrets: [CANARY]
script:
  - 'printf "%s%s, begins: %.9s" "$CANARY" "$CANARY" "$CANARY"; echo wai""ting >&2; until [ -e /tmp/go ]; do sleep 0.1; done; echo "${{CANARY#?????????}}"'
""")
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "waiting\\n")
    davit.kill()
    davit.start()
    davit.log.wait(rf"job {job}: find -> script")
    docker("exec", container_of(davit, job), "touch", "/tmp/go")
    assert davit.wait_build(number)["state"] == "passed"
    log = davit.job_log(job).replace(b"waiting\n", b"")  # another stream's: it comes before or after what is held back
    assert log.count(b"begins: ***\n") == 1 and b"swordfish" not in log and b"and-more" not in log, log
    assert davit.api("GET", f"/jobs/{job}")["attempt"] == 1
    davit.stop()


def test_a_job_whose_container_was_ended_meanwhile(davit, repo, docker):
    """As an engine does that was killed too. Of what it wrote to its end nothing is known."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"image: {IMAGE}\nscript: ['{AGAIN}']\n")
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "waiting\\n")
    davit.kill()
    docker("kill", container_of(davit, job))
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    told = davit.api("GET", f"/jobs/{job}")
    assert told["history"] == "attempt 1: davitd was restarted, and the job's container was ended meanwhile", told
    davit.stop()


@pytest.mark.parametrize("again", [kill, reload])
def test_a_job_goes_on_with_its_services(davit, repo, docker, again):
    """Both are there by their names; one that ends is told of."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
services:
  - {{name: web, image: davit-test/service:latest, ready: {{tcp: 8000}}}}
  - {{name: other, image: davit-test/service:latest, ready: {{tcp: 8000}}}}
script:
  - "echo wai''ting; until [ -e /tmp/go ]; do sleep 0.1; done; wget -qO- http://web:8000/; wget -qO- http://other:8000/"
  - "until [ -e /tmp/done ]; do sleep 0.1; done"
""")
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "waiting\\n")
    again(davit)
    davit.log.wait(rf"job {job}: find -> script")
    container = container_of(davit, job)
    docker("exec", container, "touch", "/tmp/go")
    davit.wait_log(job, "it is up\\n")
    services = docker("ps", "--format", "{{.Names}}", "--filter", f"label=davit.job={job}", "--filter", "name=service").split()
    docker("kill", max(services, key=lambda name: int(name.split("-")[-1])))
    davit.wait_log(job, "service other ended with exit code 137")
    docker("exec", container, "touch", "/tmp/done")
    assert davit.wait_build(number)["state"] == "passed"
    assert davit.job_log(job).count(b"it is up\n") == 2
    assert davit.api("GET", f"/jobs/{job}")["attempt"] == 1
    davit.stop()
    assert not set(services) & set(docker("ps", "-a", "--format", "{{.Names}}").split())


def test_a_container_that_is_ended_from_outside_is_no_failure_of_the_job(davit, repo, docker):
    """As an engine does that is stopped in order."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"image: {IMAGE}\nscript: ['{AGAIN}']\n")
    davit.wait_build(number, {"running"})
    davit.wait_log(f"{number}.1", "waiting\\n")
    docker("stop", container_of(davit, f"{number}.1"))
    build = davit.wait_build(number)
    assert build["state"] == "error" and "ended from outside, in script" in build["reason"], build
    davit.stop()


AGAIN = 'test "$DAVIT_ATTEMPT" = 2 || { echo wai""ting; sleep 1000; }'


@pytest.mark.parametrize("pipeline, reason", [
    (f"secrets: [CANARY]\nscript: ['{AGAIN}']\n", "davitd was restarted, and a secret that the job was given has been changed"),
    (f"services: [{{name: web, image: davit-test/service:latest}}]\nscript: ['{AGAIN}']\n",
     "davitd was restarted, and a service of the job was gone"),
], ids=["secret", "service"])
def test_what_cannot_go_on_is_run_again(davit, repo, docker, pipeline, reason):
    davit.add_repo(repo)
    davit.api("PUT", "/secrets/repo/app/CANARY", {"value": "swordfish"})
    number = forge.push(davit, repo, f"image: {IMAGE}\n{pipeline}")
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "waiting\\n")
    container = container_of(davit, job)
    if "secret" in reason:
        davit.api("PUT", "/secrets/repo/app/CANARY", {"value": "another fish"})
    davit.kill()
    if "service" in reason:
        docker("rm", "-f", *docker("ps", "-q", "--filter", f"label=davit.job={job}", "--filter", "name=service").split())
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    assert davit.api("GET", f"/jobs/{job}")["history"] == f"attempt 1: {reason}"
    assert container not in docker("ps", "-aq", "--no-trunc")
    davit.stop()


PARTS = f"""\
image: {IMAGE}
secrets: [CANARY]
services: [{{name: web, image: davit-test/service:latest, ready: {{tcp: 8000}}}}]
steps:
  - {{name: first, script: ['echo "one $CANARY"; echo 1 >>told']}}
  - name: second
    image: davit-test/other:latest
    script: ["echo 2 >>told; echo wai''ting; until [ -e /tmp/go ]; do sleep 0.1; done; printf 'went %s\\\\n' on"]
  - {{name: third, script: ['echo 3 >>told; echo "three $CANARY"; wget -qO- "http://$WEB_PORT_8000_TCP_ADDR:8000/"; exit 4']}}
  - {{name: last, image: davit-test/other:latest, always: true, script: ['echo 4 >>told; echo "<$DAVIT_JOB_STATUS $(echo $(cat told))>"']}}
"""


@pytest.mark.parametrize("again", [kill, reload])
def test_a_job_of_several_containers_goes_on_in_its_present_one(davit, repo, docker, again):
    """And the steps behind it follow in this process, each once, with the job's secrets and services."""
    docker("tag", IMAGE, "davit-test/other:latest")
    davit.add_repo(repo)
    davit.api("PUT", "/secrets/repo/app/CANARY", {"value": "swordfish-and-more"})
    number = forge.push(davit, repo, PARTS)
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "waiting\\n")
    again(davit)
    davit.log.wait(rf"job {job}: find -> script")
    docker("exec", container_of(davit, job), "touch", "/tmp/go")
    assert davit.wait_build(number)["state"] == "failed"
    told = davit.api("GET", f"/jobs/{job}")
    assert (told["attempt"], told["reason"]) == (1, "exit code 4 in third"), told
    log = davit.job_log(job)
    assert [log.count(word) for word in (b"one ***\n", b"waiting\n", b"went on\n", b"three ***\n", b"it is up\n")] == [1] * 5, log
    assert log.count(b"\n<failed 1 2 3 4>\n") == 1 and b"swordfish" not in log, log
    davit.stop()
    left = docker("ps", "-a", "--format", "{{.Names}}") + docker("volume", "ls", "-q")
    assert f"-{job}-" not in left, left


@pytest.mark.parametrize("point, n", [("start_recording", 2), ("start_recorded", 2), ("container_removed", 1)])
def test_a_job_is_taken_up_between_two_of_its_containers(make_davit, repo, docker, point, n):
    """The second is made and not on record; it is, and has no input; the first is gone."""
    docker("tag", IMAGE, "davit-test/other:latest")
    davit = make_davit()
    davit.add_repo(repo)
    davit.stop()
    davit.environment["DAVIT_CRASH"] = f"{point}:{n}"
    davit.start()
    number = forge.push(davit, repo, f"image: {IMAGE}\nsteps:\n  - script: [echo o''ne, echo 1 >>told]\n"
                        "  - image: davit-test/other:latest\n    script: [echo 2 >>told, 'echo \"<$(echo $(cat told))>\"']\n")
    davit.process.wait(60)
    davit.environment.clear()
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    job = davit.api("GET", f"/jobs/{number}.1")
    log = davit.job_log(job["id"])
    assert (job["attempt"], log.count(b"\none\n"), log.count(b"\n<1 2>\n")) == (1, 1, 1), (job, log)
    davit.stop()


def test_a_stop_for_good_takes_the_containers_along(davit, repo, docker):
    number, job, container = start_and_stop(davit, repo, f"image: {IMAGE}\nscript: ['{AGAIN}']\n", davit.stop)
    assert container not in docker("ps", "-aq", "--no-trunc")
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    assert davit.api("GET", f"/jobs/{job}")["history"] == "attempt 1: davitd was stopped"
    davit.stop()


def test_a_stop_puts_back_what_has_not_begun(davit, repo):
    """Its service never gets ready."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
services: [{{name: web, image: davit-test/service:latest, ready: {{tcp: 9, timeout: 10m}}}}]
script: [echo]
""")
    davit.log.wait("service .*: start -> check")
    restart(davit)
    davit.log.wait(rf"job {number}\.1: box -> services")
    assert davit.api("GET", f"/jobs/{number}.1")["history"] == "attempt 1: davitd was stopped"
    davit.api("POST", f"/builds/{number}/cancel")
    assert davit.wait_build(number)["state"] == "cancelled"
    davit.stop()


def test_a_job_that_was_killed_at_its_result_does_not_run_again(make_davit, repo, docker):
    """Before the record its container tells how it came out, behind it nothing is needed of it but its removal."""
    davit = make_davit()
    davit.add_repo(repo)
    for point in ("result_recording", "container_removing"):
        davit.stop()
        davit.environment["DAVIT_CRASH"] = f"{point}:1"
        davit.start()
        number = forge.push(davit, repo, f"image: {IMAGE}\nscript: [echo ra''n, exit 3]\n", {"point": point})
        davit.process.wait(60)
        davit.environment.clear()
        davit.start()
        assert davit.wait_build(number)["state"] == "failed"
        job = davit.api("GET", f"/jobs/{number}.1")
        assert (job["attempt"], job["exit_code"], davit.job_log(job["id"]).count(b"ran\n")) == (1, 3, 1)
    container = container_of(davit, f"{number}.1")
    davit.log.wait("engine .* is up")  # and swept before
    davit.stop()
    assert container and container not in docker("ps", "-aq", "--no-trunc")


@pytest.mark.parametrize("point, more, state, reason", [
    ("result_recording", "timeout: 5s\nafter_script: [echo after]", "timed_out", "took longer than 5 s, in script"),
    ("container_removed", "", "failed", "wrote more than 2097152 bytes of output"),
])
def test_a_job_that_is_ended_by_force_keeps_its_result(make_davit, repo, docker, point, more, state, reason):
    """Killed when what runs always has run, or its container is gone."""
    davit = make_davit(builder={"log_limit": "2M"})
    davit.add_repo(repo)
    davit.stop()
    davit.environment["DAVIT_CRASH"] = f"{point}:1"
    davit.start()
    loud = "yes" if state == "failed" else "sleep 1000"
    number = forge.push(davit, repo, f"image: {IMAGE}\nscript: [echo ra''n, {loud}]\n{more}\n")
    davit.process.wait(60)
    davit.environment.clear()
    davit.start()
    assert davit.wait_build(number)["state"] == state
    job = davit.api("GET", f"/jobs/{number}.1")
    log = davit.job_log(job["id"])
    assert (job["attempt"], job["history"], job["reason"]) == (1, "", reason)
    assert log.count(b"ran\n") == 1 and log.count(b"after\n") == ("after" in more)
    davit.log.wait("engine .* is up")
    assert container_of(davit, job["id"]) not in docker("ps", "-aq", "--no-trunc")
    davit.stop()


def test_a_job_that_was_not_fed_wholly_is_run_again(make_davit, repo):
    """Killed between the record of its start and its first byte of input."""
    davit = make_davit()
    davit.add_repo(repo)
    davit.stop()
    davit.environment["DAVIT_CRASH"] = "start_recorded:1"
    davit.start()
    number = forge.push(davit, repo, f"image: {IMAGE}\nscript: [echo ran]\n")
    davit.process.wait(60)
    davit.environment.clear()
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    job = davit.api("GET", f"/jobs/{number}.1")
    assert job["history"] == "attempt 1: davitd was restarted before the job had all its files"
    davit.stop()
