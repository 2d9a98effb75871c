"""Applications on a real engine: deployed, replaced, proved or taken back, and rolled back; davitd and the engine killed."""

import json
import os
import re
import subprocess

import pytest

import forge
import nginx
from applications import Application
from registry import Registry
from server import IMAGE


@pytest.fixture
def application(davit, repo, docker):
    yield Application(davit, repo, docker)
    for kind, words in (("ps -aq", ("rm", "-fv")), ("network ls -q", ("network", "rm"))):
        found = docker(*kind.split(), "--filter", "label=davit.application").split()
        if found:
            docker(*words, *found)


def test_deployed_replaced_and_rolled_back(application):
    application.deploy(version="one", replicas=2)
    assert application.containers() == ["app.live.app.1.1 running", "app.live.app.2.1 running"]
    assert application.answer("app.live.app.2.1") == "one"
    application.deploy(version="two", replicas=1)
    assert application.containers() == ["app.live.app.1.2 running"]
    assert application.answer("app.live.app.1.2") == "two"
    back = application.davit.cli("rollback", "app", "live")
    assert back.returncode == 0, back.stderr
    assert application.davit.wait_build(int(back.stdout.split()[1]))["state"] == "passed"
    assert application.containers() == ["app.live.app.1.3 running", "app.live.app.2.3 running"]
    assert application.answer("app.live.app.1.3") == "one"
    history = application.deployments()
    assert [(d["state"], d["redeploys"]) for d in history] == [("passed", 1), ("passed", 0), ("passed", 0)]
    image = application.docker("image", "inspect", "-f", "{{.Id}}", IMAGE)
    assert all(d["images"] == [{"name": f"docker.io/{IMAGE}", "reference": image}] for d in history)
    assert image[:19] in application.davit.cli("deployments", "app", "live").stdout


FAILURES = {
    "exits": ({"command": ["sh", "-c", "echo it breaks; exit 3"], "restart": "no"}, "app.1: ended with exit code 3: it breaks"),
    "restarts": ({"command": ["sh", "-c", "echo it breaks; exit 3"]}, "app.1: ended by itself, and was started again: it breaks"),
    "refuses": ({"gate": {"http": "80/none", "timeout": "1s"}}, "app.1: was not well for 3 s within 1 s: port 80: the answer is 404"),
    "unhealthy": ({"healthcheck": {"test": "false", "interval": "1s", "retries": 1}}, "app.1: is unhealthy"),
    "lacks a variable": ({"environment": {"A": "$NOBODY"}}, "app: the variable A: there is no variable NOBODY"),
}


def test_what_does_not_prove_itself_goes_back(application):
    application.deploy(version="one")
    for n, (service, reason) in enumerate(FAILURES.values(), start=2):
        build = application.deploy(state="failed", **service)
        assert reason in build["reason"] and build["reason"].endswith("; back to deployment 1"), build["reason"]
        assert application.containers() == ["app.live.app.1.1 running"]
        assert application.deployments()[0]["reason"] in build["reason"]
    nothing = application.davit.cli("rollback", "app", "live")
    assert nothing.returncode == 1 and "nothing else was deployed there before" in nothing.stderr
    assert b"| it breaks" in application.davit.job_log("2.1")
    assert application.answer("app.live.app.1.1") == "one"


def test_an_image_that_is_nowhere(application):
    build = application.deploy(state="failed", image="davit-test/none:1", pull_policy="never")
    assert "image docker.io/davit-test/none:1: the engine" in build["reason"]
    assert application.containers() == []


SITE = """
upstream app {{ server 127.0.0.1:{0} max_fails=0; server 127.0.0.1:{1} max_fails=0; }}
server {{ listen 127.0.0.1:{2}; location / {{ proxy_pass http://app; }} }}
"""


def neighbours():
    """The first of two free ports side by side."""
    while True:
        first, second = forge.free_port(), forge.free_port()
        if second == first + 1:
            return first


# As what stands behind a proxy should: told to end, it takes no more requests, and answers those that it has. An answer cut
# off in its midst, which the proxy cannot ask the other replica for, would be its own fault.
DRAINING = "echo $VERSION > /index.html; httpd -f -p 80 -h / & trap 'kill $!; sleep 1; exit' TERM; wait"


