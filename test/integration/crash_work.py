"""Work that passes crash points: what is pushed, with all that its jobs write, and what people and the clock ask for."""

import http.client
import os
import subprocess

import forge
import pushes
import server

IMAGE = server.IMAGE
OTHER = "davit-test/crash-other:latest"
HTTPD = "davit-test/crash-httpd:latest"
# A dockerd that starts beside this one takes its chains of iptables away for a moment; checker.check_again() sees to it that
# nothing else is run again for.
RETRY = "retry: {max: 5, on: [infrastructure]}\n"
REPORT = '<testsuite name="s"><testcase name="one"/><testcase name="two"/></testsuite>\n'


def make_images():
    """An image beside the usual one, and one whose command listens on a port."""
    docker = ["/usr/bin/docker", "-H", server.ENGINE]
    subprocess.run([*docker, "tag", IMAGE, OTHER], check=True)
    text = f'FROM {IMAGE}\nEXPOSE 8000\nCMD ["busybox", "nc", "-ll", "-p", "8000", "-e", "/bin/true"]\n'
    subprocess.run([*docker, "build", "-q", "-t", HTTPD, "-"], check=True, capture_output=True, input=text.encode(),
                   env={"DOCKER_BUILDKIT": "0", "HOME": "/nonexistent"})


class Work:
    """A push, as the checker wants to know it: what it becomes, and all that its jobs write."""

    effects = ""

    def __init__(self, kind, state, pipeline, commands=((),), files=None):
        self.kind, self.state, self.pipeline, self.commands = kind, state, pipeline, commands
        self.files = files or {}
        self.commit = self.number = None
        self.jobs = list(commands)

    def output(self, job):
        """Each command is shown, then what it writes: (command, output). None: nobody knows what an engine says."""
        if self.commands[job] is None:
            return None
        return b"".join(b"\033[1m$ " + c.encode() + b"\033[0m\n" + text for c, text in self.commands[job])


def rich(effects):
    """Everything that a job may have around its script: a secret, a cache, an artifact, a report, steps that are told."""
    steps = [(1, 4711, 6, "0"), (2, 815, 40, "0")]
    commands = [(f"sh ./step.sh {s} {seed} {lines} {rest}", pushes.lines_of(seed, lines)) for s, seed, lines, rest in steps]
    commands += [("mkdir -p dist deps", b""), ("cp number dist/app", b""), ("cp number deps/list", b"")]
    work = Work("rich", "passed", f"image: {IMAGE}\n{RETRY}env: [EFFECTS={effects}]\nsecrets: [TOKEN]\n"
                "cache: {key: \"deps-${checksum:number}\", paths: [deps]}\n"
                "artifacts: [{name: dist, paths: [dist]}]\nreports: {junit: report.xml}\n"
                "script:\n" + "".join(f"  - {c}\n" for c, _ in commands), [commands], {"report.xml": REPORT})
    work.effects = effects
    work.jobs = [steps]
    return work


def script(kind, state, commands, more=""):
    return Work(kind, state, f"image: {IMAGE}\n{RETRY}{more}script:\n" + "".join(f"  - {c}\n" for c, _ in commands), [commands])


def quick():
    return script("quick", "passed", [("echo quick", b"quick\n")])


def hollow():
    """A build that is planned and told like any other, and whose job needs no container: it is left out."""
    return Work("hollow", "passed", f"image: {IMAGE}\nwhen: {{branch: nowhere}}\nscript: [echo never]\n")


def endless():
    return script("endless", "cancelled", [("echo begun", b"begun\n"), ("sleep 3600", b"")])


# --- pushes ---

def push_hollow(w):
    w.pushed(hollow())


def push_rich(w):
    w.pushed(rich(w.effects.target))


def push_quick(w):
    w.pushed(quick(), "plain")


def push_two(w):
    """The second finds a container in stock that the first has used up or made."""
    w.build_of(w.pushed(quick()))
    w.until("rest", lambda: not w.why_not_settled())
    w.pushed(quick())


def push_parts(w):
    w.pushed(Work("parts", "passed", f"image: {IMAGE}\n{RETRY}steps:\n  - script: [echo one > left]\n"
                  f"  - {{image: \"{OTHER}\", script: [cat left]}}\n",
                  [[("echo one > left", b""), ("cat left", b"one\n")]]), "plain")


def push_service(w):
    text = (f"image: {IMAGE}\n{RETRY}services:\n  - {{name: web, image: \"{HTTPD}\", ready: {{tcp: 8000, timeout: 20s}}}}\n"
            "script:\n  - nc -w 5 web 8000 </dev/null\n")
    w.pushed(Work("service", "passed", text, [[("nc -w 5 web 8000 </dev/null", b"")]]), "plain")


def push_unknown_image(w):
    w.pushed(Work("unknown", "error", "image: 127.0.0.1:1/nowhere:1\nscript: [echo never]\n", [[]]), "plain")


def push_image(w):
    tag = f"{w.registry.address}/acme/app:one"
    w.pushed(Work("image", "passed", RETRY + f"jobs:\n  image:\n    build: {{tags: [\"{tag}\"], push: true}}\n", [None],
                  {"Dockerfile": f"FROM {IMAGE}\nCOPY number /number\n"}), "plain")


def push_application(w):
    """Two replicas, one after the other, in the place of those before."""
    service = f"{{image: \"{IMAGE}\", command: [sleep, \"3600\"], init: true, replicas: 2, gate: {{stable: 1s}}}}"
    w.pushed(Work("application", "passed", f"{RETRY}jobs:\n  live:\n    deploy: {{environment: live, application: {service}}}\n",
                  [None]), w.node)


