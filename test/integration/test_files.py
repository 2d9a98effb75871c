"""Caches, artifacts and reports of jobs on the real engine."""

import io
import json
import os
import subprocess
import tarfile

import pytest

import forge
from server import IMAGE

CHAIN = f"""\
jobs:
  build:
    image: {IMAGE}
    script:
      - mkdir -p dist/sub
      - echo program >dist/app
      - chmod 755 dist/app
      - ln -s app dist/link
      - ln -s /etc/passwd dist/outside
      - echo more >dist/sub/more.txt
      - echo not >not.txt
    artifacts:
      - name: dist
        paths: [dist, "not/there/*"]
        expire: 1h
  test:
    image: {IMAGE}
    needs: [build]
    script:
      - cat dist/app dist/link dist/sub/more.txt
      - test -x dist/app
      - test ! -e not.txt
      - test ! -L dist/outside
"""


def run(davit, repo, files, state="passed", **payload):
    commit = repo.push(files)
    number = forge.deliver(davit, forge.push_payload(commit, **payload)).json["build"]
    build = davit.wait_build(number, timeout=180)
    logs = {job["id"]: davit.job_log(job["id"]).decode(errors="replace") for job in build["jobs"]}
    assert build["state"] == state, (build, logs)
    return number, build, logs


def incoming(davit):
    """What still grows, or was left behind while growing."""
    found = []
    for folder, _, names in os.walk(os.path.join(davit.state, "incoming")):
        found += [os.path.join(folder, name) for name in names]
    return found


def unpacked(data):
    plain = subprocess.run(["zstd", "-d", "-c"], input=data, capture_output=True, check=True).stdout
    return tarfile.open(fileobj=io.BytesIO(plain))


