"""Applications in a real Docker Swarm, of one node, and (DAVIT_TEST_LONG) of three: deployed, updated, taken back as a whole,
and rolled back; davitd killed and a node lost in the midst of it. Its engines are its own, in network namespaces; where the
kernel lacks ip_vs no virtual address answers, so the services here are asked for by their names alone (dnsrr)."""

import json
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from applications import SERVE, Application
from registry import Registry
from server import IMAGE

TOP = os.path.join(os.path.dirname(__file__), "..", "..")
LONG = os.environ.get("DAVIT_TEST_LONG") == "1"
LABEL = "label=davit.application=app/live"


class Swarm:
    def __init__(self, nodes):
        self.folder = tempfile.mkdtemp(prefix="dw")  # a short name: there are sockets in it
        self.url = self.script("start", str(nodes)).strip()
        self.nodes = [f"unix://{self.folder}/{n + 1}/docker.sock" for n in range(nodes)]
        subprocess.run([f"{TOP}/scripts/engine", "image", self.url, IMAGE], check=True)
        for node in self.nodes[1:]:
            with subprocess.Popen(["/usr/bin/docker", "-H", self.url, "save", IMAGE], stdout=subprocess.PIPE) as saved:
                subprocess.run(["/usr/bin/docker", "-H", node, "load", "-q"], stdin=saved.stdout, check=True)

    def script(self, verb, *args):
        return subprocess.run([f"{TOP}/scripts/swarm", verb, self.folder, *args], check=True, capture_output=True, text=True).stdout

    def host(self):
        """This machine's address for the nodes."""
        node = json.loads(self("node", "ls", "--format", "{{json .ID}}").splitlines()[0])
        return re.sub(r"[0-9]+$", "1", self("node", "inspect", "-f", "{{.Status.Addr}}", node))

    def __call__(self, *args):
        return self.on(self.url, *args)

    def on(self, node, *args):
        done = subprocess.run(["/usr/bin/docker", "-H", node, *args], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self):
        self.script("stop")
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def swarm():
    made = Swarm(1)
    yield made
    made.stop()


class SwarmApplication(Application):
    """One of the services web and back, unless a test wants one alone."""

    def services(self):
        """Of each: its name, how many run of those that are to run, and its deployment."""
        names = self.docker("service", "ls", "--filter", LABEL, "--format", "{{.Name}}").splitlines()
        return [f"{name} {self.running(name)} {self.inspect(name, '{{index .Spec.Labels `davit.deployment`}}')}" for name in sorted(names)]

    def running(self, name):
        states = self.docker("service", "ps", "--filter", "desired-state=running", "--format", "{{.CurrentState}}", name).splitlines()
        return f"{sum(state.startswith('Running') for state in states)}/{len(states)}"

    def inspect(self, name, words):
        return self.docker("service", "inspect", "-f", words, name)

    def answers(self, name):
        """What each of its running containers on the first node serves."""
        found = self.docker("ps", "-q", "--filter", f"label=com.docker.swarm.service.name={name}").split()
        return [self.docker("exec", one, "wget", "-qO-", "http://127.0.0.1/index.html") for one in found]


def service(version="1", command=SERVE, **more):
    return {"image": IMAGE, "command": ["sh", "-c", command], "environment": {"VERSION": version}, "init": True,
            "gate": {"stable": "1s", "timeout": "5s"}, "deploy": {"endpoint_mode": "dnsrr"}, **more}


def push(application, state, **services):
    text = json.dumps({"jobs": {"live": {"deploy": {"environment": "live", "application": {"services": services}}}}})
    number = application.push(text)
    if state is None:
        return number
    build = application.davit.wait_build(number)
    assert build["state"] == state, (build, application.davit.job_log(f"{number}.1"))
    return build


@pytest.fixture
def application(swarm, make_davit, repo):
    made = SwarmApplication(make_davit(engines=[{"url": swarm.url, "slots": 2}]), repo, swarm, "swarm")
    yield made
    found = swarm("service", "ls", "-q", "--filter", LABEL).split()
    if found:
        swarm("service", "rm", *found)


