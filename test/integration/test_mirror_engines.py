"""The mirror as clients of registries use it by themselves: a dockerd with registry-mirrors, containerd with ns=, skopeo by name.
Their upstream is Debian's docker-registry, at an address of its own, since a name has no room for a port."""

import json
import os
import random
import shutil
import subprocess
import tempfile

import pytest

import forge
import server
from origin import Origin, Reply
from test_mirror import Mirrored
from test_pull import SCRIPT

ENGINE_SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "engine")


def ran(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.strip()


class Registry:
    """With the image team/tool:1."""

    def __init__(self, folder, docker):
        self.folder = folder
        self.address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        ran("env", f"ADDRESS={self.address}:80", SCRIPT, "start", folder, server.ENGINE, server.IMAGE)
        image = f"{self.address}:80/team/tool:1"
        docker("tag", server.IMAGE, image)
        docker("push", "-q", image)
        docker("rmi", image)

    def stop(self):
        ran(SCRIPT, "stop", self.folder)


@pytest.fixture
def registry(tmp_path, docker):
    made = Registry(tmp_path / "registry", docker)
    yield made
    made.stop()


class InFront(Mirrored):
    """With a login for some other server, so that clients are asked who they are, and have to be nobody."""

    def __init__(self, make_davit, address, token_file):
        token_file.write_text("x")
        self.davit = make_davit(mirror={"listen": ["127.0.0.1:0"], "registry": f"http://{address}", "upstreams": [
            {"host": address, "private": True, "clear": True}, {"host": "other.example", "token_file": str(token_file)}]})
        self.port = int(self.davit.log.wait(r"mirror on 127\.0\.0\.1:(\d+)").group(1))


@pytest.fixture
def mirrored(make_davit, registry, tmp_path):
    return InFront(make_davit, registry.address, tmp_path / "token")


@pytest.fixture
def engine(mirrored):
    """One whose daemon.json names the mirror; its folder."""
    folder = tempfile.mkdtemp(prefix="dv")
    with open(f"{folder}/daemon.json", "w") as file:
        json.dump({"registry-mirrors": [f"http://127.0.0.1:{mirrored.port}"]}, file)
    ran(ENGINE_SCRIPT, "start", folder, "--config-file", f"{folder}/daemon.json")
    yield folder
    ran(ENGINE_SCRIPT, "stop", folder)
    shutil.rmtree(folder)


def test_an_engine_with_registry_mirrors(mirrored, registry, engine):
    """Cold; with the registry gone; with one that answers 429 in its place: the tag is what it was."""
    docker = ["/usr/bin/docker", "-H", f"unix://{engine}/docker.sock"]

    def pull():
        ran(*docker, "pull", "team/tool:1")
        ran(*docker, "rmi", "team/tool:1")

    pull()
    head, _ = mirrored.get("", whole_url="/v2/team/tool/manifests/1", method="HEAD")
    hosts = f"{engine}/hosts/{registry.address}"
    os.makedirs(hosts)
    with open(f"{hosts}/hosts.toml", "w") as file:
        file.write(f'server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:{mirrored.port}"]\ncapabilities = ["pull", "resolve"]\n')
    ran("ctr", "-a", f"{engine}/exec/containerd/containerd.sock", "content", "fetch", "--hosts-dir", f"{engine}/hosts",
        f"{registry.address}/team/tool:1")
    registry.stop()
    again = {"Cache-Control": "no-cache"}
    limited = None
    try:
        for _ in range(2):
            stale, _ = mirrored.get("", whole_url="/v2/team/tool/manifests/1", method="HEAD", headers=again)
            assert stale.status == 200 and stale.headers["Cache-Status"] == "davit; hit; detail=stale"
            assert stale.headers["Docker-Content-Digest"] == head.headers["Docker-Content-Digest"]
            pull()
            limited = limited or Origin(registry.address, 80, Reply(b"{}", status=429, Retry_After="600"))
        assert limited.requests and not [path for _, path, _ in limited.requests if "/blobs/" in path]
    finally:
        if limited:
            limited.stop()


def test_skopeo_by_name(mirrored, registry, tmp_path):
    image = f"docker://127.0.0.1:{mirrored.port}/{registry.address}/team/tool:1"
    shown = json.loads(ran("skopeo", "inspect", "--tls-verify=false", image))
    for name in ["cold", "warm"]:
        ran("skopeo", "copy", "--src-tls-verify=false", image, f"dir:{tmp_path}/{name}")
        assert all(os.path.exists(tmp_path / name / layer.split(":")[1]) for layer in shown["Layers"])
        registry.stop()


BUILD = """
jobs:
  image:
    build:
      args: {TAG: "1"}
      tags: ["davit-test/from-mirror:1"]
"""
DOCKERFILE = """ARG TAG=2
FROM team/tool:${TAG} AS one
RUN {flag} echo made > /made
FROM one
COPY --from=team/tool:1 /bin/busybox /other
"""


@pytest.mark.parametrize("pull, flag", [("missing", "--mount=type=tmpfs,target=/t"), ("always", "")], ids=["buildkit", "always"])
def test_what_an_image_is_built_from(make_davit, repo, registry, docker, pull, flag):
    """It is at the mirror alone: the engine's own registry is out of reach. By BuildKit, and by the classic builder."""
    port = forge.free_port()
    davit = make_davit(builder={"pull": pull}, mirror={"listen": [f"127.0.0.1:{port}"], "registry": f"http://{registry.address}", "upstreams": [
        {"host": registry.address, "private": True, "clear": True}]})
    davit.add_repo(repo)
    try:
        for attempt in range(2 if pull == "missing" else 1):
            commit = repo.push({"daocloud.yml": BUILD, "Dockerfile": DOCKERFILE.replace("{flag}", flag)})
            number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
            build = davit.wait_build(number)
            log = davit.job_log(f"{number}.1").decode()
            assert build["state"] == "passed", (build, log)
            assert ("pulling image docker.io/team/tool:1" in log) == (pull == "always" or attempt == 0)
        davit.stop()
    finally:
        docker("rmi", "-f", "davit-test/from-mirror:1", "team/tool:1", check=False)
