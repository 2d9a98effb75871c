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


def test_images_of_jobs_come_by_the_mirror(make_davit, repo, registry, docker):
    """The registry is the one of images that name none; what the mirror has not is asked of it directly."""
    address, port = registry.split("/")[0], forge.free_port()
    docker("pull", "-q", registry)
    docker("tag", registry, f"{address}/team/tool:1")
    docker("push", "-q", f"{address}/team/tool:1")
    docker("rmi", registry, f"{address}/team/tool:1")
    davit = make_davit(mirror={"listen": [f"127.0.0.1:{port}"], "registry": f"http://{address}",
                               "upstreams": [{"host": address, "private": True, "clear": True}]})
    davit.add_repo(repo)
    try:
        build = build_of(davit, repo, "team/tool:1")
        assert build["state"] == "passed", build
        assert not [name for name in docker("images", "--format", "{{.Repository}}").splitlines() if name.startswith(address)]
        figures = davit.ask("GET", "/metrics").body.decode()
        assert "\ndavit_mirror_objects 0\n" not in figures and "\ndavit_mirror_objects " in figures, figures
        assert build_of(davit, repo, registry)["state"] == "passed"
    finally:
        docker("rmi", "team/tool:1", check=False)
