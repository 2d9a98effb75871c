"""What dies at a crash point, and the work that passes it: a davitd whose points are armed while it runs, repositories, a
forge that delivers until it is answered, and for each point the scenario that leads there."""

import http.client
import json
import mmap
import os
import queue
import struct
import subprocess
import sys
import threading
import time

import forge
import server

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "torture"))
import checker  # noqa: E402
import pushes  # noqa: E402
from engine import EngineOf  # noqa: E402
from records import Records, Redis, unsettled  # noqa: E402

IMAGE = server.IMAGE
OTHER = "davit-test/crash-other:latest"
HTTPD = "davit-test/crash-httpd:latest"
NAME_MAX = 56
SETTLED_S = 90


def points():
    """Of the davitd under test: {name: what has happened when it is passed}."""
    listed = subprocess.run([os.path.join(server.OBJ, "server/davitd"), "--crash-points"], capture_output=True, text=True)
    return dict(line.split("\t") for line in listed.stdout.splitlines() if "\t" in line)


class Page:
    """struct crash_page of server/core/crash.h, shared with the process."""

    def __init__(self, path, names):
        self.names = list(names)
        size = NAME_MAX + 8 + 4 * len(self.names)
        with open(path, "wb") as file:
            file.truncate(size)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), size)

    def arm(self, name, n=1):
        self.disarm()
        self.map[NAME_MAX:NAME_MAX + 4] = struct.pack("=I", n)
        self.map[1:NAME_MAX] = name.encode()[1:].ljust(NAME_MAX - 1, b"\0")
        self.map[0:1] = name.encode()[:1]  # last: from now on it is the name

    def disarm(self):
        self.map[0:1] = b"\0"

    def passed(self, name):
        at = NAME_MAX + 8 + 4 * self.names.index(name)
        return struct.unpack("=I", self.map[at:at + 4])[0]


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


REPORT = '<testsuite name="s"><testcase name="one"/><testcase name="two"/></testsuite>\n'


def rich(effects):
    """Everything that a job may have around its script: a secret, a cache, an artifact, a report, steps that are told."""
    steps = [(1, 4711, 6, "0"), (2, 815, 40, "0")]
    commands = [(f"sh ./step.sh {s} {seed} {lines} {rest}", pushes.lines_of(seed, lines)) for s, seed, lines, rest in steps]
    commands += [("mkdir -p dist deps", b""), ("cp number dist/app", b""), ("cp number deps/list", b"")]
    work = Work("rich", "passed", f"image: {IMAGE}\nenv: [EFFECTS={effects}]\nsecrets: [TOKEN]\n"
                "cache: {key: \"deps-${checksum:number}\", paths: [deps]}\n"
                "artifacts: [{name: dist, paths: [dist]}]\nreports: {junit: report.xml}\n"
                "script:\n" + "".join(f"  - {c}\n" for c, _ in commands), [commands], {"report.xml": REPORT})
    work.effects = effects
    work.jobs = [steps]
    return work


def script(kind, state, commands, more=""):
    return Work(kind, state, f"image: {IMAGE}\n{more}script:\n" + "".join(f"  - {c}\n" for c, _ in commands), [commands])


def quick():
    return script("quick", "passed", [("sleep 0.5", b""), ("echo quick", b"quick\n")])


class Forge(threading.Thread):
    """Asks until it is answered, as a forge does that sends again, and as people do."""

    def __init__(self):
        super().__init__(daemon=True)
        self.todo = queue.Queue()
        self.open = 0  # asked and not answered
        self.start()

    def ask(self, request, take, good=(200, 201, 202)):
        self.open += 1
        self.todo.put((request, take, good))

    def run(self):
        while True:
            request, take, good = self.todo.get()
            try:
                answer = request()
            except (OSError, http.client.HTTPException):
                answer = None
            if answer is not None and answer.status in good:
                take(answer)
                self.open -= 1
            else:
                time.sleep(0.02)
                self.todo.put((request, take, good))


class Died(Exception):
    """Where the test wanted it, or not: who catches it knows."""