def test_deployed_updated_and_rolled_back(application):
    push(application, "passed", web=service("one", replicas=2, labels={"team": "boats"}, mem_limit="64m",
                                            volumes=["data:/data"], healthcheck={"test": "true", "interval": "1s"}),
         back=service("one"))
    assert application.services() == ["app_live_back 1/1 1", "app_live_web 2/2 1"]
    container = json.loads(application.inspect("app_live_web", "{{json .Spec.TaskTemplate}}"))
    assert container["ContainerSpec"]["Labels"]["team"] == "boats" and container["Resources"]["Limits"]["MemoryBytes"] == 64 << 20
    assert container["ContainerSpec"]["Image"] == application.docker("image", "inspect", "-f", "{{.Id}}", IMAGE)
    push(application, "passed", web=service("two", networks=["other"]))
    assert application.services() == ["app_live_web 1/1 2"]
    assert set(application.answers("app_live_web")) <= {"two"}
    back = application.davit.cli("rollback", "app", "live")
    assert back.returncode == 0, back.stderr
    assert application.davit.wait_build(int(back.stdout.split()[1]))["state"] == "passed"
    assert application.services() == ["app_live_back 1/1 3", "app_live_web 2/2 3"]
    history = application.deployments()
    assert [(d["state"], d["redeploys"]) for d in history] == [("passed", 1), ("passed", 0), ("passed", 0)]
    assert history[0]["images"][0] == {"name": f"docker.io/{IMAGE}", "reference": container["ContainerSpec"]["Image"]}


FAILURES = {
    "exits": (service(command="echo it breaks; exit 3"), "web: task 1: task: non-zero exit (3): it breaks"),
    "never healthy": (service(healthcheck={"test": "false", "interval": "1s", "retries": 1}), "web: task 1: task: non-zero exit"),
    "late": (service(healthcheck={"test": "false", "interval": "1m"}, stop_grace_period="1s", gate={"timeout": "1s", "stable": "1s"}),
                         "web: 0 of 1 run, and nothing moves: task 1: "),
    "image missing": (service(image="davit-test/none:1", pull_policy="never"), "image docker.io/davit-test/none:1: the engine"),
    "probe": (service(gate={"tcp": 80}), "web: gate: a container of a swarm cannot be reached from here; use healthcheck:"),
}
if not LONG:
    del FAILURES["never healthy"], FAILURES["late"]


def test_what_is_not_well_takes_all_back(application):
    """The service before it, too, and one that was made."""
    push(application, "passed", first=service("one"), web=service("one"))
    for n, (bad, reason) in enumerate(FAILURES.values(), start=2):
        build = push(application, "failed", first=service("two"), made=service("two"), web=bad)
        assert reason in build["reason"], build["reason"]
        assert application.services() == ["app_live_first 1/1 1", "app_live_web 1/1 1"]
        assert application.deployments()[0]["reason"] in build["reason"]
    log = application.davit.job_log("2.1")
    for words in (b"| it breaks", b"taking web back to deployment 1", b"removing made of deployment 2", b"taking first back to deployment 1"):
        assert words in log, log
    assert application.davit.wait_build(2)["reason"].endswith("; back to deployment 1")


def push_endless(application):
    """It is in the midst of an update."""
    number = push(application, None, web=service("two", gate={"stable": "1m"}))
    application.davit.wait_build(number, {"running"})
    application.davit.wait_log(f"{number}.1", "web: 1 of 1 run")
    return number


def test_cancelled_in_the_midst_of_an_update(application):
    push(application, "passed", web=service("one"))
    number = push_endless(application)
    assert application.davit.cli("cancel", str(number)).returncode == 0
    assert application.davit.wait_build(number)["state"] == "cancelled"
    assert application.services() == ["app_live_web 1/1 1"]


def test_its_environment_becomes_one_of_another_kind(application):
    """What was begun in a swarm goes back there."""
    davit = application.davit
    push(application, "passed", web=service("one"))
    number = push_endless(application)
    davit.kill()
    davit.redis("HSET", "davit:environment:app:live", "kind", "command")
    davit.start()
    build = davit.wait_build(number)
    assert build["state"] == "error" and "takes no applications" in build["reason"], build
    assert application.services() == ["app_live_web 1/1 1"]


def test_an_engine_that_is_in_no_swarm(davit, repo, docker):
    application = SwarmApplication(davit, repo, docker, "swarm")
    build = push(application, "failed", web=service())
    assert "is no manager of a swarm" in build["reason"]


# Where it dies, at which pass, and whether the deployment is bad.
DEATHS = [("rollout_creating", 2, False)]
if LONG:
    DEATHS = [("rollout_removing", 1, True), ("rollout_removing", 1, False), *DEATHS, ("rollout_removing", 2, True),
              ("rollout_ready", 1, False), ("rollout_creating", 1, False), ("rollout_gating", 1, False), ("rollout_gating", 3, False),
              ("rollout_decided", 1, True), ("rollout_ended", 1, False), ("rollout_ended", 1, True)]


