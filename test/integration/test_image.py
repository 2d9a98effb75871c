"""Images that jobs build, on the real engine."""

import base64
import json
import subprocess
import urllib.request

import pytest

import forge
import server
from server import IMAGE

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


class Registry:
    """A real registry on this machine that wants a password."""

    def __init__(self, folder):
        self.address = f"127.0.0.1:{forge.free_port()}"
        users = folder / "users"
        users.write_text("ada:$2b$04$Ot3NUFTIBA4i9cchSIAvU.ambwDMjcJqu7J4SyXvMkaru.GfxfZ2q\n")  # bcrypt of s3cret-word)
        conf = folder / "registry.yml"
        conf.write_text(json.dumps({
            "version": "0.1", "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
            "http": {"addr": self.address}, "auth": {"htpasswd": {"realm": "test", "path": str(users)}}}))
        self.process = subprocess.Popen(["docker-registry", "serve", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        server.Lines(self.process.stderr, str(folder / "registry.log")).wait("listening on")

    def config(self, password):
        login = base64.b64encode(f"ada:{password}".encode()).decode()
        return json.dumps({"auths": {self.address: {"auth": login}}})

    def digest(self, name, tag):
        request = urllib.request.Request(f"http://{self.address}/v2/{name}/manifests/{tag}", method="HEAD", headers={
            "Accept": "application/vnd.docker.distribution.manifest.v2+json",
            "Authorization": "Basic " + base64.b64encode(b"ada:s3cret-word").decode()})
        return urllib.request.urlopen(request).headers["Docker-Content-Digest"]

    def close(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def registry(tmp_path):
    made = Registry(tmp_path)
    yield made
    made.close()


def set_secret(davit, name, value, tmp_path):
    (tmp_path / "value").write_text(value)
    done = davit.cli("secret", "set", name, "--repo", "app", "--file", str(tmp_path / "value"))
    assert done.returncode == 0, done.stderr


def test_a_push_with_a_password(davit, repo, docker, registry, tmp_path):
    davit.add_repo(repo)
    pipeline = {"image": IMAGE, "jobs": {"image": {"secrets": ["DOCKER_AUTH_CONFIG"], "build": {
        "tags": [f"{registry.address}/acme/app:one", f"{registry.address}/acme/app:two"], "push": True}}}}
    files = {"daocloud.yml": json.dumps(pipeline), "Dockerfile": f"FROM {IMAGE}\nRUN echo x > /x\n"}
    set_secret(davit, "DOCKER_AUTH_CONFIG", registry.config("wrong-word"), tmp_path)
    done = build(davit, repo.push(files), "wrong")
    assert done["state"] == "failed" and "acme/app:one" in done["reason"], done
    set_secret(davit, "DOCKER_AUTH_CONFIG", registry.config("s3cret-word"), tmp_path)
    done = build(davit, repo.push(files), "right")
    assert done["state"] == "passed", done
    log = davit.cli("log", f"{done['build']}.1").stdout
    assert f"pushed {registry.address}/acme/app:one {registry.digest('acme/app', 'one')}" in log
    assert f"pushed {registry.address}/acme/app:two {registry.digest('acme/app', 'two')}" in log
    for tag in ("one", "two"):
        docker("rmi", f"{registry.address}/acme/app:{tag}")
