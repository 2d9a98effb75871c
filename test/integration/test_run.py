"""`davit run`: the pipeline of a working copy on the engine, without a server."""

import os
import re
import signal
import subprocess
import time

import pytest

import forge
import server
from server import IMAGE

DAVIT = os.path.join(os.path.abspath(server.OBJ), "cli/davit")


@pytest.fixture
def place(tmp_path):
    """What a run gets: its own folder for temporary files."""
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def start(folder, place, *args, stdout=subprocess.PIPE):
    env = {**os.environ, "TMPDIR": str(place), "DOCKER_HOST": server.ENGINE, "GIT_CONFIG_GLOBAL": "/dev/null",
           "GIT_CONFIG_NOSYSTEM": "1", "XDG_CACHE_HOME": str(place.parent / "cache")}
    return subprocess.Popen([DAVIT, "run", *args], cwd=folder, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True)


def run(folder, place, *args):
    process = start(folder, place, *args)
    out, err = process.communicate(timeout=120)
    assert "ERROR: AddressSanitizer" not in err and "runtime error" not in err, err
    return process.returncode, out, err


def ours(docker):
    """What local runs have on the engine."""
    return (docker("ps", "-aq", "--filter", "name=davit-local") + docker("network", "ls", "-q", "--filter", "name=davit-local") +
            docker("volume", "ls", "-q", "--filter", "name=davit-local"))


def nothing_is_left(place, docker):
    return [name for name in os.listdir(place) if not name.endswith(".lock")] == [] and ours(docker) == ""


def test_the_working_copy_as_it_is(repo, place, docker):
    commit = repo.push({"daocloud.yml": f"image: {IMAGE}\nscript: [sh ./show.sh, echo x > $TEST_RESULT, ls $TEST_DIR]\n", ".gitignore": "*.o\n", "old": "old\n",
                        "gone": "gone\n",
                        "show.sh": "cat old new ./-name\nls\ncat .git/HEAD\necho commit $DAVIT_COMMIT on $DAVIT_BRANCH\n"})
    repo.write({"old": "changed\n", "new": "new\n", "-name": "dash\n", "skipped.o": "", "sub/below": ""})
    os.remove(os.path.join(repo.tree, "gone"))
    code, out, err = run(os.path.join(repo.tree, "sub"), place, "../daocloud.yml")
    assert code == 0, out + err
    assert "changed\nnew\n" in out and "dash\n" in out
    assert "\nresult.xml\n" in out, "as on the server"
    assert "ref: refs/heads/main\n" in out and f"commit {commit} on main\n" in out
    listed = out.split("\n")
    assert "gone" not in listed and "skipped.o" not in listed and "sub" in listed
    assert "job test passed\npassed\n" in out
    assert repo.git("status", "--porcelain").splitlines()[0] == "D gone", "the working copy is only read"
    assert nothing_is_left(place, docker)


def test_a_folder_without_git_and_a_failure(tmp_path, place, docker, monkeypatch):
    folder = tmp_path / "plain"
    folder.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))  # whatever the tests' own folder lies in
    (folder / "daocloud.yml").write_text(f"image: {IMAGE}\nscript:\n  - cat note\n  - exit 7\n")
    (folder / "note").write_text("a note\n")
    code, out, err = run(folder, place)
    assert code == 1 and "a note\n" in out and "job test failed: exit code 7 in script\nfailed: test: exit code 7 in script\n" in out, out + err
    assert nothing_is_left(place, docker)


def test_secrets_come_from_the_environment(tmp_path, place, docker, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "daocloud.yml").write_text(
        f"image: {IMAGE}\nsecrets: [A_TOKEN, {{name: deploy-key, as: KEY}}, MISSING]\n"
        "script:\n  - 'echo \"[$A_TOKEN] [$KEY] [$MISSING]\" | tee seen >&2; wc -c < seen'\n")
    monkeypatch.setenv("A_TOKEN", "one two")
    monkeypatch.setenv("KEY", "$three")
    code, out, err = run(tmp_path / "work", place)
    assert code == 0 and "[***] [***] []\n" in out and "\n22\n" in out, "they are there, and hidden: " + out + err
    assert "secret MISSING is not in the environment" in err and "A_TOKEN" not in err
    assert nothing_is_left(place, docker)