def test_davitd_dies_in_the_midst_of_it(application):
    """It ends in the old or in the new deployment, as a whole, and the history tells which."""
    davit, there = application.davit, {"first", "gone", "web"}
    push(application, "passed", first=service("one"), gone=service("one"), web=service("one"))
    kept = 1
    for deployment, (point, passes, is_bad) in enumerate(DEATHS, start=2):
        davit.stop()
        davit.environment = {"DAVIT_CRASH": f"{point}:{passes}"}
        davit.start()
        bad = service(command="echo it breaks; exit 3") if is_bad else service("two")
        number = push(application, None, first=service("two"), web=bad)
        davit.process.wait(60)
        davit.environment = {}
        davit.start()
        build = davit.wait_build(number)
        if not is_bad:
            kept, there = deployment, {"first", "web"}
        assert build["state"] == ("failed" if is_bad else "passed"), (point, build, davit.job_log(f"{number}.1"))
        assert application.services() == [f"app_live_{name} 1/1 {kept}" for name in sorted(there)], point
        told = application.deployments()[0]
        attempts = 2 if point == "rollout_ready" else 1  # nothing was changed there, so it begins anew
        assert (told["deployment"], told["state"], told["attempt"]) == (deployment, build["state"], attempts), point


if LONG:
    @pytest.fixture(scope="module")
    def three():
        made = Swarm(3)
        yield made
        made.stop()

    def test_all_nodes_have_the_very_image_of_a_private_registry(three, make_davit, repo, tmp_path):
        """By its digest, whatever the tag means by then; they are given the login for it."""
        application = SwarmApplication(make_davit(engines=[{"url": three.url, "slots": 2}]), repo, three, "swarm")
        registry = Registry(tmp_path, host=three.host())
        image = f"{registry.address}/acme/app:one"
        application.davit.api("PUT", "/secrets/repo/app/DOCKER_AUTH_CONFIG", {"value": registry.config()})
        (tmp_path / "config.json").write_text(registry.config())
        three("create", "--name", "other", IMAGE, "true")
        three("commit", "other", image)
        three("rm", "other")
        three("--config", str(tmp_path), "push", "-q", image)
        three("rmi", image)
        text = {"live": {"secrets": ["DOCKER_AUTH_CONFIG"], "deploy": {"environment": "live", "application": {
            "services": {"private": service(image=image, replicas=3, gate={"timeout": "1m", "stable": "1s"})}}}}}
        build = application.davit.wait_build(application.push(json.dumps({"jobs": text})))
        assert build["state"] == "passed", application.davit.job_log(f"{build['build']}.1")
        named = f"{registry.address}/acme/app@{registry.digest('acme/app', 'one')}"
        assert application.inspect("app_live_private", "{{.Spec.TaskTemplate.ContainerSpec.Image}}") == named
        for node in three.nodes:
            one = three.on(node, "ps", "-q", "--filter", "label=davit.service=private")
            assert three.on(node, "inspect", "-f", "{{.Config.Image}}", one) == named
        three("service", "rm", "app_live_private")
        registry.close()

    def test_a_node_is_lost_in_the_midst_of_an_update(three, make_davit, repo):
        """A swarm waits for ever for a container that was coming up there: then it ends in the old deployment, as a whole."""
        application = SwarmApplication(make_davit(engines=[{"url": three.url, "slots": 2}]), repo, three, "swarm")
        push(application, "passed", web=service("one", replicas=3))
        assert all(len(three.on(node, "ps", "-q", "--filter", "label=davit.service=web").split()) == 1 for node in three.nodes)
        number = push(application, None, web=service("two", replicas=3, gate={"timeout": "20s", "stable": "1s"}))
        application.davit.wait_build(number, {"running"})
        application.davit.wait_log(f"{number}.1", "web: 1 of 3 run")
        three.script("lose", "3")
        kept = 2 if application.davit.wait_build(number)["state"] == "passed" else 1
        assert application.services() == [f"app_live_web 3/3 {kept}"], application.davit.job_log(f"{number}.1")
        going = f"label=davit.deployment={3 - kept}"
        for node in three.nodes[:2]:  # what was to go may have its time for that
            for one in three.on(node, "ps", "-q", "--filter", "label=davit.service=web", "--filter", going).split():
                three.on(node, "wait", one)
        left = [three.on(node, "ps", "-q", "--filter", f"label=davit.deployment={kept}").split() for node in three.nodes[:2]]
        assert sum(map(len, left)) == 3
