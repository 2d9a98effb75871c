"""An environment that follows a tag in a real registry, which wants a login."""

import json
import time

import pytest

import forge
from registry import Registry
from server import IMAGE
from test_image import set_secret


@pytest.fixture
def registry(tmp_path):
    made = Registry(tmp_path / "registry")
    yield made
    made.close()


class Boat:
    """The image boat:stable, in as many versions as are wanted."""

    def __init__(self, registry, docker, folder):
        self.name, self.docker, self.registry = f"{registry.address}/boat:stable", docker, registry
        self.config = folder / "client"
        self.config.mkdir()
        (self.config / "config.json").write_text(registry.config())

    def push(self, version):
        made = self.docker("create", IMAGE, "true")
        self.docker("commit", "-c", f"LABEL version={version}", made, self.name)
        self.docker("rm", made)
        self.docker("--config", str(self.config), "push", "-q", self.name)
        self.docker("rmi", self.name)
        return self.registry.digest("boat", "stable")


def pipeline(image, secrets=("DOCKER_AUTH_CONFIG",)):
    application = {"image": image, "command": ["sleep", "1000"], "init": True, "gate": {"stable": "1s"}}
    return json.dumps({"jobs": {"live": {"secrets": secrets,
                                         "deploy": {"environment": "live", "application": application}}}})


def deployed(davit):
    now = davit.api("GET", "/repos/app/environments/live/deployments")["deployments"]
    return [(d["deployment"], d["person"], d["state"], d["images"][0]["reference"].split("@")[1] if d["images"] else "") for d in now]


def test_a_tag_that_moves_is_deployed(make_davit, repo, docker, registry, tmp_path):
    davit = make_davit(hook={"watch": "1s"})
    boat = Boat(registry, docker, tmp_path)
    first = boat.push("one")
    davit.add_repo(repo)
    set_secret(davit, "DOCKER_AUTH_CONFIG", registry.config(), tmp_path)
    made = davit.cli("environment", "set", "app", "live", "--kind", "engine", "--watch", boat.name)
    assert made.returncode == 0, made.stderr
    try:
        commit = repo.push({"daocloud.yml": pipeline(boat.name)})
        number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
        build = davit.wait_build(number)
        assert build["state"] == "passed", build["reason"]
        second = boat.push("two")
        davit.log.wait(f"{boat.name} is at {second} now, build {number + 1}")
        assert davit.wait_build(number + 1)["state"] == "passed"
        assert deployed(davit) == [(2, boat.name, "passed", second), (1, "ada", "passed", first)]
        # What was taken back does not come again by itself: it is known, and the same.
        assert davit.cli("rollback", "app", "live").returncode == 0
        assert davit.wait_build(number + 2)["state"] == "passed"
        registry.kill()
        davit.log.wait("follows " + boat.name)
        assert "connection refused" in davit.cli("environment", "show", "app", "live").stdout
        registry.start()
        deadline = time.monotonic() + 60
        while davit.api("GET", "/repos/app/environments/live")["watch_error"] != "":
            assert time.monotonic() < deadline
        assert davit.api("GET", "/repos/app/environments/live")["watch_digest"] == second
        assert [d[3] for d in deployed(davit)] == [first, second, first]
        # Nobody has approved what comes by itself.
        davit.cli("environment", "set", "app", "live", "--approve", "on")
        third = boat.push("three")
        davit.log.wait(f"{boat.name} is at {third} now, build {number + 3}")
        assert deployed(davit)[0] == (4, boat.name, "waiting", "")
        assert davit.cli("approve", f"{number + 3}.1").returncode == 0
        assert davit.wait_build(number + 3)["state"] == "passed"
        assert deployed(davit)[0] == (4, boat.name, "passed", third)
    finally:
        found = docker("ps", "-aq", "--filter", "label=davit.application").split()
        if found:
            docker("rm", "-fv", *found)


def test_a_registry_tells_of_a_push(make_davit, repo, docker, tmp_path):
    """Long before the tag would be asked about."""
    davit = make_davit(hook={"watch": "24h"})
    token = davit.cli("token", "add", "registry", "--role", "notify").stdout.strip()
    registry = Registry(tmp_path / "registry", closed=False, tells=(f"{davit.url}/api/v1/registry/events", token))
    boat = Boat(registry, docker, tmp_path)
    first = boat.push("one")
    davit.add_repo(repo)
    assert davit.cli("environment", "set", "app", "live", "--kind", "engine", "--watch", boat.name).returncode == 0
    try:
        number = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": pipeline(boat.name, secrets=())}))).json["build"]
        assert davit.wait_build(number)["state"] == "passed"
        # It is the registry that says where the tag is, and not who tells of it.
        told = {"events": [{"action": "push", "target": {"repository": "boat", "tag": "stable", "digest": "sha256:" + "a" * 64}}]}
        assert davit.ask("POST", "/api/v1/registry/events", told, token=token).status == 204
        assert davit.ask("POST", "/api/v1/registry/events", told, token="wrong").status == 401
        second = boat.push("two")
        davit.log.wait(f"{boat.name} is at {second} now, build {number + 1}")
        assert davit.wait_build(number + 1)["state"] == "passed"
        assert [d[3] for d in deployed(davit)] == [second, first]
    finally:
        found = docker("ps", "-aq", "--filter", "label=davit.application").split()
        if found:
            docker("rm", "-fv", *found)
        registry.close()


def test_a_digest_is_no_tag(davit, repo):
    davit.add_repo(repo)
    told = davit.cli("environment", "set", "app", "live", "--watch", "boat@sha256:" + "a" * 64)
    assert told.returncode != 0 and "a tag is wanted" in told.stderr
