"""The real davitd in a folder of its own: started, asked, killed and started again by a test."""

import http.client
import json
import os
import re
import secrets
import select
import signal
import subprocess
import threading
import time
import urllib.parse

OBJ = os.environ.get("DAVIT_OBJ", "build/test/obj")
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
ENGINES = os.environ.get("DAVIT_TEST_DOCKERS", os.environ.get("DAVIT_TEST_DOCKER", "")).split()
ENGINE = ENGINES[WORKER] if ENGINES else ""
IMAGE = "davit-test/busybox:latest"
FINAL = {"passed", "failed", "cancelled", "timed_out", "error"}


class Lines:
    """The lines of a growing output; waits for one instead of sleeping."""

    def __init__(self, stream, keep):
        self.lines = []
        self.more = threading.Condition()
        self.ended = False
        threading.Thread(target=self._read, args=(stream, keep), daemon=True).start()

    def _read(self, stream, keep):
        with open(keep, "ab", buffering=0) as copy:
            for line in stream:
                copy.write(line)
                with self.more:
                    self.lines.append(line.decode(errors="replace").rstrip("\n"))
                    self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def wait(self, pattern, since=0, timeout=60):
        deadline = time.monotonic() + timeout
        at = since
        with self.more:
            while True:
                while at < len(self.lines):
                    found = re.search(pattern, self.lines[at])
                    if found:
                        return found
                    at += 1
                left = deadline - time.monotonic()
                assert left > 0 and not self.ended, (
                    f"no line like {pattern!r}; the last ones:\n" + "\n".join(self.lines[-30:]))
                self.more.wait(left)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Successor:
    """A davitd that another one has started: no child of ours, so its exit code is not ours to see."""

    def __init__(self, pid):
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    def send_signal(self, how):
        signal.pidfd_send_signal(self.pidfd, how)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def poll(self):
        return 0 if select.select([self.pidfd], [], [], 0)[0] else None

    def wait(self, timeout=None):
        if not select.select([self.pidfd], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("davitd", timeout)
        return 0


class Davit:
    def __init__(self, folder, **options):
        self.folder = str(folder)
        self.state = os.path.join(self.folder, "state")
        self.options = options
        self.process = None
        self.program = os.path.join(OBJ, "server/davitd")
        self.under = []  # the command that starts it, such as prlimit
        self.environment = {}
        self.pass_fds = ()
        os.makedirs(self.state, exist_ok=True)

    def configuration(self):
        conf = {
            "listen": ["127.0.0.1:0"],
            "state_dir": self.state,
            "url": "http://davit.test",
            "node": "n" + secrets.token_hex(4),
            "log_level": "debug",
            "engines": [{"url": ENGINE, "slots": 2}],
            "git": {"allow_local": True},
            "hook": {"poll": "0s"},  # tests push first and deliver later
            "builder": {"warm_images": 1, "warm_per_image": 1},
        }
        for key, value in self.options.items():
            if isinstance(value, dict) and isinstance(conf.get(key), dict):
                conf[key] = {**conf[key], **value}
            else:
                conf[key] = value
        return conf

    def start(self, wait_ready=True):
        path = os.path.join(self.folder, "davit.yml")
        if not os.path.exists(path):
            with open(path, "w") as file:
                json.dump(self.configuration(), file, indent=1)  # JSON is YAML
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        env.pop("JOURNAL_STREAM", None)
        env.update(self.environment)
        self.process = subprocess.Popen(
            [*self.under, self.program, "-c", path], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env=env, start_new_session=True, pass_fds=self.pass_fds)
        self.log = Lines(self.process.stderr, os.path.join(self.folder, "davitd.log"))
        self.port = int(self.log.wait(r"listening on 127\.0\.0\.1:(\d+)").group(1))
        if wait_ready:
            self.log.wait(r"info +ready$")
        with open(os.path.join(self.state, "admin-token")) as file:
            self.token = file.read().strip()
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        """As the OOM killer would: Redis and the containers live on."""
        self.process.kill()
        self.process.wait()

    def reload(self):
        """Hands over to a new process, which runs the binary that lies there now; returns when the older one has ended."""
        since = len(self.log.lines)
        self.process.send_signal(signal.SIGUSR2)
        newer = Successor(int(self.log.wait(r"handover: davitd with pid (\d+) takes the place", since).group(1)))
        assert self.process.wait(60) == 0, "\n".join(self.log.lines[-60:])
        self.process = newer
        self.log.wait(r"info +ready$", since)

    def stop(self, how=signal.SIGINT, expect=0):
        """SIGINT ends the private Redis too. A leak or a sanitizer's report is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(60)
        text = "\n".join(self.log.lines[-60:])
        assert code == expect and "Sanitizer" not in text, f"davitd ended with {code}:\n{text}"

    def end(self):
        """Whatever happened in the test: nothing of ours stays."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        pid = self.redis_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)

    def redis_socket(self):
        return os.path.join(self.state, "redis", "redis.sock")

    def redis_pid(self):
        found = subprocess.run(["pgrep", "-f", f"redis-server.*{self.redis_socket()}"], capture_output=True, text=True)
        pids = found.stdout.split()
        if not pids:
            found = subprocess.run(["sh", "-c", f"cat '{self.state}/redis/redis.pid' 2>/dev/null"], capture_output=True, text=True)
            pids = [p for p in found.stdout.split() if os.path.exists(f"/proc/{p}")]
        return int(pids[0]) if pids else None

    def redis(self, *command):
        """redis-cli, as an operator would use it."""
        done = subprocess.run(["redis-cli", "-s", self.redis_socket(), *self.redis_auth(), *command],
                              capture_output=True, text=True, timeout=10)
        return done.stdout.rstrip("\n")

    def redis_auth(self):
        path = os.path.join(self.state, "redis", "password")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return ["--no-auth-warning", "-a", file.read().strip()]

    def ask(self, method, path, body=None, headers=None, token=None, timeout=30):
        headers = dict(headers or {})
        if token is not False:
            headers.setdefault("Authorization", f"Bearer {token or self.token}")
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def api(self, method, path, body=None):
        answer = self.ask(method, "/api/v1" + path, body)
        assert answer.status < 300, f"{method} {path}: {answer}"
        return answer.json if answer.body else None

    def add_repo(self, repo, **more):
        values = {"id": "app", "name": "acme/app", "url": repo.url, "forge": "github", "secret": "s3cret", **more}
        self.api("POST", "/repos", values)
        return values["id"]

    def wait_build(self, number, states=FINAL, timeout=120):
        """Until the build is in one of the states: events of the server's own stream wake us, no sleeping."""
        deadline = time.monotonic() + timeout
        with Events(self) as events:
            while True:
                build = self.api("GET", f"/builds/{number}")
                if build["state"] in states:
                    return build
                assert time.monotonic() < deadline, build
                events.wait(deadline - time.monotonic())

    def wait_waiting(self, job, words):
        """Until the job waits for that: each change of a job is an event."""
        number, k = job.split(".")
        with Events(self) as events:
            while True:
                jobs = self.api("GET", f"/builds/{number}")["jobs"]
                if len(jobs) >= int(k) and jobs[int(k) - 1].get("waits_for") == words:
                    return
                events.wait(60)

    def job_log(self, job, attempt=None):
        query = f"?attempt={attempt}" if attempt else ""
        return self.ask("GET", f"/api/v1/jobs/{job}/log{query}").body

    def follow(self, job, last_event_id=None, timeout=60):
        return Events(self, f"/api/v1/jobs/{job}/log/stream", last_event_id, timeout)

    def wait_log(self, job, words):
        """Until they are in the job's log, as its stream has it in JSON."""
        with self.follow(job) as events:
            for event in events:
                if event["event"] == "log" and words in event["data"]:
                    return
        raise AssertionError(f"{words!r} is not in the log")

    def cli(self, *args, token=None, **more):
        env = {**os.environ, "DAVIT_URL": self.url, "DAVIT_TOKEN": token or self.token}
        return subprocess.run([os.path.join(OBJ, "cli/davit"), *args], capture_output=True, text=True, env=env, timeout=120, **more)


class Events:
    """A stream of server-sent events."""

    def __init__(self, davit, path="/api/v1/events", last_event_id=None, timeout=60):
        self.connection = http.client.HTTPConnection("127.0.0.1", davit.port, timeout=timeout)
        headers = {"Authorization": f"Bearer {davit.token}", "Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        self.connection.request("GET", path, headers=headers)
        self.reply = self.connection.getresponse()
        assert self.reply.status == 200, (self.reply.status, self.reply.read())
        assert self.reply.headers["Content-Type"].startswith("text/event-stream")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()
        self.reply.close()

    def __iter__(self):
        return self.until(None)

    def until(self, deadline):
        event = {"event": "message", "data": [], "id": None}
        while True:
            line = self.reply.readline()
            if not line:
                return
            assert deadline is None or time.monotonic() < deadline, "nothing was told in time"
            line = line.decode().rstrip("\r\n")
            if line == "":
                if event["data"]:
                    yield {**event, "data": "\n".join(event["data"])}
                event = {"event": "message", "data": [], "id": event["id"]}
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if name == "data":
                    event["data"].append(value)
                elif name in ("event", "id"):
                    event[name] = value

    def wait(self, timeout):
        """The next event, whatever it is."""
        for event in self.until(time.monotonic() + timeout):
            return event
        raise AssertionError("the event stream ended")


def quote(text):
    return urllib.parse.quote(text, safe="")