class World:
    """One davitd and all that is around it. Many points die here, one after the other."""

    def __init__(self, folder, names, effects, node, warm):
        self.folder, self.warm = str(folder), warm
        os.makedirs(self.folder)
        self.node, self.effects = node, effects
        self.page = Page(os.path.join(self.folder, "page"), names)
        self.davit = server.Davit(os.path.join(self.folder, "davit"), listen=[f"127.0.0.1:{forge.free_port()}"],
                                  node=node, engines=[{"url": server.ENGINE, "slots": 3}],
                                  builder={"warm_images": int(warm)})
        self.davit.environment = {"DAVIT_CRASH_PAGE": os.path.join(self.folder, "page")}
        self.repo = forge.Repo(self.folder)
        self.forge = Forge()
        self.ledger = checker.Ledger()
        self.told = []  # statuses that were taken
        self.refuse = {}  # of a commit how many are refused first
        self.receiver = forge.Receiver(self._take_status)
        self.number = 0
        self.deaths = 0
        self.history = None
        self.held = []

    def set_up(self):
        self.davit.start()
        for name, more in (("app", {"statuses": True, "api": self.receiver.url, "token": "t0ken"}), ("plain", {}),
                           ("deaf", {"statuses": True, "api": self.receiver.url, "token": "t0ken", "name": "acme/deaf"})):
            self.davit.add_repo(self.repo, **{"id": name, **more})
        for name in ("app", "plain", "deaf"):
            answer = self.davit.ask("PUT", f"/api/v1/secrets/repo/{name}/TOKEN", {"value": "s3cret-of-the-job"})
            assert answer.status < 300, answer
        self.davit.ask("PUT", "/api/v1/repos/plain/crons/nightly", {"cron": "0 3 * * *", "timezone": "UTC", "branch": "cron"})
        self.history = checker.History(self.davit.redis_socket())
        return self

    def end(self):
        if self.history:
            self.history.close()
        self.receiver.close()
        self.davit.end()

    def _take_status(self, request):
        commit = request["path"].rsplit("/", 1)[1]
        if "/acme/deaf/" in request["path"]:
            return 422, {}, b"{}"
        if self.refuse.get(commit, 0) > 0:
            self.refuse[commit] -= 1
            return 503, {}, b"{}"
        self.told.append(request)
        return 201, {}, b"{}"

    # --- work ---

    def push(self, work, repo="app", ref="refs/heads/main", refused=0):
        self.number += 1
        work.number = self.number
        work.commit = self.repo.push({"daocloud.yml": work.pipeline, "step.sh": pushes.STEP, "number": f"{self.number} of {self.node}\n",
                                      **work.files}, ref=ref)
        self.refuse[work.commit] = refused
        return work

    def deliver(self, work, repo="app"):
        body = forge.push_payload(work.commit)
        delivery = f"{self.number:032x}"
        self.ledger.sent(delivery, work)
        self.forge.ask(lambda: forge.deliver(self.davit, body, repo=repo, delivery=delivery),
                       lambda answer: self.ledger.answered(delivery, answer.json["build"]))
        return delivery

    def pushed(self, work, repo="app", **more):
        return self.deliver(self.push(work, **more), repo)

    def build_of(self, delivery):
        """Its number, once the forge has been told."""
        return self.until("an answer to the delivery", lambda: self.ledger.deliveries[delivery].build)

    def ask(self, method, path, body=None, good=(200, 201, 202, 204), take=lambda answer: None):
        self.forge.ask(lambda: self.davit.ask(method, "/api/v1" + path, body), take, good)

    def redis(self):
        return Redis(self.davit.redis_socket())

    # --- life and death ---

    @property
    def is_dead(self):
        return self.davit.process.poll() is not None

    def start(self):
        """If it does not live: until it listens, or has died before that."""
        if self.davit.process.poll() is None:
            return
        try:
            self.davit.start(wait_ready=False)
        except AssertionError:
            if self.davit.process.poll() is None:
                raise

    def kill(self):
        self.page.disarm()
        self.davit.kill()

    def buried(self):
        """It has died, at the point and not of anything else."""
        self.page.disarm()
        code = self.davit.process.wait()
        assert code == -9, f"davitd ended with {code}:\n" + "\n".join(self.davit.log.lines[-40:])
        self.deaths += 1

    def until(self, what, condition, timeout=SETTLED_S):
        """Whose truth can only be asked for. A death on the way is Died."""
        deadline = time.monotonic() + timeout
        while True:
            if self.is_dead:
                raise Died
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s; {self.why_not_settled()}"
            time.sleep(0.02)

    def why_not_settled(self):
        left = unsettled(self.davit.redis_socket())
        if self.forge.open:
            left.append(f"{self.forge.open} requests without an answer")
        return ", ".join(left)

    def settle(self):
        try:
            self.until("rest", lambda: not self.why_not_settled())
        except Died:
            raise AssertionError("davitd died by itself:\n" + "\n".join(self.davit.log.lines[-40:])) from None

    def work_until_death(self, drive, again=False, tries=3):
        """Drives until the armed point has killed it. again: what is left may pass it, before more is asked."""
        try:
            if again:
                self.until("rest", lambda: not self.why_not_settled())
            for _ in range(tries):
                drive(self)
                self.until("rest", lambda: not self.why_not_settled())
        except Died:
            self.buried()
            return
        raise AssertionError("the point was not passed")

    # --- afterwards ---

    def check(self):
        """Everything that is not as it should be."""
        for build in self.held:
            self.davit.ask("POST", f"/api/v1/builds/{build}/cancel")
        self.held.clear()
        self.forget_dropped()
        wrong = self.until_clean()
        records = Records.of(self.davit.redis_socket())
        asked = self.of_pushes(records, set(records.repos))
        app = self.of_pushes(records, ("app",))  # whose forge hears of it, and whose steps are told
        wrong += checker.check_accepted(asked, self.ledger)
        wrong += checker.check_states(records, self.ledger, list(self.history.builds))
        wrong += checker.check_left_in_redis(records)
        wrong += checker.check_logs(self.davit.state, asked, self.ledger)
        wrong += checker.check_statuses(app, self.ledger, self.told)
        wrong += checker.check_effects(app, self.ledger, [e for e in self.effects.all() if e[1] in self.ledger.pushes()])
        wrong += checker.check_reports(self.davit.log.lines)
        return wrong

    def until_clean(self):
        """What may go last: what is on the engine, and files that nobody waits for. 30 seconds are promised."""
        deadline = time.monotonic() + checker.LEFT_S
        while True:
            records = Records.of(self.davit.redis_socket())
            wrong = checker.check_left_in_engine(EngineOf(server.ENGINE, self.node))
            wrong += checker.check_left_on_disk(self.davit.state, records) + self.check_files(records)
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(0.1)

    def check_files(self, records):
        """Each artifact and cache on record has its file. Files of an attempt that died go with their build, a cache's
        that came to no record an hour later."""
        found, wanted = set(), set()
        for folder in ("artifacts", "caches"):
            for path, _, names in os.walk(os.path.join(self.davit.state, folder)):
                found |= {os.path.relpath(os.path.join(path, name), self.davit.state) for name in names}
        with self.redis() as redis:
            for key in records.keys:
                if key.startswith("davit:artifact:"):
                    build, job, index = key[15:].split(".")
                    wanted.add(f"artifacts/{build}/{job}.{redis('HGET', key, 'attempt')}.{index}.tar.zst")
                elif key.startswith("davit:cache:"):
                    wanted.add(f"caches/{key[12:]}.tar")
        wrong = [checker.Violation("I3", path, "a job on record", "none") for path in sorted(found - wanted)
                 if path.startswith("artifacts/") and self.job_of(path) not in records.jobs]
        return wrong + [checker.Violation("I3", path, "a file", "none") for path in sorted(wanted - found)]

    @staticmethod
    def job_of(artifact):
        _, build, name = artifact.split("/")
        return f"{build}.{name.split('.')[0]}"

    def forget_dropped(self):
        """Messages that the deaf forge refused for good are where they should be; then they are in the way."""
        with self.redis() as redis:
            for notice in redis("LRANGE", "davit:outbox:dead", 0, -1):
                if "status:deaf:" in (redis("HGET", f"davit:notice:{notice}", "target") or ""):
                    redis("DEL", f"davit:notice:{notice}")
                    redis("LREM", "davit:outbox:dead", 0, notice)

    @staticmethod
    def of_pushes(records, repos):
        view = object.__new__(Records)
        view.__dict__.update(records.__dict__)
        view.builds = {n: b for n, b in records.builds.items()
                       if b["event"] == "push" and b["repo"] in repos and "rerun_of" not in b}
        view.jobs = {j: f for j, f in records.jobs.items() if int(f["build"]) in view.builds}
        return view


