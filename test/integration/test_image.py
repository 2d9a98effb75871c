"""Images that jobs build, on the real engine."""

import hashlib
import json
import os

import pytest

import forge
from registry import Registry
from server import IMAGE

LONG = os.environ.get("DAVIT_TEST_LONG") == "1"

OLD = f"""version: 2.0
test:
  image: {IMAGE}
  script: [cat a]
build:
  lite_image:
    compile: {{dockerfile_path: Compile, build_dir: /}}
    extract: [/out/app]
    package: {{dockerfile_path: Package, build_dir: /}}
"""

NEW = f"""
image: {IMAGE}
jobs:
  image:
    build:
      dockerfile: docker/Dockerfile
      context: src
      args: {{WHO: "${{branch}}"}}
      tags: ["davit-test/built:${{short_commit}}"]
  use:
    needs: [image]
    image: "davit-test/built:${{short_commit}}"
    script: [cat /made]
  live:
    needs: [use]
    deploy: {{environment: production, image: "davit-test/built:${{short_commit}}"}}
"""


def build(davit, commit, message):
    number = forge.deliver(davit, forge.push_payload(commit, message=message)).json["build"]
    return davit.wait_build(number)


def test_the_old_lite_image(davit, repo, docker):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": OLD, "a": "from the repository\n",
                        "Compile": f"FROM {IMAGE}\nCOPY a /a\nRUN mkdir /out && cp /a /out/app\n",
                        "Package": f"FROM {IMAGE}\nCOPY out/app /app\n"})
    done = build(davit, commit, "lite")
    assert done["state"] == "passed", done
    log = davit.cli("log", f"{done['build']}.2").stdout
    assert "Step 2/2 : COPY out/app /app" in log or "Step 2/" in log, log
    assert docker("ps", "-aq", "--filter", "name=compiled") == ""


def test_an_image_that_the_next_job_runs_in(davit, repo, docker):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": NEW, "src/in": "", "docker/Dockerfile":
                        f"FROM {IMAGE}\nARG WHO\nCOPY in /in\nRUN echo made for $WHO > /made\n"})
    done = build(davit, commit, "new")
    assert "made for main\n" in davit.cli("log", f"{done['build']}.2").stdout
    assert done["state"] == "failed" and done["reason"].endswith("the repository has no environment production"), done
    docker("rmi", "-f", f"davit-test/built:{commit[:7]}")  # a container may wait in stock


def test_a_dockerfile_that_fails(davit, repo):
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": "build: {image: {dockerfile_path: Dockerfile}}\n",
                        "Dockerfile": f"FROM {IMAGE}\nRUN echo going && exit 4\n"})
    done = build(davit, commit, "fails")
    assert done["state"] == "failed" and "returned a non-zero code: 4" in done["reason"], done
    assert "going\n" in davit.cli("log", f"{done['build']}.1").stdout


def rerun_pushes(davit, number):
    """What has failed runs again, and builds nothing."""
    again = davit.cli("rerun", str(number), "--failed")
    done = davit.wait_build(int(again.stdout.split()[1]))
    log = davit.cli("log", f"{done['build']}.1").stdout
    assert done["state"] == "passed" and "the image that was built before is pushed\n" in log and "RUN echo" not in log, log
    return log


@pytest.fixture
def registry(tmp_path):
    made = Registry(tmp_path)
    yield made
    made.close()


def set_secret(davit, name, value, tmp_path):
    (tmp_path / "value").write_text(value)
    done = davit.cli("secret", "set", name, "--repo", "app", "--file", str(tmp_path / "value"))
    assert done.returncode == 0, done.stderr


def test_a_push_with_a_password(davit, repo, registry, tmp_path):
    davit.add_repo(repo)
    pipeline = {"image": IMAGE, "jobs": {"image": {"secrets": ["DOCKER_AUTH_CONFIG"], "build": {
        "tags": [f"{registry.address}/acme/app:one", f"{registry.address}/acme/app:two"], "push": True}}}}
    files = {"daocloud.yml": json.dumps(pipeline), "Dockerfile": f"FROM {IMAGE}\nRUN echo x > /x\n"}
    set_secret(davit, "DOCKER_AUTH_CONFIG", registry.config("wrong-word"), tmp_path)
    done = build(davit, repo.push(files), "wrong")
    assert done["state"] == "failed" and "acme/app:one" in done["reason"], done
    assert "the image stays on the engine" in davit.cli("log", f"{done['build']}.1").stdout
    set_secret(davit, "DOCKER_AUTH_CONFIG", registry.config(), tmp_path)
    log = rerun_pushes(davit, done["build"])
    assert f"pushed {registry.address}/acme/app:one {registry.digest('acme/app', 'one')}" in log
    assert f"pushed {registry.address}/acme/app:two {registry.digest('acme/app', 'two')}" in log


PUSHED = """jobs:
  image: {{build: {{tags: ["{at}/acme/app:one"], push: true}}}}
  use: {{needs: [image], image: "{image}", script: ['echo "got $DAVIT_IMAGE and $DAVIT_IMAGE_DIGEST"']}}
"""