def test_two_replicas_behind_nginx_are_replaced_without_a_failed_request(application, tmp_path):
    first, port = neighbours(), forge.free_port()
    service = {"ports": [f"127.0.0.1:{first}-{first + 1}:80"], "replicas": 2, "command": ["sh", "-c", DRAINING]}
    application.deploy(**service)
    proxy = nginx.Nginx(tmp_path / "nginx", SITE.format(first, first + 1, port), port)
    load = subprocess.Popen(["wrk", "-t1", "-c4", "-d60s", "--timeout", "30s", f"http://127.0.0.1:{port}/index.html"], stdout=subprocess.PIPE, text=True)
    application.deploy(version="2", **service)
    load.send_signal(2)
    told = load.communicate(timeout=60)[0]
    proxy.stop()
    assert int(re.search(r"(\d+) requests in", told).group(1)) > 100, told
    assert "Non-2xx" not in told and "Socket errors" not in told, told
    assert application.containers() == ["app.live.app.1.2 running", "app.live.app.2.2 running"]


def test_a_port_that_is_taken(application):
    port = forge.free_port()
    application.deploy(ports=[f"127.0.0.1:{port}:80"])
    application.docker("run", "-d", "--name", "davit-test-taker", "-p", f"127.0.0.1:{port + 1}:80", IMAGE, "sleep", "60")
    try:
        build = application.deploy(state="failed", ports=[f"127.0.0.1:{port + 1}:80"])
    finally:
        application.docker("rm", "-f", "davit-test-taker")
    assert "port is already allocated" in build["reason"] and build["reason"].endswith("; back to deployment 1"), build["reason"]
    assert application.containers() == ["app.live.app.1.1 running"]


def test_its_engine_is_not_configured_any_more(application):
    """There is no way to it: the job says so, and davitd lives on."""
    davit = application.davit
    number = application.begin("starting app.1 of deployment 1", gate={"stable": "1m"})
    davit.kill()
    path = os.path.join(davit.folder, "davit.yml")
    with open(path) as file:
        conf = json.load(file)
    conf["engines"][0]["name"] = "another"
    with open(path, "w") as file:
        json.dump(conf, file)
    davit.start()
    build = davit.wait_build(number)
    assert build["state"] == "error" and "this server has no engine" in build["reason"], build
    assert davit.process.poll() is None


def test_its_environment_becomes_one_of_another_kind(application):
    """What was begun on an engine goes back there."""
    davit = application.davit
    application.deploy()
    number = application.begin("starting app.1 of deployment 2", gate={"stable": "1m"})
    davit.kill()
    davit.redis("HSET", "davit:environment:app:live", "kind", "swarm")
    davit.start()
    build = davit.wait_build(number)
    assert build["state"] == "error" and "was of the kind engine when it began" in build["reason"], build
    assert application.containers() == ["app.live.app.1.1 running"]


def test_cancelled_and_stopped_in_the_midst_of_it(application):
    """A cancel goes back; a stop leaves it to the next process, which goes on."""
    davit = application.davit
    application.deploy()
    number = application.begin("starting app.1 of deployment 2", gate={"stable": "1m"})
    assert davit.cli("cancel", str(number)).returncode == 0
    assert davit.wait_build(number)["state"] == "cancelled"
    assert application.containers() == ["app.live.app.1.1 running"]
    number = application.begin("starting app.1 of deployment 3", gate={"stable": "3s"})
    davit.stop()
    assert [words.split()[0] for words in application.containers()] == ["app.live.app.1.1", "app.live.app.1.3"]
    davit.start()
    assert davit.wait_build(number)["state"] == "passed"
    assert application.containers() == ["app.live.app.1.3 running"]
    assert application.deployments()[0]["attempt"] == 1


def test_cancelled_while_nobody_works_on_it(application):
    """By another daemon, before the one that was killed comes back: that goes back at once."""
    davit = application.davit
    application.deploy()
    number = application.begin("starting app.1 of deployment 2", gate={"stable": "1m"})
    davit.redis("HSET", f"davit:job:{number}.1", "cancel", "1")
    davit.kill()
    davit.start()
    build = davit.wait_build(number)
    assert build["state"] == "cancelled" and "back to deployment 1" in application.deployments()[0]["reason"]
    assert application.containers() == ["app.live.app.1.1 running"]