# --- what leads to the points ---

def push_rich(w):
    w.pushed(rich(w.effects.target))


def push_two(w):
    """The second finds a container in stock that the first has used up or made."""
    w.build_of(w.pushed(quick()))
    w.until("rest", lambda: not w.why_not_settled())
    w.pushed(quick())


def push_parts(w):
    w.pushed(Work("parts", "passed", f"image: {IMAGE}\nsteps:\n  - script: [echo one > left]\n"
                  f"  - {{image: \"{OTHER}\", script: [cat left]}}\n",
                  [[("echo one > left", b""), ("cat left", b"one\n")]]), "plain")


def push_service(w):
    text = (f"image: {IMAGE}\nservices:\n  - {{name: web, image: \"{HTTPD}\", ready: {{tcp: 8000, timeout: 20s}}}}\n"
            "script:\n  - nc -w 5 web 8000 </dev/null\n")
    w.pushed(Work("service", "passed", text, [[("nc -w 5 web 8000 </dev/null", b"")]]), "plain")


def push_unknown_image(w):
    w.pushed(Work("unknown", "error", "image: 127.0.0.1:1/nowhere:1\nscript: [echo never]\n", [[]]), "plain")


def push_image(w):
    w.pushed(Work("image", "passed", "jobs:\n  image:\n    build: {dockerfile: Dockerfile}\n", [None],
                  {"Dockerfile": f"FROM {IMAGE}\nCOPY number /number\n"}), "plain")


