"""Images come from a registry, and what does not come is told by the registry's own words."""

import os
import subprocess

import pytest

import forge
import server

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "registry.sh")


@pytest.fixture
def registry(tmp_path, docker):
    """The name of an image in a real registry, which the engine does not have yet."""
    folder = tmp_path / "registry"
    started = subprocess.run([SCRIPT, "start", folder, server.ENGINE, server.IMAGE], capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    name = started.stdout.strip()
    yield name
    subprocess.run([SCRIPT, "stop", folder], check=True)
    docker("rmi", name, check=False)


def build_of(davit, repo, image):
    commit = repo.push({"daocloud.yml": f"image: {image}\nscript:\n  - echo it runs\n"})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    return davit.wait_build(number)


def test_an_image_is_pulled_once(davit, repo, registry, docker):
    davit.add_repo(repo)
    assert docker("images", "-q", registry) == ""
    build = build_of(davit, repo, registry)
    assert build["state"] == "passed", build
    log = davit.job_log(f"{build['build']}.1").decode()
    assert registry in log and "it runs" in log
    assert docker("images", "-q", registry) != ""


def test_a_tag_that_is_not_there(davit, repo, registry):
    davit.add_repo(repo)
    missing = registry.rsplit(":", 1)[0] + ":2"
    build = build_of(davit, repo, missing)
    reason = build["reason"] + build["jobs"][0]["reason"]
    assert build["state"] in ("failed", "error") and missing in reason and "not found" in reason, build