COMPOSE = "services:\n  web: {{image: '{image}', depends_on: [db], networks: [front, back]}}\n" \
          "  db: {{image: '{image}', networks: [back], volumes: ['data:/data']}}\nnetworks: {{front: , back: }}\n"
STAGED = """
jobs:
  image:
    secrets: [DOCKER_AUTH_CONFIG]
    build: {{tags: '{image}', push: true}}
  staging:
    needs: image
    secrets: [DOCKER_AUTH_CONFIG]
    deploy: {{environment: staging, application: {{image: '{image}', gate: {{stable: 1s}}}}}}
  live:
    needs: staging
    when: {{branch: never}}
    secrets: [DOCKER_AUTH_CONFIG]
    deploy: {{environment: live, application: compose.yml}}
"""


def test_the_very_image_goes_from_staging_to_production(application, docker, tmp_path):
    """By its digest, from a registry that wants a password, whatever its tag means by then; of a compose file."""
    davit, registry = application.davit, Registry(tmp_path)
    image = f"{registry.address}/acme/app:one"
    davit.cli("environment", "set", "app", "staging", "--kind", "engine")
    davit.api("PUT", "/secrets/repo/app/DOCKER_AUTH_CONFIG", {"value": registry.config()})
    commit = application.repo.push({
        "daocloud.yml": STAGED.format(image=image), "compose.yml": COMPOSE.format(image=image),
        "Dockerfile": f'FROM {IMAGE}\nCMD ["sleep", "600"]\nLABEL x={registry.address}\n'})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    assert davit.wait_build(number)["state"] == "passed", davit.job_log(f"{number}.2")
    digest = registry.digest("acme/app", "one")
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nLABEL other=one\n")
    (tmp_path / "config.json").write_text(registry.config())
    docker("build", "-q", "-t", image, str(tmp_path))
    docker("--config", str(tmp_path), "push", "-q", image)
    assert registry.digest("acme/app", "one") != digest
    for one in docker("ps", "-aq", "--filter", "label=davit.application=app/staging").split():
        docker("rm", "-f", one)
    docker("rmi", "-f", image, f"{registry.address}/acme/app@{digest}")
    again = davit.cli("deploy", str(number), "live")
    assert again.returncode == 0, again.stderr
    build = davit.wait_build(int(again.stdout.split()[1]))
    assert build["state"] == "passed", davit.job_log(f"{build['build']}.3")
    assert application.containers() == ["app.live.db.1.2 running", "app.live.web.1.2 running"]
    assert application.deployments()[0]["images"][0]["reference"] == f"{registry.address}/acme/app@{digest}"
    assert docker("image", "inspect", "-f", "{{.RepoDigests}}", docker("inspect", "-f", "{{.Image}}", "app.live.web.1.2")) == (
        f"[{registry.address}/acme/app@{digest}]")
    assert docker("exec", "app.live.web.1.2", "nslookup", "-type=a", "db", "127.0.0.11").count("Address") == 2
    docker("rm", "-f", *docker("ps", "-aq", "--filter", "label=davit.application").split())  # the registry's end takes its images along
    registry.close()


def test_the_engine_dies_in_the_midst_of_it(own_engine, make_davit, repo):
    """Twice: while the old container is the one that counts, and while nobody knows yet whether the new one does."""
    def docker(*words):
        return subprocess.run(["/usr/bin/docker", "-H", own_engine.url, *words], check=True, capture_output=True, text=True).stdout.strip()

    application = Application(make_davit(engines=[{"url": own_engine.url, "slots": 2}]), repo, docker)
    application.deploy()
    for deployment in (2, 3):
        number = application.begin(f"starting app.1 of deployment {deployment}", gate={"stable": "2s"})
        own_engine.kill()
        own_engine.start()
        build = application.davit.wait_build(number)
        kept = deployment if build["state"] == "passed" else application.deployments()[1]["deployment"]
        assert application.containers() == [f"app.live.app.1.{kept} running"], build
        assert b"does not answer" in application.davit.job_log(f"{number}.1")