def push_endless(w):
    w.pushed(script("endless", "timed_out", [("echo begun", b"begun\n"), ("sleep 600", b"")], "timeout: 1s\n"), "plain")


def push_failing_held(w):
    delivery = w.pushed(script("held", "failed", [("echo bad", b"bad\n"), ("exit 3", b"")], "hold_on_failure: 10m\n"), "plain")
    w.held.append(w.build_of(delivery))


def push_and_cancel(w):
    number = w.build_of(w.pushed(script("cancelled", "cancelled", [("echo begun", b"begun\n"), ("sleep 600", b"")]), "plain"))
    w.until("a running job", lambda: job_field(w, f"{number}.1", "container"))
    w.ask("POST", f"/builds/{number}/cancel", good=(202, 409))


def job_field(w, job, field):
    with w.redis() as redis:
        return redis("HGET", f"davit:job:{job}", field)


def push_and_rerun(w):
    number = w.build_of(w.pushed(quick(), "plain"))
    w.until("its end", lambda: not w.why_not_settled())
    w.ask("POST", f"/builds/{number}/rerun", good=(201, 409))


def push_from_fork(w):
    work = w.push(quick(), ref=f"refs/pull/{w.number + 1}/head")
    base = {"id": 1, "full_name": "acme/app", "clone_url": "https://forge.test/acme/app.git"}
    payload = {"action": "opened", "number": w.number, "repository": base, "sender": {"login": "eve"},
               "pull_request": {"title": "Mine", "user": {"login": "eve"}, "html_url": "https://forge.test/acme/app/pull/1",
                                "head": {"sha": work.commit, "ref": "topic", "repo": {"id": 2, "full_name": "eve/app"}},
                                "base": {"ref": "main", "repo": base}}}
    delivery, known = f"{w.number:032x}", []
    w.forge.ask(lambda: forge.deliver(w.davit, payload, repo="plain", event="pull_request", delivery=delivery),
                lambda answer: known.append(answer.json["build"]))
    number = w.until("an answer to the fork's delivery", lambda: known)[0]
    w.ask("POST", f"/builds/{number}/approve", good=(202, 409))


def start_by_hand(w):
    w.push(quick(), ref="refs/heads/hand")
    w.ask("POST", "/repos/plain/builds", {"branch": "hand"})


def let_schedule_be_due(w):
    w.push(quick(), ref="refs/heads/cron")
    with w.redis() as redis:
        redis("ZADD", "davit:cron", "XX", 1, "plain nightly")
        redis("PUBLISH", "davit:wake", "cron")
    w.until("the schedule's build", lambda: job_is_made(w))


