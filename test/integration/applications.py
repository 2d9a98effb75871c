"""What the tests of applications share: one that serves its version, and an environment that it is deployed to."""

import json
import urllib.request

import forge
from server import IMAGE

SERVE = "echo $VERSION > /index.html; exec httpd -f -p 80 -h /"


def pipeline(version="1", **service):
    application = {"image": IMAGE, "command": ["sh", "-c", SERVE], "environment": {"VERSION": version},
                   "gate": {"http": "80/index.html", "stable": "1s", "timeout": "5s"}, "init": True, **service}
    return json.dumps({"jobs": {"live": {"deploy": {"environment": "live", "application": application}}}})


class Application:
    """A repository with an environment of the kind engine or swarm, and what is there of it."""

    def __init__(self, davit, repo, docker, kind="engine"):
        self.davit, self.repo, self.docker = davit, repo, docker
        davit.add_repo(repo)
        made = davit.cli("environment", "set", "app", "live", "--kind", kind)
        assert made.returncode == 0, made.stderr

    def push(self, text):
        commit = self.repo.push({"daocloud.yml": text})
        return forge.deliver(self.davit, forge.push_payload(commit)).json["build"]

    def deploy(self, state="passed", **service):
        build = self.davit.wait_build(self.push(pipeline(**service)))
        assert build["state"] == state, (build, self.davit.job_log(f"{build['build']}.1"))
        return build

    def begin(self, words, **service):
        """The number of a build that has got so far."""
        number = self.push(pipeline(**service))
        self.davit.wait_build(number, {"running"})
        self.davit.wait_log(f"{number}.1", words)
        return number

    def deployments(self):
        return self.davit.api("GET", "/repos/app/environments/live/deployments")["deployments"]

    def containers(self, *filters):
        wanted = [word for f in ("label=davit.application=app/live", *filters) for word in ("--filter", f)]
        return sorted(self.docker("ps", "-a", "--format", "{{.Names}} {{.State}}", *wanted).splitlines())

    def answer(self, name):
        address = self.docker("inspect", "-f", '{{(index .NetworkSettings.Networks "app.live.default").IPAddress}}', name)
        with urllib.request.urlopen(f"http://{address}/index.html", timeout=10) as reply:
            return reply.read().decode().strip()