def push_bad_application(w):
    """Nothing listens where it should, so those before come back."""
    service = f"{{image: \"{IMAGE}\", command: [sleep, \"3600\"], init: true, gate: {{tcp: 9, timeout: 1s}}}}"
    w.pushed(Work("bad", "failed", f"jobs:\n  live:\n    deploy: {{environment: live, application: {service}}}\n", [None]), w.node)


def push_overdue(w):
    w.pushed(script("overdue", "timed_out", [("echo begun", b"begun\n"), ("sleep 600", b"")], "timeout: 3s\n"), "plain")


def push_failing_held(w):
    delivery = w.pushed(script("held", "failed", [("echo bad", b"bad\n"), ("exit 3", b"")], "hold_on_failure: 10m\n"), "plain")
    w.held.append(w.build_of(delivery))


def push_refused(w):
    w.pushed(hollow(), refused=1)


def push_deaf(w):
    w.pushed(hollow(), "deaf")


def push_to_new_repo(w):
    """Its mirror is not there yet."""
    name = f"new{w.number}"
    w.until("its record", lambda: add_repo(w, name))
    w.pushed(hollow(), name)


def add_repo(w, name):
    try:
        return w.davit.add_repo(w.repo, id=name)
    except (AssertionError, OSError, http.client.HTTPException):
        return None


def push_and_delete_repo(w):
    """Its builds are forgotten at the next start."""
    name = f"old{w.number}"
    w.until("its record", lambda: add_repo(w, name))
    delivery = w.pushed(quick(), name)
    w.until("rest", lambda: not w.why_not_settled())
    w.davit.api("DELETE", f"/repos/{name}")
    w.ledger.forget(delivery)


# --- what people ask for ---

def push_and_cancel(w):
    number = w.build_of(w.pushed(script("cancelled", "cancelled", [("echo begun", b"begun\n"), ("sleep 600", b"")]), "plain"))
    w.until("a running job", lambda: w.job_field(f"{number}.1", "container"))
    w.ask("POST", f"/builds/{number}/cancel", good=(202, 409))


def push_and_rerun(w):
    number = w.build_of(w.pushed(hollow(), "plain"))
    w.until("its end", lambda: not w.why_not_settled())
    w.ask("POST", f"/builds/{number}/rerun", good=(201, 409))


def push_from_fork(w):
    work = w.push(hollow(), ref=f"refs/pull/{w.number + 1}/head")
    base = {"id": 1, "full_name": "acme/app", "clone_url": "https://forge.test/acme/app.git"}
    payload = {"action": "opened", "number": w.number, "repository": base, "sender": {"login": "eve"},
               "pull_request": {"title": "Mine", "user": {"login": "eve"}, "html_url": "https://forge.test/acme/app/pull/1",
                                "head": {"sha": work.commit, "ref": "topic", "repo": {"id": 2, "full_name": "eve/app"}},
                                "base": {"ref": "main", "repo": base}}}
    delivery, known = f"{w.number:032x}", []
    w.call(lambda: forge.deliver(w.davit, payload, repo="plain", event="pull_request", delivery=delivery),
           lambda answer: known.append(answer.json["build"]))
    number = w.until("an answer to the fork's delivery", lambda: known)[0]
    w.ask("POST", f"/builds/{number}/approve", good=(202, 409))


def start_by_hand(w):
    w.push(hollow(), ref="refs/heads/hand")
    w.ask("POST", "/repos/plain/builds", {"branch": "hand"})


def rotate_key(w):
    """One that goes on already is waited for."""
    w.ask("POST", "/seal-key/rotate", good=(202,))
    w.until("the rotation's begin", lambda: not w.forge.open)
    files = [os.path.join(w.davit.state, f"seal-key.{end}") for end in ("new", "old")]
    w.until("its end", lambda: not any(map(os.path.exists, files)))


def stop(w):
    """As soon as it hears of it."""
    w.davit.log.wait("Redis is connected")
    w.davit.process.terminate()
    w.until("its end", lambda: False)


# --- what time brings about ---

def let_schedule_be_due(w):
    w.push(hollow(), ref="refs/heads/cron")
    with w.redis() as redis:
        redis("ZADD", "davit:cron", "XX", 1, "plain nightly")
        redis("PUBLISH", "davit:wake", "cron")
    w.until("the schedule's build", lambda: schedule_has_fired(w))


def schedule_has_fired(w):
    with w.redis() as redis:
        return float(redis("ZSCORE", "davit:cron", "plain nightly")) > 1


def expire_and_push(w):
    """The oldest artifact is too old, and so is the oldest cache; a new cache has the files looked through."""
    with w.redis() as redis:
        for kind in ("artifacts", "caches"):
            for one in redis("ZRANGE", f"davit:{kind}:{w.node}", 0, 0):
                redis("ZADD", f"davit:{kind}:{w.node}", 1, one)
    push_rich(w)
    w.until("rest", lambda: not w.why_not_settled())
    w.until("the look through the files", lambda: is_looked_through(w))


def is_looked_through(w):
    with w.redis() as redis:
        return not any(redis("ZCOUNT", f"davit:{kind}:{w.node}", 1, 1) for kind in ("artifacts", "caches"))


# --- what is lost while it is dead ---

def lose_redis(w):
    if w.davit.redis_pid():
        os.kill(w.davit.redis_pid(), 9)


def lose_token(w):
    """As before the first start; the next one makes a new one."""
    os.remove(os.path.join(w.davit.state, "admin-token"))