def test_a_registry_that_comes_back(davit, repo, tmp_path):
    """It is pushed what was built, and what the next job hears is what the registry has."""
    registry = Registry(tmp_path / "registry", closed=False)
    davit.add_repo(repo)
    registry.kill()
    number = forge.deliver(davit, forge.push_payload(repo.push({
        "daocloud.yml": PUSHED.format(at=registry.address, image=IMAGE),
        "Dockerfile": f"FROM {IMAGE}\nRUN echo {registry.address} > /x\n"}))).json["build"]
    davit.wait_build(number, ("running",))
    davit.wait_log(f"{number}.1", "trying again")
    registry.start()
    done = davit.wait_build(number)
    assert done["state"] == "passed", done
    log = davit.cli("log", f"{number}.1").stdout
    assert log.count("RUN echo") == 1, log
    digest, name = registry.digest("acme/app", "one"), f"{registry.address}/acme/app"
    assert done["jobs"][0]["images"] == [{"name": f"{name}:one", "reference": f"{name}@{digest}"}]
    assert f"got {name}@{digest} and {digest}\n" in davit.cli("log", f"{number}.2").stdout
    assert f"built {name}:one as {name}@{digest}\n" in davit.cli("jobs", str(number)).stdout
    registry.close()


def large(registry, davit, repo, content):
    """A push whose layer takes longer than what a sluice lets through."""
    commit = repo.push({"daocloud.yml": PUSHED.format(at=registry.address, image=IMAGE), "Dockerfile":
                        f"FROM {IMAGE}\nRUN echo {content} {registry.address} > /x; head -c 4000000 /dev/urandom > /large\n"})
    return forge.deliver(davit, forge.push_payload(commit)).json["build"]


def test_a_registry_killed_in_the_midst_of_a_push(davit, repo, tmp_path):
    """The name means what it meant before until the new image is whole."""
    registry = Registry(tmp_path / "registry", closed=False, sluice=True)
    davit.add_repo(repo)
    assert davit.wait_build(large(registry, davit, repo, "one"))["state"] == "passed"
    before, name = registry.digest("acme/app", "one"), f"{registry.address}/acme/app"
    registry.sluice.shut(1000000)
    number = large(registry, davit, repo, "two")
    assert registry.sluice.held.wait(60)
    registry.kill()
    davit.wait_log(f"{number}.1", "the engine is trying again")
    registry.start()
    assert registry.digest("acme/app", "one") == before
    registry.sluice.open()
    done = davit.wait_build(number)
    log = davit.cli("log", f"{number}.1").stdout
    assert done["state"] == "passed" and log.count("RUN echo") == 1, log
    digest = registry.digest("acme/app", "one")
    assert digest != before and f"pushed {name}:one {digest}\n" in log, log
    assert done["jobs"][0]["images"] == [{"name": f"{name}:one", "reference": f"{name}@{digest}"}]
    assert f"got {name}@{digest} and {digest}\n" in davit.cli("log", f"{number}.2").stdout
    registry.close()


if LONG:
    @pytest.mark.parametrize("gone", ["registry", "engine"])
    def test_what_the_push_needs_is_gone_for_long(gone, own_engine, make_davit, repo, tmp_path):
        """Longer than it is waited for: the image is there all the same."""
        davit = make_davit(engines=[{"url": own_engine.url, "slots": 2}])
        registry = Registry(tmp_path / "registry", closed=False, sluice=True)
        davit.add_repo(repo)
        registry.sluice.shut(1000000)
        number = large(registry, davit, repo, "one")
        assert registry.sluice.held.wait(60)
        part = {"registry": registry, "engine": own_engine}[gone]
        part.kill()
        registry.sluice.open()
        done = davit.wait_build(number, timeout=300)
        assert done["state"] == "error" and f"{registry.address}/acme/app:one: " in done["reason"], done
        part.start()
        log = rerun_pushes(davit, number)
        assert registry.digest("acme/app", "one") in log, log
        registry.close()


def test_a_push_that_davitd_did_not_survive(davit, repo, tmp_path):
    registry = Registry(tmp_path / "registry", closed=False)
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": PUSHED.format(at=registry.address, image=IMAGE),
                        "Dockerfile": f"FROM {IMAGE}\nRUN echo {registry.address} > /x\n"})
    davit.kill()
    davit.environment["DAVIT_CRASH"] = "image_recorded:1"
    davit.start()
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.process.wait(60)
    del davit.environment["DAVIT_CRASH"]
    davit.start()
    done = davit.wait_build(number)
    assert done["state"] == "passed" and done["jobs"][0]["attempt"] == 2, done
    assert b"RUN echo" in davit.job_log(f"{number}.1", 1)
    log = davit.job_log(f"{number}.1", 2)
    assert b"the image that was built before is pushed\n" in log and b"RUN echo" not in log, log
    assert done["jobs"][0]["images"][0]["reference"].endswith(registry.digest("acme/app", "one"))
    registry.close()