def test_a_repository_without_a_commit_and_images_that_are_gone(repo, place, docker):
    docker("tag", IMAGE, "python:2.7")
    repo.write({"davit.yml": "jobs:\n  old: {image: python2.7, script: [cat davit.yml]}\n  new: {image: 'mine/ci:9', script: [a=b]}\n"})
    code, out, err = run(repo.tree, place, "--alias", f"mine/*={IMAGE}")
    assert code == 0 and "cat davit.yml" in out, out + err
    assert "davit: image python:2.7 (instead of python2.7)\n" in out and f"davit: image {IMAGE} (instead of mine/ci:9)\n" in out
    docker("rmi", "python:2.7")


def test_interrupted_it_removes_what_it_made(repo, place, docker):
    repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo it runs\n  - sleep 600\n"})
    process = start(repo.tree, place)
    while "it runs" != process.stdout.readline().strip():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and out.endswith("cancelled\n") and "job test cancelled: interrupted" in out
    assert nothing_is_left(place, docker)


def test_the_next_run_removes_what_a_killed_one_left(repo, place, docker):
    repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo it runs\n  - sleep 600\n"})
    process = start(repo.tree, place)
    while "it runs" != process.stdout.readline().strip():
        assert process.poll() is None
    process.kill()
    process.wait()
    assert ours(docker) != ""
    repo.push({"daocloud.yml": f"image: {IMAGE}\nscript: ['true']\n"})
    code, out, err = run(repo.tree, place)
    assert code == 0, out + err
    assert ours(docker) == ""


def test_the_graph_of_jobs_and_an_image(repo, place, docker):
    repo.push({"Dockerfile": f"FROM {IMAGE}\nCOPY a /a\n", "a": "from a file\n", "daocloud.yml": f"""
image: {IMAGE}
jobs:
  one: {{script: [echo one]}}
  bad: {{needs: [one], allow_failure: true, hold_on_failure: 10m, script: [exit 3]}}
  again: {{retry: {{max: 1, on: [failure]}}, script: ["test $DAVIT_ATTEMPT = 2"]}}
  image: {{needs: [bad], build: {{tags: ["davit-test/local:one"]}}}}
  two: {{needs: [image], image: "davit-test/local:one", script: [cat /a, 'echo "made as ${{DAVIT_IMAGE_DIGEST%%:*}}"']}}
  other: {{when: {{branch: other}}, script: [echo other branch]}}
  tagged: {{when: {{event: tag}}, script: [echo never]}}
  after: {{needs: [other], script: [echo after]}}
"""})
    code, out, err = run(repo.tree, place, "--jobs", "1")
    assert code == 0, out + err
    for line in ("job one passed", "job again is run again: attempt 2, after: exit code 1 in script", "job again passed",
                 "job bad failed: exit code 3 in script", "job image passed", "from a file", "made as sha256", "job two passed",
                 "job after passed", "passed"):
        assert line in out.split("\n"), (line, out)
    assert "job other skipped: " in out and "job tagged skipped: " in out and "echo never" not in out
    code, out, err = run(repo.tree, place, "--branch", "other", "--job", "other")
    assert code == 0 and "other branch\n" in out and "job one" not in out
    docker("rmi", "davit-test/local:one")
    assert nothing_is_left(place, docker)


REPORT = """<testsuite><testcase classname="boat" name="floats"/><testcase classname="boat" name="sinks">
<failure message="it did, %s"/></testcase></testsuite>"""
COVERAGE = "<coverage lines-valid=\"4\" lines-covered=\"2\"/>"