def test_artifacts_go_down_the_needs_and_out_to_people(davit, repo, docker, tmp_path):
    davit.add_repo(repo)
    number, _, logs = run(davit, repo, {"daocloud.yml": CHAIN})
    assert "program\nprogram\nmore\n" in logs[f"{number}.2"]
    artifacts = davit.api("GET", f"/builds/{number}/artifacts")["artifacts"]
    assert [a["name"] for a in artifacts] == ["dist"]
    artifact = artifacts[0]
    assert artifact["job"] == f"{number}.1"
    assert 3500_000 < artifact["expires_ms"] - artifact["created_ms"] <= 3600_000
    path = f"/api/v1/jobs/{number}.1/artifacts/dist"
    whole = davit.ask("GET", path)
    assert whole.status == 200 and len(whole.body) == artifact["size"]
    names = {m.name: m for m in unpacked(whole.body)}
    assert set(names) == {"dist", "dist/app", "dist/link", "dist/sub", "dist/sub/more.txt"}
    assert names["dist/app"].mode == 0o755 and names["dist/link"].linkname == "app"
    assert artifact["files"] == 5 and artifact["content"] == len("program\n") + len("more\n")
    part = davit.ask("GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert davit.ask("GET", path, headers={"Range": f"bytes={len(whole.body)}-"}).status == 416
    assert davit.ask("GET", path + "/file?path=dist/app").body == b"program\n"
    assert davit.ask("GET", path + "/file?path=dist/none").status == 404
    assert davit.ask("GET", f"/api/v1/jobs/{number}.2/artifacts/dist").status == 404
    assert davit.ask("GET", path, token=False).status == 401
    listed = davit.cli("artifacts", str(number))
    assert listed.returncode == 0 and f"{number}.1" in listed.stdout and "dist" in listed.stdout
    got = davit.cli("artifact", "get", f"{number}.1", "dist", "dist/sub/more.txt", cwd=tmp_path)
    assert got.returncode == 0, got.stderr
    assert (tmp_path / "more.txt").read_text() == "more\n"
    got = davit.cli("artifact", "get", f"{number}.1", "dist", "-o", str(tmp_path / "all"))
    assert got.returncode == 0 and (tmp_path / "all").read_bytes() == whole.body
    assert davit.cli("artifact", "get", f"{number}.1", "none").returncode == 1
    davit.stop()
    assert docker("ps", "-aq", "--filter", f"label=davit.build={number}") == ""
    assert incoming(davit) == []


def test_a_job_that_is_run_again_gets_the_files_of_the_first_build(davit, repo):
    davit.add_repo(repo)
    first, _, _ = run(davit, repo, {"daocloud.yml": f"""\
jobs:
  build:
    image: {IMAGE}
    script: ["mkdir dist; echo built in $DAVIT_JOB >dist/app"]
    artifacts: dist
  test:
    image: {IMAGE}
    needs: [build]
    script: [cat dist/app, exit 1]
"""}, "failed")
    second = davit.api("POST", f"/builds/{first}/rerun?jobs=failed")["build"]
    assert davit.wait_build(second)["state"] == "failed"
    assert f"built in {first}.1\n" in davit.job_log(f"{second}.2").decode()
    artifact = davit.api("GET", f"/builds/{second}/artifacts")["artifacts"][0]
    assert artifact["job"] == f"{first}.1"
    for job in (f"{first}.1", f"{second}.1"):
        answer = davit.ask("GET", f"/api/v1/jobs/{job}/artifacts/artifacts/file?path=dist/app")
        assert answer.body == f"built in {first}.1\n".encode()
    davit.stop()


def test_artifacts_expire_and_their_files_go(davit, repo):
    davit.add_repo(repo)
    number, _, _ = run(davit, repo, {"daocloud.yml": CHAIN})
    file = os.path.join(davit.state, "artifacts", str(number), "1.1.0.tar.zst")
    assert os.path.exists(file)
    davit.redis("HSET", f"davit:artifact:{number}.1.0", "expires_ms", "1")
    davit.redis("ZADD", "davit:artifacts:" + davit.redis("HGET", f"davit:artifact:{number}.1.0", "node"), "1", f"{number}.1.0")
    davit.stop()
    davit.start()  # the sweep comes soon after a start
    davit.log.wait("files: 1 artifacts have")
    assert davit.api("GET", f"/builds/{number}/artifacts")["artifacts"] == []
    davit.stop()  # waits for what the disk has begun
    assert not os.path.exists(file)


def test_an_artifact_that_is_too_large_fails_the_job(make_davit, repo):
    davit = make_davit(artifacts={"size": "1M"})
    davit.add_repo(repo)
    number, build, logs = run(davit, repo, {"daocloud.yml": f"""\
image: {IMAGE}
script:
  - mkdir out
  - dd if=/dev/zero of=out/large bs=1M count=3
artifacts: [out]
"""}, state="failed")
    assert "artifact" in build["jobs"][0]["reason"] and "1 MiB" in build["jobs"][0]["reason"], build
    assert davit.api("GET", f"/builds/{number}/artifacts")["artifacts"] == []
    assert not os.path.exists(os.path.join(davit.state, "artifacts", str(number), "1.1.0.tar.zst"))
    davit.stop()
    assert incoming(davit) == []


CACHED = f"""\
image: {IMAGE}
cache:
  key: 'deps-${{checksum:loc?}}'
  fallback: [deps-]
  paths: [deps, /root/.cache]
script:
  - 'cat deps/list || echo no deps'
  - 'cat /root/.cache/x || echo no cache'
  - mkdir -p deps /root/.cache
  - cp lock deps/list
  - cp lock /root/.cache/x
"""


def test_caches_hit_miss_and_fall_back(davit, repo):
    davit.add_repo(repo)
    _, _, logs = run(davit, repo, {"daocloud.yml": CACHED, "lock": "one\n"})
    log = list(logs.values())[0]
    assert "there is none yet" in log and "no deps" in log and "no cache" in log and ": saved" in log, log
    _, _, logs = run(davit, repo, {"other": "x"})
    log = list(logs.values())[0]
    assert ": restored," in log and "\none\none\n" in log.replace("\x1b[1m", "").replace("\x1b[0m", "") or "one" in log
    assert "no deps" not in log.replace("|| echo no deps", "") and ": saved" not in log, "an exact hit is not saved again"
    _, _, logs = run(davit, repo, {"lock": "two\n"})
    log = list(logs.values())[0]
    assert "restored from deps-" in log and "one\n" in log and ": saved" in log, log
    assert len(os.listdir(os.path.join(davit.state, "caches"))) == 2
    davit.stop()


def fork_payload(commit, number, fork_url):
    return {
        "action": "opened", "number": number,
        "pull_request": {
            "number": number, "title": "A change", "html_url": f"https://forge.test/acme/app/pull/{number}",
            "user": {"login": "eve"},
            "head": {"sha": commit, "ref": "topic", "repo": {"id": 2, "full_name": "eve/app", "clone_url": fork_url,
                                                             "fork": True}},
            "base": {"sha": "0" * 40, "ref": "main", "repo": {"id": 1, "full_name": "acme/app"}}},
        "repository": {"id": 1, "name": "app", "full_name": "acme/app", "clone_url": "https://forge.test/acme/app.git"},
        "sender": {"login": "eve"},
    }


def test_a_fork_reads_the_trusted_cache_and_writes_its_own(davit, repo):
    davit.add_repo(repo, forks="allow")
    run(davit, repo, {"daocloud.yml": CACHED, "lock": "trusted\n"})
    commit = repo.push({"lock": "other\n", "daocloud.yml": CACHED.replace("cp lock deps/list", "echo evil >deps/list")},
                       ref="refs/pull/7/head")
    number = forge.deliver(davit, fork_payload(commit, 7, repo.url), event="pull_request").json["build"]
    build = davit.wait_build(number)
    log = davit.job_log(f"{number}.1").decode()
    assert build["state"] == "passed", (build, log)
    assert "restored from deps-" in log and "trusted\n" in log and ": saved" in log, log
    repo.git("reset", "-q", "--hard", "HEAD~1")
    _, _, logs = run(davit, repo, {"lock": "other\n"})  # the key that the fork has saved
    log = list(logs.values())[0]
    assert "evil" not in log and "restored from deps-" in log and "trusted\n" in log, log
    trusts = {davit.redis("HGET", f"davit:cache:{name[:-4]}", "trust")
              for name in os.listdir(os.path.join(davit.state, "caches"))}
    assert trusts == {"trusted", "fork-7"}
    davit.stop()


def test_old_caches_make_room(make_davit, repo):
    davit = make_davit(caches={"total_size": "3M"})
    davit.add_repo(repo)
    pipeline = f"image: {IMAGE}\ncache: {{key: 'k-${{checksum:lock}}', paths: [deps]}}\n" \
               "script: ['mkdir deps; dd if=/dev/zero of=deps/x bs=1M count=2']\n"
    run(davit, repo, {"daocloud.yml": pipeline, "lock": "1"})
    first = os.listdir(os.path.join(davit.state, "caches"))
    run(davit, repo, {"lock": "2"})
    davit.log.wait("files: 1 caches made")
    davit.stop()
    left = os.listdir(os.path.join(davit.state, "caches"))
    assert len(left) == 1 and left != first


JUNIT = """<testsuites><testsuite name="s"><testcase classname="c" name="good" time="0.5"/>
<testcase classname="c" name="bad"><failure message="1 is not 2">line 3</failure></testcase></testsuite></testsuites>"""


def test_reports_are_read_and_shown(davit, repo, receiver):
    davit.add_repo(repo, api=receiver.url, token="t0ken", statuses=True)
    pipeline = f"""\
image: {IMAGE}
script:
  - mkdir out
  - cp junit.xml coverage.xml out
  - "! grep -q bad junit.xml"
reports:
  junit: out/j*.xml
  coverage: out/coverage.xml
"""
    coverage = '<coverage lines-valid="1000" lines-covered="812"/>'
    number, build, logs = run(davit, repo, {"daocloud.yml": pipeline, "junit.xml": JUNIT, "coverage.xml": coverage}, "failed")
    assert (build["tests"], build["tests_failed"], build["coverage"], build["coverage_before"]) == (2, 1, 8120, None)
    assert "1 of 2 tests failed, coverage 81.20 %" in logs[f"{number}.1"]
    report = davit.api("GET", f"/builds/{number}/reports")["reports"][0]
    assert report["failed"] == [{"name": "c bad", "message": "1 is not 2", "error": False}]
    assert report["time_ms"] == 500
    shown = davit.cli("tests", str(number)).stdout
    assert "1 of 2 tests failed, coverage 81.20 %" in shown and "FAILED c bad\n    1 is not 2\n" in shown
    good = JUNIT.replace("bad", "fine").replace('<failure message="1 is not 2">line 3</failure>', "")
    number, build, _ = run(davit, repo, {"junit.xml": good, "coverage.xml": coverage.replace("812", "815")})
    assert (build["tests_failed"], build["coverage"], build["coverage_before"]) == (0, 8150, 8120)
    requests = receiver.wait(lambda rs: any(b"success" in r["body"] for r in rs))
    described = [json.loads(r["body"])["description"] for r in requests]
    assert any("1 of 2 tests failed" in d for d in described), described
    assert any("2 tests passed, coverage 81.50 % (+0.30)" in d for d in described), described
    davit.stop()


def test_reports_of_the_old_form(davit, repo):
    davit.add_repo(repo)
    _, build, _ = run(davit, repo, {"junit.xml": JUNIT, "daocloud.yml": f"""\
image: {IMAGE}
script:
  - cp junit.xml $TEST_RESULT
  - echo '<coverage line-rate="0.5"/>' >$TEST_COVERAGE
"""})
    assert (build["tests"], build["tests_failed"], build["coverage"]) == (2, 1, 5000)
    davit.stop()


@pytest.mark.parametrize("moment", ["first", "later"])
def test_what_a_killed_daemon_left_is_swept(davit, repo, moment):
    davit.add_repo(repo)
    if moment == "later":
        run(davit, repo, {"daocloud.yml": CHAIN})
    davit.kill()
    folder = os.path.join(davit.state, "incoming", "0123456789abcdef")
    os.makedirs(folder)
    with open(os.path.join(folder, "1"), "w") as file:
        file.write("half")
    orphan = os.path.join(davit.state, "caches", "0" * 32 + ".tar")
    with open(orphan, "w") as file:
        file.write("nobody's")
    os.utime(orphan, (1, 1))
    davit.start()
    davit.log.wait("files: 1 files without a record")
    davit.stop()
    assert incoming(davit) == [] and not os.path.exists(orphan)


def test_two_jobs_save_the_same_key_and_the_first_wins(davit, repo):
    davit.add_repo(repo)
    job = "    image: %s\n    cache: {key: same, paths: [deps]}\n    script: ['mkdir deps; echo $DAVIT_JOB >deps/who; head -c 3000000 /dev/urandom >deps/x']\n" % IMAGE
    _, _, logs = run(davit, repo, {"daocloud.yml": f"jobs:\n  one:\n{job}  two:\n{job}"})
    text = "".join(logs.values())
    assert text.count("cache same: saved") == 1
    assert text.count("another job has saved this cache") + text.count("restored, 3 MiB") == 1
    _, _, logs = run(davit, repo, {"daocloud.yml": f"image: {IMAGE}\ncache: {{key: same, paths: [deps]}}\nscript: [ls -l deps]\n"})
    assert "3000000" in list(logs.values())[0]
    davit.stop()
    assert len(os.listdir(os.path.join(davit.state, "caches"))) == 1 and incoming(davit) == []


def test_files_of_a_job_in_several_containers(davit, repo, docker):
    davit.add_repo(repo)
    docker("tag", IMAGE, "davit-test/other:latest")
    pipeline = f"""\
image: {IMAGE}
cache: {{key: k, paths: [deps]}}
artifacts: [out]
reports: {{junit: out/junit.xml}}
steps:
  - name: first
    script: ["cat deps/x || echo nothing", "mkdir -p deps out", "echo first >out/first", "echo kept >deps/x"]
  - name: second
    image: davit-test/other:latest
    script: ["cp junit.xml out", "echo second >out/second"]
"""
    number, build, logs = run(davit, repo, {"daocloud.yml": pipeline, "junit.xml": JUNIT})
    assert build["tests"] == 2
    path = f"/api/v1/jobs/{number}.1/artifacts/artifacts/file?path=out/"
    assert [davit.ask("GET", path + name).body for name in ("first", "second")] == [b"first\n", b"second\n"]
    _, _, logs = run(davit, repo, {"x": "y"})
    assert "\nkept\n" in list(logs.values())[0]
    davit.stop()


def test_what_a_failed_job_leaves(davit, repo):
    davit.add_repo(repo)
    number, build, logs = run(davit, repo, {"junit.xml": JUNIT, "daocloud.yml": f"""\
image: {IMAGE}
cache: {{key: k, paths: [deps]}}
artifacts:
  - {{name: good, paths: deps}}
  - {{name: bad, paths: deps, on: failure}}
  - {{name: both, paths: deps, on: always}}
reports: {{junit: junit.xml}}
script: [mkdir deps; echo x >deps/x, exit 4]
"""}, "failed")
    assert build["tests_failed"] == 1 and build["jobs"][0]["exit_code"] == 4
    names = [a["name"] for a in davit.api("GET", f"/builds/{number}/artifacts")["artifacts"]]
    assert names == ["bad", "both"]
    assert os.listdir(os.path.join(davit.state, "caches")) == []
    davit.stop()


def test_a_held_job_gives_its_files_first(davit, repo, docker):
    davit.add_repo(repo)
    number, build, _ = run(davit, repo, {"junit.xml": JUNIT, "daocloud.yml": f"""\
image: {IMAGE}
hold_on_failure: 5m
cache: {{key: k, paths: [deps]}}
artifacts: [{{paths: out, on: always}}]
reports: {{junit: junit.xml}}
script: [mkdir out; echo x >out/x, exit 4]
"""}, "failed")
    assert build["tests_failed"] == 1 and "held" in build["jobs"][0]["reason"]
    assert davit.ask("GET", f"/api/v1/jobs/{number}.1/artifacts/artifacts/file?path=out/x").body == b"x\n"
    davit.stop()
    assert docker("ps", "-aq", "--filter", f"label=davit.build={number}") == ""


def test_a_full_disk_leaves_nothing_half(make_davit, repo, tmp_path):
    davit = make_davit()
    davit.stop()
    folder = os.path.join(davit.state, "incoming")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "davit-test", folder], check=True)
    try:
        davit.start()
        davit.add_repo(repo)
        number, build, _ = run(davit, repo, {"daocloud.yml": f"""\
image: {IMAGE}
cache: {{key: k, paths: [out]}}
artifacts: out
script: [mkdir out; head -c 9000000 /dev/urandom >out/large]
"""}, "error")
        assert "No space left" in build["jobs"][0]["reason"], build
        assert davit.api("GET", f"/builds/{number}/artifacts")["artifacts"] == []
        assert os.listdir(os.path.join(davit.state, "caches")) == []
        davit.stop()
        assert incoming(davit) == []
    finally:
        davit.end()
        subprocess.run(["umount", "-l", folder], check=True)