def job_is_made(w):
    with w.redis() as redis:
        return float(redis("ZSCORE", "davit:cron", "plain nightly")) > 1


def push_refused(w):
    w.pushed(quick(), refused=1)


def push_deaf(w):
    w.pushed(quick(), "deaf")


def push_to_new_repo(w):
    """Its mirror is not there yet."""
    name = f"new{w.number}"
    w.until("its record", lambda: add_repo(w, name))
    w.pushed(quick(), name)


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
    answer = w.davit.ask("DELETE", f"/api/v1/repos/{name}")
    assert answer.status < 300, answer
    w.ledger.forget(delivery)


def rotate_key(w):
    w.ask("POST", "/seal-key/rotate", good=(200, 202, 204, 409))
    w.until("the rotation's begin", lambda: not w.forge.open)
    w.until("its end", lambda: not os.path.exists(os.path.join(w.davit.state, "seal-key.old")))


def expire_and_push(w):
    """The oldest artifact is too old, and so is the oldest cache; a new cache has the files looked through."""
    with w.redis() as redis:
        node = w.node
        for artifact in redis("ZRANGE", f"davit:artifacts:{node}", 0, 0):
            redis("ZADD", f"davit:artifacts:{node}", 1, artifact)
        for cache in redis("ZRANGE", f"davit:caches:{node}", 0, 0):
            redis("ZADD", f"davit:caches:{node}", 1, cache)
    push_rich(w)
    w.until("rest", lambda: not w.why_not_settled())
    w.until("the look through the files", lambda: is_looked_through(w))


def is_looked_through(w):
    with w.redis() as redis:
        return redis("ZCOUNT", f"davit:artifacts:{w.node}", 1, 1) + redis("ZCOUNT", f"davit:caches:{w.node}", 1, 1) == 0


def stop(w):
    w.davit.process.terminate()
    w.until("its end", lambda: False)


def push_running(w):
    """Until its job runs."""
    number = w.build_of(w.pushed(script("slow", "passed", [("sleep 1", b"")])))
    w.until("a running job", lambda: job_field(w, f"{number}.1", "container"))


def lose_redis(w):
    if w.davit.redis_pid():
        os.kill(w.davit.redis_pid(), 9)


def lose_token(w):
    """As before the first start; the next one makes a new one."""
    os.remove(os.path.join(w.davit.state, "admin-token"))


class Scenario:
    """How the daemon dies at a point, in each context. drive: the work that passes it. warm: of a daemon that starts
    containers in advance."""

    def __init__(self, drive, fresh=False, warm=False):
        self.drive, self.fresh, self.warm = drive, fresh, warm

    def idle(self, w, point):
        w.start()
        w.settle()
        if self.fresh:  # nothing is on the engine yet
            w.kill()
            w.start()
        w.page.arm(point)
        w.work_until_death(self.drive)

    def recovering(self, w, point):
        w.page.arm(point)
        w.start()
        w.work_until_death(self.drive, again=True)

    def busy(self, w, point):
        """What the points before it have left is under way, too."""
        w.start()
        if not w.why_not_settled():
            w.pushed(quick())
            w.pushed(quick(), "plain")
        w.page.arm(point)
        w.work_until_death(self.drive)


class Start(Scenario):
    """A point that the start itself passes. before: what the process was doing that is killed for it; lose: what is gone
    besides."""

    def __init__(self, before=lambda w: None, lose=lambda w: None):
        super().__init__(lambda w: w.until("its death", lambda: False))
        self.before, self.lose = before, lose

    def recovering(self, w, point):
        w.start()
        self.before(w)
        w.kill()
        self.lose(w)
        w.page.arm(point)
        w.start()
        w.work_until_death(self.drive)

    def idle(self, w, point):
        w.start()
        w.settle()
        self.recovering(w, point)

    def busy(self, w, point):
        w.start()
        w.pushed(quick(), "plain")
        push_running(w)
        self.recovering(w, point)


class Stop(Scenario):
    """A point on the way to an orderly end."""

    def __init__(self):
        super().__init__(stop)

    def busy(self, w, point):
        w.start()
        w.pushed(quick(), "plain")
        push_running(w)
        w.page.arm(point)
        w.work_until_death(stop)