def logs_of(out):
    """By job: what was printed of it, its state, its reason, its failed tests. No log here has such lines itself."""
    jobs = {}
    for log, name, state, reason, tests in re.findall(
            r"((?:.*\n)*?)job (\S+) (passed|failed|cancelled|timed_out|error|skipped)(?:: (.*))?\n((?:  .*\n)*)", out):
        jobs[name] = (log, state, reason, tests)
    return jobs


def test_the_same_as_on_the_server(davit, repo, place, docker, monkeypatch):
    """Bytes, masks, notes, states and reasons of all kinds of jobs, what tests said, and the build's own end."""
    commit = repo.push({"daocloud.yml": f"""
image: {IMAGE}
env: {{WHO: world}}
jobs:
  hello:
    secrets: [TOKEN]
    before_script: [cd sub, export HERE=1]
    script: ['echo "hello $WHO $HERE"; pwd', echo $TOKEN, 'printf "%s" "$TOKEN" | cut -c 1-3; printf "half $TOKEN"']
    after_script: [echo $DAVIT_JOB_STATUS]
    artifacts: [{{name: made, paths: [sub/]}}, {{paths: [none]}}]
  tests:
    secrets: [TOKEN]
    script: ['sed "s/%s/$TOKEN/" report.in > $TEST_RESULT', cp coverage.in coverage.xml, cp sub/a bad.xml, "false"]
    reports: {{junit: [bad.xml], coverage: coverage.xml}}
    allow_failure: true
  none: {{reports: {{junit: [out/*.xml]}}, script: ["true"]}}
  steps:
    needs: [hello]
    steps: [{{name: one, script: [cat sub/a]}}, {{name: two, image: "davit-test/service:latest", script: [cat sub/a, exit 4]}}]
  lost: {{image: "localhost:1/there-is-none:1", needs: [none], script: [a]}}
  last: {{needs: [lost], script: [a]}}
  rescue: {{needs: [steps], when: {{status: failure}}, script: [echo to the rescue]}}
  calm: {{needs: [hello], when: {{status: failure}}, script: [a]}}
""", "sub/a": "from a file\n", "report.in": REPORT, "coverage.in": COVERAGE})
    davit.add_repo(repo)
    assert davit.cli("secret", "set", "TOKEN", "--repo", "app", input="gold nugget").returncode == 0
    monkeypatch.setenv("TOKEN", "gold nugget")
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number)
    code, out, err = run(repo.tree, place, "--jobs", "4")
    here = logs_of(out)
    assert code == 1 and sorted(here) == sorted(job["name"] for job in build["jobs"]), out + err
    for job in build["jobs"]:
        there = davit.job_log(job["id"]).decode() if job["state"] != "skipped" else ""
        there = re.sub("davit: secrets: .*\n", "", there)
        assert here[job["name"]][:3] == (there, job["state"], job["reason"])
    told = davit.cli("tests", str(number)).stdout
    assert "1 of 2 tests failed, coverage 50.00 %\n  FAILED boat sinks\n    it did, ***\n" in told
    assert told.endswith("\n" + here["tests"][3]), "failed tests are told in the same words"
    assert out.endswith(f"{build['state']}: {build['reason']}\n")
    assert "gold" not in out
    assert nothing_is_left(place, docker)


def test_side_by_side_and_read_one_after_the_other(repo, place, docker):
    """What ends first is read when its turn comes; of one group none begins beside another."""
    wait = "'until [ -e /go ]; do sleep 0.1; done'"
    repo.push({"daocloud.yml": f"""
image: {IMAGE}
jobs:
  first: {{concurrency: {{group: one}}, script: [echo first begins, {wait}, echo first ends]}}
  second: {{script: [echo second begins, {wait}, echo second ends]}}
  third: {{concurrency: {{group: one}}, script: [echo third]}}
"""})
    process = start(repo.tree, place, "--jobs", "3")
    first, second = "davit-local-0-1-0.1-1", "davit-local-0-1-0.2-1"
    deadline = time.monotonic() + 60
    while "first begins" not in docker("logs", first, check=False) or "second begins" not in docker("logs", second, check=False):
        assert process.poll() is None and time.monotonic() < deadline
    docker("exec", second, "touch", "/go")
    docker("wait", second, check=False)
    assert docker("ps", "-aq", "--filter", "name=davit-local-0-1-0.3") == "", "the group is taken"
    docker("exec", first, "touch", "/go")
    out, err = process.communicate(timeout=60)
    lines = [line for line in out.splitlines() if not line.startswith("\x1b")]
    assert process.returncode == 0 and lines == [
        "first begins", "first ends", "job first passed", "second begins", "second ends", "job second passed", "third",
        "job third passed", "passed"], out + err
    assert nothing_is_left(place, docker)


