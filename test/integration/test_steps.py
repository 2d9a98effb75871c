"""What a job has beside its script, with the real daemon: after_script, steps with other images, resources; and nothing
of it is left when the daemon is killed in its midst."""

import os
import re

import forge
from server import IMAGE

OTHER = "davit-test/other:latest"


def test_after_script(davit, repo):
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
script: [echo made > file, exit 4]
after_script: ['echo "<$DAVIT_JOB_STATUS> $(cat file)"', exit 9]
""")
    assert davit.wait_build(number)["state"] == "failed"
    assert davit.api("GET", f"/jobs/{number}.1")["reason"] == "exit code 4 in script"
    assert b"<failed> made\n" in davit.job_log(f"{number}.1")


def test_after_script_of_a_cancelled_job(davit, repo):
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
script: [echo go''ing, sleep 1000]
after_script: ['echo "<$DAVIT_JOB_STATUS>"']
""")
    davit.wait_build(number, {"running"})
    davit.wait_log(f"{number}.1", "going\\n")
    davit.api("POST", f"/builds/{number}/cancel")
    assert davit.wait_build(number)["state"] == "cancelled"
    assert b"<cancelled>\n" in davit.job_log(f"{number}.1")
    davit.stop()


def test_a_lease_that_repeats_a_cancel_does_not_end_after_script(davit, repo, docker):
    """It does so every ten seconds."""
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
script: [echo go''ing, sleep 1000]
after_script: [echo in-af''ter, 'until [ -e /go ]; do sleep 0.1; done', echo cle''aned]
""")
    davit.wait_build(number, {"running"})
    davit.wait_log(f"{number}.1", "going\\n")
    davit.api("POST", f"/builds/{number}/cancel")
    davit.wait_log(f"{number}.1", "in-after\\n")
    davit.log.wait(f"job {number}.1 is to be cancelled", len(davit.log.lines))
    docker("exec", davit.redis("HGET", f"davit:job:{number}.1", "container"), "touch", "/go")
    assert davit.wait_build(number)["state"] == "cancelled"
    assert b"cleaned\n" in davit.job_log(f"{number}.1")
    number = forge.push(davit, repo, f"image: {IMAGE}\nscript: [echo go''ing, sleep 1000]\nafter_script: [echo in-af''ter, sleep 1000]\n")
    davit.wait_build(number, {"running"})
    for words in ("going\\n", "in-after\\n"):  # said once more by somebody, that ends it
        davit.wait_log(f"{number}.1", words)
        davit.api("POST", f"/builds/{number}/cancel")
    assert davit.wait_build(number, timeout=30)["state"] == "cancelled"
    davit.stop()


def test_steps_with_other_images(davit, repo, docker):
    docker("tag", IMAGE, OTHER)
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
env: [WHO=job]
steps:
  - name: one
    script: [echo from-one > left, touch /outside, "test -e .git"]
  - name: two
    image: {OTHER}
    env: {{WHO: step}}
    script: ["test ! -e /outside", 'echo "$WHO: $(cat left)"', "grep -q . .git/HEAD"]
  - name: three
    script: ['echo "$WHO again: $(cat left)"']
""")
    assert davit.wait_build(number)["state"] == "passed"
    log = davit.job_log(f"{number}.1")
    assert b"\nstep: from-one\n" in log and b"\njob again: from-one\n" in log
    davit.stop()


def test_more_resources_than_there_are(davit, repo):
    davit.add_repo(repo)
    number = forge.push(davit, repo, f"image: {IMAGE}\nresources: {{memory: 200g}}\nscript: [echo never]\n")
    assert davit.wait_build(number)["state"] == "failed"
    reason = davit.api("GET", f"/jobs/{number}.1")["reason"]
    assert re.fullmatch(r"resources: 204800 MiB of memory are more than the \d+ MiB that a job gets here \(builder.memory\)",
                        reason), reason


def things(docker, label):
    return (set(docker("ps", "-aq", "--filter", label).split()), set(docker("volume", "ls", "-q", "--filter", label).split()))


def test_nothing_is_left_after_a_kill(davit, repo, docker):
    """In the last of several containers, and in what runs always after a cancel."""
    docker("tag", IMAGE, OTHER)
    davit.add_repo(repo)
    node = re.search(r'"node": "(\w+)"', open(os.path.join(davit.folder, "davit.yml")).read()).group(1)
    label = f"label=davit.node={node}"
    number = forge.push(davit, repo, f"""\
image: {IMAGE}
steps:
  - name: one
    script: [echo one]
  - name: two
    image: {OTHER}
    script: [echo go''ing, sleep 1000]
after_script: [echo in-af''ter, sleep 1000]
""")
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    davit.wait_log(job, "going\\n")
    containers, volumes = things(docker, label)
    assert containers and volumes == {f"davit-{node}-workspace-{job}-1"}
    davit.kill()
    davit.start()
    davit.log.wait(rf"job {job}: find -> script")
    assert davit.api("GET", f"/jobs/{job}")["attempt"] == 1
    assert things(docker, label)[1] == volumes
    davit.api("POST", f"/builds/{number}/cancel")
    davit.wait_log(job, "in-after\\n")
    davit.kill()
    davit.start()
    davit.log.wait(rf"job {job}: verdict -> after")
    davit.api("POST", f"/builds/{number}/cancel")
    assert davit.wait_build(number)["state"] == "cancelled"
    davit.stop()
    assert things(docker, label) == (set(), set())