RICH, FRESH, START = Scenario(push_rich), Scenario(push_rich, fresh=True), Start()
LEFT, REDIS, STOP = Start(push_running), Start(lose=lose_redis), Stop()

SCENARIOS = {
    **dict.fromkeys("""hook_verified change_accepted change_answered plan_claiming plan_claimed fetch_beginning fetch_ended
        workspace_packed plan_made plan_recording plan_recorded job_claiming job_claimed job_begun secrets_found
        workspace_ready files_gathered start_recording start_recorded job_feeding job_fed log_text_written log_text_indexed
        segment_marked exit_seen output_drained collect_beginning report_recording report_recorded file_written
        file_named artifact_recording artifact_recorded cache_recording cache_recorded files_collected container_removing
        container_removed run_ended log_finishing log_synced result_recording result_recorded job_ended outbox_claiming
        notice_claimed fanout_recording fanout_recorded status_sending status_sent status_acking status_acked""".split(), RICH),
    **dict.fromkeys("""network_making network_made sandbox_ready container_making container_made container_starting
        container_started""".split(), FRESH),
    **dict.fromkeys("""state_locked redis_up node_registering node_registered left_known engine_swept engine_up lease_renewing
        lease_renewed promoting promoted""".split(), START),
    **dict.fromkeys("job_left job_requeueing job_requeued engine_listed engine_removed".split(), LEFT),
    **dict.fromkeys("redis_launching redis_launched".split(), REDIS),
    **dict.fromkeys("stop_beginning stop_jobs_gone stop_engines_gone stop_ending".split(), STOP),
    **dict.fromkeys("volume_making volume_made volume_removed".split(), Scenario(push_parts)),
    **dict.fromkeys("services_starting services_ready".split(), Scenario(push_service)),
    **dict.fromkeys("pull_beginning pull_ended".split(), Scenario(push_unknown_image)),
    **dict.fromkeys("image_building image_built".split(), Scenario(push_image)),
    **dict.fromkeys("cancel_asking cancel_recorded cancel_heard".split(), Scenario(push_and_cancel)),
    **dict.fromkeys("rerun_asking rerun_recorded".split(), Scenario(push_and_rerun)),
    **dict.fromkeys("submit_accepted commit_recording commit_recorded".split(), Scenario(start_by_hand)),
    **dict.fromkeys("schedule_firing schedule_fired".split(), Scenario(let_schedule_be_due)),
    **dict.fromkeys("status_putting_off status_put_off".split(), Scenario(push_refused)),
    **dict.fromkeys("key_changing key_kept key_changed key_resealing key_resealed key_forgotten".split(), Scenario(rotate_key)),
    **dict.fromkeys("artifacts_expired caches_pruned".split(), Scenario(expire_and_push)),
    "key_written": Start(lose=lose_token),
    "mirror_making": Scenario(push_to_new_repo),
    "warm_taken": Scenario(push_two, warm=True),
    **dict.fromkeys("timeout_passed verdict_recording verdict_recorded".split(), Scenario(push_endless)),
    **dict.fromkeys("script_ended job_held".split(), Scenario(push_failing_held)),
    **dict.fromkeys("pruning pruned artifacts_removed".split(), Start(push_and_delete_repo)),
    "decision_recorded": Scenario(push_from_fork),
    "status_dropping": Scenario(push_deaf),
}


def die(w, point, context):
    try:
        getattr(SCENARIOS[point], context)(w, point)
    except AssertionError as error:
        raise AssertionError(f"{point}, {context}: {error}") from error


def check(w, points):
    """Started again, it comes to rest, and everything is as it should be."""
    w.start()
    w.settle()
    wrong = w.check()
    assert not wrong, f"after {' '.join(points)}:\n" + "\n".join(map(str, wrong))


def rounds(wanted, together=6):
    """(point, context) in lists, each to be gone through by one daemon and checked at its end: of one scenario, such as are
    far from each other."""
    by_scenario = {}
    for point, context in wanted:
        by_scenario.setdefault(SCENARIOS[point], []).append((point, context))
    chains = []
    for deaths in by_scenario.values():
        count = (len(deaths) + together - 1) // together
        chains += [deaths[i::count] for i in range(count)]
    return chains


def go_through(w, deaths):
    for point, context in deaths:
        die(w, point, context)
    check(w, [f"{point} ({context})" for point, context in deaths])