def test_deployments_only_where_asked_for(repo, place, docker):
    repo.push({"daocloud.yml": f"""
image: {IMAGE}
jobs:
  live: {{deploy: {{environment: live, image: "app:1", approve: true, command: ['echo $DAVIT_DEPLOY_IMAGE to $DAVIT_ENVIRONMENT in $REGION']}}}}
  look: {{needs: [live], script: [echo looking]}}
  other: {{deploy: {{environment: other}}}}
"""})
    code, out, err = run(repo.tree, place)
    assert code == 0 and out.splitlines() == [
        "job live skipped: it deploys to live, which a local run does only with --deploy live", "job look skipped: live was skipped",
        "job other skipped: it deploys to other, which a local run does only with --deploy other", "passed: all jobs were skipped"], out + err
    code, out, err = run(repo.tree, place, "--job", "live")
    assert code == 0 and "job live skipped: " in out, out + err
    code, out, err = run(repo.tree, place, "--deploy", "live", "--variable", "REGION=eu")
    assert code == 0 and "\napp:1 to live in eu\njob live passed\n" in out and "\nlooking\n" in out and "job other skipped" in out, out + err
    code, out, err = run(repo.tree, place, "--deploy", "other")
    assert code == 1 and out == "" and "job other: the pipeline has no command for deploying to other" in err
    code, out, err = run(repo.tree, place, "--deploy", "none")
    assert code == 1 and out == "" and 'no job deploys to "none"' in err


def test_files_are_handed_over(repo, place, docker):
    repo.push({"daocloud.yml": f"""
image: {IMAGE}
jobs:
  make:
    script: [mkdir -p out/deep, echo made > out/deep/it, head -c 300000 /dev/zero > out/large, touch out/empty, ln -s it out/deep/way]
    artifacts: [{{paths: [out/]}}]
  use: {{needs: [make], script: [cat out/deep/way, wc -c < out/large, ls out]}}
  without: {{needs: [{{job: make, files: false}}], script: [test ! -e out]}}
"""})
    code, out, err = run(repo.tree, place)
    assert code == 0, out + err
    assert "made\n300000\ndeep\nempty\nlarge\n" in "".join(
        line + "\n" for line in out.split("\n") if not line.startswith("\x1b")), out
    assert nothing_is_left(place, docker)


def said_of_caches(out):
    return [line.removeprefix("davit: cache ") for line in out.split("\n") if line.startswith("davit: cache ")]