TAGGED = """jobs:
  image:
    build:
      tags: {{image: "{at}/acme/app", as: [version, minor, latest, sha]}}
      push: true
      existing: {existing}
      cache_from: "{at}/acme/app:latest"
"""


def test_tags_and_labels_follow_from_the_version(davit, repo, docker, tmp_path):
    """A name that is there already: the same image is no matter, another one is kept or refused."""
    registry = Registry(tmp_path / "registry", closed=False)
    davit.add_repo(repo)
    name = f"{registry.address}/acme/app"

    def push(tag, existing, content):
        ref = f"refs/tags/{tag}"
        commit = repo.push({"daocloud.yml": TAGGED.format(at=registry.address, existing=existing),
                            "Dockerfile": f"FROM {IMAGE}\nRUN echo {content} {registry.address} > /x\n"}, ref=ref)
        number = forge.deliver(davit, forge.push_payload(commit, ref=ref)).json["build"]
        return commit, davit.wait_build(number), davit.cli("log", f"{number}.1").stdout

    commit, done, log = push("v1.4.2", "fail", "one")
    assert done["state"] == "passed", done
    assert [image["name"] for image in done["jobs"][0]["images"]] == [f"{name}:{tag}" for tag in ("1.4.2", "1.4", "latest", f"sha-{commit[:7]}")]
    assert f"cache_from {name}:latest: pull image: " in log
    first = registry.digest("acme/app", "1.4.2")
    labels = json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", f"{name}:1.4.2"))
    assert labels["org.opencontainers.image.revision"] == commit and labels["org.opencontainers.image.version"] == "v1.4.2"
    assert labels["org.opencontainers.image.created"][10:] and labels["org.opencontainers.image.source"].endswith(".git"), labels
    again = davit.cli("rerun", str(done["build"]))
    done = davit.wait_build(int(again.stdout.split()[1]))
    assert done["state"] == "passed" and f"there already: {name}:1.4.2 {first}" in davit.cli("log", f"{done['build']}.1").stdout, done
    _, done, _ = push("v1.4.3", "fail", "two")
    assert done["state"] == "failed" and f"{name}:1.4: the registry has another image under this name, {first}" in done["reason"], done
    _, done, log = push("v1.4.4", "keep", "three")
    assert done["state"] == "passed" and f"kept {name}:latest {first}, which is another image\n" in log, log
    assert registry.digest("acme/app", "latest") == first != registry.digest("acme/app", "1.4.4")
    registry.close()


INIT = """jobs:
  image: {build: {tags: {image: davit-test/first, as: [init, branch-sha]}}}
"""


def test_the_first_image_of_a_repository(davit, repo, docker):
    """It has a tag of its own, whatever becomes of davitd when that is decided."""
    davit.add_repo(repo)

    def push(branch):
        commit = repo.push({"daocloud.yml": INIT, "Dockerfile": f"FROM {IMAGE}\nLABEL at={branch}\n"}, ref=f"refs/heads/{branch}")
        return commit, forge.deliver(davit, forge.push_payload(commit, ref=f"refs/heads/{branch}")).json["build"]

    def tags(number):
        done = davit.wait_build(number)
        assert done["state"] == "passed", done
        return [image["name"].split(":")[1] for image in done["jobs"][0]["images"]]

    commit, number = push("aside")
    assert tags(number) == [f"aside-{commit[:7]}"]
    davit.kill()
    davit.environment["DAVIT_CRASH"] = "plan_recorded:1"
    davit.start()
    first, number = push("master")
    davit.process.wait(60)
    del davit.environment["DAVIT_CRASH"]
    davit.start()
    assert tags(number) == ["master-init", f"master-{first[:7]}"]
    commit, second = push("master")
    assert tags(second) == [f"master-{commit[:7]}"]
    again = davit.cli("rerun", str(number))
    assert tags(int(again.stdout.split()[1])) == ["master-init", f"master-{first[:7]}"]
    docker("rmi", *docker("images", "-q", "davit-test/first").split(), "-f")


def test_buildkit_where_the_dockerfile_wants_it(davit, repo, docker, tmp_path):
    davit.add_repo(repo)
    set_secret(davit, "TOKEN", "s3cret-of-the-build", tmp_path)
    pipeline = {"jobs": {"image": {"secrets": ["TOKEN"], "build": {"tags": "davit-test/kit:one", "cache": False}}}}
    done = build(davit, repo.push({"daocloud.yml": json.dumps(pipeline), "Dockerfile":
                                   f"FROM {IMAGE}\nRUN --mount=type=secret,id=TOKEN sha1sum < /run/secrets/TOKEN > /sum; cat /run/secrets/TOKEN\n"}), "kit")
    assert done["state"] == "passed", done
    log = davit.job_log(f"{done['build']}.1")
    assert b"s3cret-of-the-build" not in log and b"***" in log, log
    assert docker("run", "--rm", "davit-test/kit:one", "cat", "/sum") == hashlib.sha1(b"s3cret-of-the-build").hexdigest() + "  -"
    docker("rmi", "davit-test/kit:one")
