"""The pipeline's language end to end: what conditions leave out, what a matrix makes, what a job finds in its environment."""

import forge
from server import IMAGE

PIPELINE = f"""
image: {IMAGE}
env: {{LEVEL: top}}
jobs:
  look:
    script:
      - echo "commit $CI_COMMIT_SHA on $GIT_BRANCH, build $BUILD_NUMBER, job $CI_JOB_ID of $DAVIT_EVENT"
      - echo "tag ${{DAVIT_TAG-none}} level $LEVEL in $CI_PROJECT_DIR"
  each:
    needs: [look]
    matrix: {{n: [one, two], include: [{{n: two, allow_failure: yes}}]}}
    env: {{WHICH: "${{matrix.n}}"}}
    script:
      - echo "this is ${{matrix.n}} and $WHICH"
      - '[ "$WHICH" = one ]'
  docs:
    when: {{path: docs/}}
    script: [exit 1]
  release:
    when: {{tag: "v*"}}
    script: [exit 1]
  after:
    needs: [each, docs, release]
    script: [echo after all]
"""


def log_of(davit, build, name):
    (job,) = [job for job in build["jobs"] if job["name"] == name]
    return davit.job_log(job["id"]).decode()


def test_a_build_of_the_modern_form(davit, repo):
    davit.add_repo(repo)
    first = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": PIPELINE, "docs/a": "1"}, message="First")))
    davit.wait_build(first.json["build"])
    before = repo.git("rev-parse", "HEAD")
    commit = repo.push({"src/b": "2"}, message="Second")
    number = forge.deliver(davit, forge.push_payload(commit) | {"before": before}).json["build"]
    done = davit.wait_build(number)
    states = {job["name"]: job["state"] for job in done["jobs"]}
    assert done["state"] == "passed", done
    assert states == {"look": "passed", "each (n=one)": "passed", "each (n=two)": "failed", "docs": "skipped",
                      "release": "skipped", "after": "passed"}
    look = log_of(davit, done, "look")
    assert f"commit {commit} on main, build {number}, job {number}.1 of push" in look
    assert "tag none level top in /workspace" in look
    assert "this is one and one" in log_of(davit, done, "each (n=one)")
    reasons = {job["name"]: job["reason"] for job in done["jobs"] if job["state"] == "skipped"}
    assert reasons == {"docs": "when: no changed file fits docs/", "release": "when: there is no tag, wants v*"}
    davit.stop()


STAGES = f"""
version: 3
image: {IMAGE}
stages: [make, use]
jar:
  stage: make
  script: [mkdir -p out, echo made > out/jar]
with it:
  stage: use
  dependencies: [jar]
  script: [cat out/jar]
without it:
  stage: use
  script: ['[ ! -e out/jar ]', echo nothing there]
not here:
  stage: use
  only: {{tags: [.*]}}
  script: [exit 1]
"""


def test_files_of_dependencies_cross_the_stages(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": STAGES})
    done = davit.wait_build(forge.deliver(davit, forge.push_payload(commit)).json["build"])
    assert done["state"] == "passed", done
    assert {job["name"]: job["state"] for job in done["jobs"]} == {
        "jar": "passed", "with it": "passed", "without it": "passed", "not here": "skipped"}
    assert "\nmade\n" in log_of(davit, done, "with it")
    davit.stop()