def test_caches_are_kept_from_run_to_run(davit, repo, place, docker):
    """Restored under their keys and by their beginnings, saved when the job passed, with the server's keys."""
    pipeline = f"""
image: {IMAGE}
cache:
  - {{key: "go-${{checksum:go.*}}-x", fallback: [no-, go-], paths: [/root/pkg, deps]}}
  - {{key: plain, paths: [/none]}}
  - {{key: "none-${{checksum:missing}}", paths: [deps]}}
script:
  - cat deps/it /root/pkg/it || true
  - mkdir -p deps /root/pkg; echo kept here | tee deps/it > /root/pkg/it
  - test ! -e broken
"""
    commit = repo.push({"daocloud.yml": pipeline, "go.sum": "one\n", "go.mod": "m\n", "sub/go.sum": "other\n"})
    davit.add_repo(repo)
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    assert davit.wait_build(number)["state"] == "passed"
    key = re.search("cache (go-[0-9a-f]{16}-x): there is none yet", davit.job_log(f"{number}.1").decode())[1]
    repo.write({"broken": ""})
    code, out, _ = run(repo.tree, place)
    assert code == 1 and said_of_caches(out) == [f"{key}: there is none yet", "plain: there is none yet",
                                                 "none-${checksum:missing}: there is no file that fits missing"]
    os.remove(os.path.join(repo.tree, "broken"))
    code, out, err = run(repo.tree, place)
    assert code == 0, out + err
    assert said_of_caches(out)[3:] == [f"{key}: saved, 0 MiB", "plain: not saved: there are no such files"]
    code, out, err = run(repo.tree, place)
    assert code == 0 and out.count("kept here\n") == 2, out + err
    assert f"{key}: restored, 0 MiB" in said_of_caches(out) and f"{key}: saved, 0 MiB" not in said_of_caches(out)
    repo.write({"go.mod": "changed, and not committed\n"})
    code, out, err = run(repo.tree, place)
    changed = said_of_caches(out)[0].split(":")[0]
    assert code == 0 and changed != key and out.count("kept here\n") == 2, out + err
    assert said_of_caches(out)[0] == f"{changed}: restored from {key}, 0 MiB" and f"{changed}: saved, 0 MiB" in said_of_caches(out)
    assert nothing_is_left(place, docker)


def test_old_caches_go(repo, place):
    repo.push({"daocloud.yml": f"image: {IMAGE}\ncache: [{{key: mine, paths: [a]}}]\nscript: [mkdir a]\n"})
    folder = place.parent / "cache" / "davit"
    folder.mkdir(parents=True)
    for name in ("0" * 16 + "-" + "1" * 16 + ".tar", "0" * 16 + "-" + "1" * 16 + ".key", "2" * 16 + "-" + "1" * 16 + ".abcdef",
                 "3" * 16 + "-" + "1" * 16 + ".tar", "3" * 16 + "-" + "1" * 16 + ".key", "4" * 16 + "-" + "1" * 16 + ".tar"):
        (folder / name).write_text("x")
        if name[0] != "3":
            os.utime(folder / name, (1, 1))
    os.truncate(folder / ("4" * 16 + "-" + "1" * 16 + ".tar"), 11 << 30)  # a hole
    os.utime(folder / ("4" * 16 + "-" + "1" * 16 + ".tar"))
    code, out, err = run(repo.tree, place)
    assert code == 0 and said_of_caches(out) == ["mine: there is none yet", "mine: saved, 0 MiB"], out + err
    left = sorted(name for name in os.listdir(folder))
    assert [name for name in left if name[:16] in ("0" * 16, "2" * 16, "4" * 16)] == [], left


def test_bad_calls(repo, place):
    repo.push({"daocloud.yml": f"image: {IMAGE}\nscript: ['true']\n"})
    code, _, err = run(repo.tree, place, "--job", "other")
    assert code == 1 and 'there is no job "other"' in err
    code, _, err = run(repo.tree, place, "--engine", f"unix://{place}/none.sock")
    assert code == 1 and "the engine unix://" in err and "none.sock" in err
    code, _, err = run(repo.tree, place, "--nonsense", "x")
    assert code == 2 and "usage: davit run" in err
    repo.push({"daocloud.yml": "image: [\n"})
    code, _, err = run(repo.tree, place)
    assert code == 1 and "daocloud.yml:2:1" in err


def test_on_a_terminal_the_parts_of_a_job_have_headings(repo, place):
    repo.push({"daocloud.yml": f"image: {IMAGE}\nbefore_script: [echo first]\nscript: [echo then]\n"})
    terminal, side = os.openpty()
    process = start(repo.tree, place, stdout=side)
    os.close(side)
    out = b""
    try:
        while piece := os.read(terminal, 65536):
            out += piece
    except OSError:  # Linux says so when nobody has the other side any more
        pass
    os.close(terminal)
    assert process.wait() == 0
    assert re.search(rb"-- before_script.*first\r\n.*-- script.*then\r\n.*job test passed", out, re.S), out
