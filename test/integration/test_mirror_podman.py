"""A Podman as engine: images of jobs come by the mirror, and so do the jobs' own downloads. (doc/mirror.md, Jobs)"""

import os
import shutil
import tempfile

import pytest

import forge
from origin import Reply
from test_mirror_engines import Registry, ran

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "podman")


@pytest.fixture
def podman():
    folder = tempfile.mkdtemp(prefix="dv")
    yield ran(SCRIPT, "start", folder)
    ran(SCRIPT, "stop", folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_jobs_on_podman(make_davit, tmp_path, repo, docker, podman, origin):
    registry, port = Registry(tmp_path / "registry", docker), forge.free_port()
    origin.serve("/file", Reply(b"by the mirror", Cache_Control="max-age=600"))
    davit = make_davit(engines=[{"url": podman, "slots": 1}], builder={"warm_images": 0},
                       mirror={"listen": [f"0.0.0.0:{port}"], "registry": f"http://{registry.address}", "upstreams": [
                           {"host": registry.address, "private": True, "clear": True},
                           {"host": f"127.0.0.1:{origin.port}", "private": True, "clear": True}]})
    davit.add_repo(repo)
    script = f"test $(wget -qO- http://davit-mirror:3142/generic/127.0.0.1:{origin.port}/file | wc -c) = 13"
    commit = repo.push({"daocloud.yml": f"image: team/tool:1\nscript:\n  - {script}\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number)
    assert build["state"] == "passed", (build, davit.job_log(f"{number}.1"))
    assert origin.count("/file") == 1
    davit.stop()
    registry.stop()
