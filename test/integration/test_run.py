"""`davit run`: the pipeline of a working copy on the engine, without a server."""

import os
import re
import signal
import subprocess

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


def start(folder, place, *args):
    env = {**os.environ, "TMPDIR": str(place), "DOCKER_HOST": server.ENGINE, "GIT_CONFIG_GLOBAL": "/dev/null",
           "GIT_CONFIG_NOSYSTEM": "1", "XDG_CACHE_HOME": str(place.parent / "cache")}
    return subprocess.Popen([DAVIT, "run", *args], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
    assert code == 1 and "a note\n" in out and "job test failed: exit code 7 in script\nfailed\n" in out, out + err
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


def test_a_repository_without_a_commit(repo, place):
    repo.write({"davit.yml": f"image: {IMAGE}\nscript:\n  - cat davit.yml\n"})
    code, out, err = run(repo.tree, place)
    assert code == 0 and "image: " in out, out + err


def test_interrupted_it_removes_what_it_made(repo, place, docker):
    repo.push({"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo it runs\n  - sleep 600\n"})
    process = start(repo.tree, place)
    while "it runs" != process.stdout.readline().strip():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "cancelled: interrupted" in out
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
  bad: {{needs: [one], allow_failure: true, script: [exit 3]}}
  image: {{needs: [bad], build: {{tags: ["davit-test/local:one"]}}}}
  two: {{needs: [image], image: "davit-test/local:one", script: [cat /a]}}
  other: {{when: {{branch: other}}, script: [echo other branch]}}
  tagged: {{when: {{event: tag}}, script: [echo never]}}
  after: {{needs: [other], script: [echo after]}}
"""})
    code, out, err = run(repo.tree, place)
    assert code == 0, out + err
    for line in ("job one passed", "job bad failed: exit code 3 in script", "job image passed", "from a file", "job two passed",
                 "job after passed", "passed"):
        assert line in out.split("\n"), (line, out)
    assert "job other skipped: " in out and "job tagged skipped: " in out and "echo never" not in out
    code, out, err = run(repo.tree, place, "--branch", "other", "--job", "other")
    assert code == 0 and "other branch\n" in out and "job one" not in out
    docker("rmi", "davit-test/local:one")
    assert nothing_is_left(place, docker)


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
