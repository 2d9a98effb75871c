"""A davitd that dies at crash points again and again, and all that is around it: the page by which points are armed while it
runs, a repository, a forge that delivers until it is answered, and what the checker has to find afterwards."""

import http.client
import mmap
import os
import queue
import struct
import subprocess
import threading
import time

import checker
import forge
import pushes
import server
from engine import EngineOf
from registry import Registry
from records import Records, Redis, unsettled

NAME_MAX = 56
SETTLED_S = 90
AGAIN = "davitd was restarted|iptables failed: .*No chain/target/match"
LOOK_S = 0.03  # between two looks at what nobody tells


def points():
    """Of the davitd under test: {name: what has happened when it is passed}."""
    listed = subprocess.run([os.path.join(server.OBJ, "server/davitd"), "--crash-points"], capture_output=True, text=True)
    return dict(line.split("\t") for line in listed.stdout.splitlines() if "\t" in line)


class Page:
    """struct crash_page of server/core/crash.h, shared with the process."""

    def __init__(self, path, names):
        size = NAME_MAX + 8 + 4 * len(names)
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


class Forge(threading.Thread):
    """Asks until it is answered, as a forge does that sends again, and as people do."""

    def __init__(self):
        super().__init__(daemon=True)
        self.todo = queue.Queue()
        self.start()

    @property
    def open(self):
        """How many are asked and not answered."""
        return self.todo.unfinished_tasks

    def ask(self, request, take, good=(200, 201, 202)):
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
            else:
                time.sleep(LOOK_S)
                self.todo.put((request, take, good))
            self.todo.task_done()


class Died(Exception):
    """Where the test wanted it, or not: who catches it knows."""


class World:
    """One davitd and all that is around it. Many points die here, one after the other."""

    def __init__(self, folder, names, effects, node):
        self.folder = str(folder)
        os.makedirs(self.folder)
        self.node, self.effects = node, effects
        self.page = Page(os.path.join(self.folder, "page"), names)
        self.davit = server.Davit(os.path.join(self.folder, "davit"), listen=[f"127.0.0.1:{forge.free_port()}"],
                                  node=node, engines=[{"url": server.ENGINE, "slots": 3}], builder={"warm_images": 0})
        self.davit.environment = {"DAVIT_CRASH_PAGE": os.path.join(self.folder, "page")}
        self.repo = forge.Repo(self.folder)
        self.forge = Forge()
        self.ledger = checker.Ledger()
        self.told = []  # statuses that were taken
        self.refuse = {}  # of a commit how many are refused first
        self.receiver = forge.Receiver(self._take_status)
        self.registry = Registry(os.path.join(self.folder, "registry"), closed=False)
        self.number = 0
        self.history = None
        self.held = []
        self.endless = None  # the job that goes on until rest() ends it
        self.is_at_rest = False  # nothing was asked for since everything was done
        self.fell = None  # the work that the last death met
        self.in_a_row = 0  # deaths since all was done

    def set_up(self):
        self.davit.start()
        told = {"statuses": True, "api": self.receiver.url, "token": "t0ken"}
        self.davit.add_repo(self.repo, id=self.node)
        self.davit.api("PUT", f"/repos/{self.node}/environments/live", {"kind": "engine"})
        for name, more in (("app", told), ("plain", {}), ("deaf", {**told, "name": "acme/deaf"}), ("busy", {})):
            self.davit.add_repo(self.repo, **{"id": name, **more})
            self.davit.api("PUT", f"/secrets/repo/{name}/TOKEN", {"value": "s3cret-of-the-job"})
        self.davit.api("PUT", "/repos/plain/crons/nightly", {"cron": "0 3 * * *", "timezone": "UTC", "branch": "cron"})
        self.history = checker.History(self.davit.redis_socket())
        return self

    def end(self):
        self.remove_application()
        if self.history:
            self.history.close()
        self.receiver.close()
        self.registry.close()
        self.davit.end()

    def keep_warm(self, count):
        """Of how many images it starts containers in advance."""
        if self.davit.options["builder"]["warm_images"] == count:
            return
        if not self.is_dead:
            self.kill()
        self.davit.options["builder"]["warm_images"] = count
        os.remove(os.path.join(self.davit.folder, "davit.yml"))

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

    def push(self, work, ref="refs/heads/main", refused=0):
        self.is_at_rest = False
        self.number += 1
        work.number = self.number
        work.commit = self.repo.commit({"daocloud.yml": work.pipeline, "step.sh": pushes.STEP,
                                        "number": f"{self.number} of {self.node}\n", **work.files}, ref=ref)
        self.refuse[work.commit] = refused
        return work

    def deliver(self, work, repo="app"):
        body = forge.push_payload(work.commit)
        delivery = f"{self.number:032x}"
        self.ledger.sent(delivery, work)
        self.call(lambda: forge.deliver(self.davit, body, repo=repo, delivery=delivery),
                  lambda answer: self.ledger.answered(delivery, answer.json["build"]))
        return delivery

    def pushed(self, work, repo="app", **more):
        return self.deliver(self.push(work, **more), repo)

    def build_of(self, delivery):
        """Its number, once the forge has been told."""
        return self.until("an answer to the delivery", lambda: self.ledger.deliveries[delivery].build)

    def ask(self, method, path, body=None, good=(200, 201, 202, 204), take=lambda answer: None):
        self.call(lambda: self.davit.ask(method, "/api/v1" + path, body), take, good)

    def call(self, request, take, *good):
        self.is_at_rest = False
        self.forge.ask(request, take, *good)

    def redis(self):
        return Redis(self.davit.redis_socket())

    def job_field(self, job, field):
        with self.redis() as redis:
            return redis("HGET", f"davit:job:{job}", field)

    # --- life and death ---

    @property
    def is_dead(self):
        return self.davit.process.poll() is not None

    def start(self):
        """If it does not live: until it listens, or has died before that."""
        if not self.is_dead:
            return
        try:
            self.davit.start(wait_ready=False)
        except AssertionError:
            if not self.davit.log.ended:
                raise
            self.davit.process.wait(10)

    def kill(self):
        self.page.disarm()
        self.davit.kill()

    def buried(self):
        """It has died, at the point and not of anything else."""
        self.page.disarm()
        code = self.davit.process.wait()
        assert code == -9, f"davitd ended with {code}:\n" + "\n".join(self.davit.log.lines[-40:])
        self.in_a_row += 1

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
            time.sleep(LOOK_S)

    def why_not_settled(self):
        left = unsettled(self.davit.redis_socket(), self.endless)
        if self.forge.open:
            left.append(f"{self.forge.open} requests without an answer")
        return ", ".join(left)

    def settle(self):
        """All is done but the endless job, which has been taken up: an engine is in use when all on it is known."""
        self.start()
        try:
            self.until("rest", lambda: not self.why_not_settled())
            self.until("an engine", lambda: any(" is up: " in line for line in list(self.davit.log.lines)))
        except Died:
            raise AssertionError("davitd died by itself:\n" + "\n".join(self.davit.log.lines[-40:])) from None
        self.in_a_row = 0

    def rest(self):
        """Nothing goes on any more."""
        if self.is_at_rest and not self.is_dead:
            return
        self.start()
        if self.endless:
            build = self.endless.split(".")[0]
            self.ask("POST", f"/builds/{build}/cancel", good=(202, 409))
            self.endless = None
        self.settle()
        self.is_at_rest = True

    def keep_busy(self, work):
        """work: an endless job, which runs from here on; its first line is out, so that it is taken up after a death. No
        build is being planned."""
        self.start()
        if not self.endless:
            build = self.build_of(self.pushed(work, "busy"))
            path = os.path.join(self.davit.state, "log", str(build), "1.1.log")
            self.until("the first line of the endless job", lambda: os.path.exists(path) and os.stat(path).st_size > 0)
            self.endless = f"{build}.1"
        self.until("the end of all planning", lambda: not self.is_planning())

    def is_planning(self):
        with self.redis() as redis:
            return redis("ZCARD", "davit:planning") or any("." not in one for one in redis("ZRANGE", "davit:running", 0, -1))

    def work_until_death(self, drive, again=False, tries=3):
        """Drives until the armed point has killed it. again: what is left may pass it, before more is asked."""
        self.fell = drive
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

    def die_at(self, point, drive):
        self.page.arm(point)
        self.start()
        self.work_until_death(drive)

    # --- the application ---

    def docker(self, *words):
        return subprocess.run(["/usr/bin/docker", "-H", server.ENGINE, *words], capture_output=True, text=True).stdout.split()

    def application(self, form):
        return self.docker("ps", "-a", "--filter", f"label=davit.repo={self.node}", "--format", form)

    def remove_application(self):
        for one in self.application("{{.ID}}"):
            self.docker("rm", "-fv", one)
        for one in self.docker("network", "ls", "-q", "--filter", f"label=davit.application={self.node}/live"):
            self.docker("network", "rm", one)

    def check_application(self):
        """What runs is what was deployed last, whole; and nothing else is there."""
        with self.redis() as redis:
            deployed = redis("HGET", f"davit:environment:{self.node}:live", "deployed")
        wanted = {f"{self.node}.live.app.{replica}.{deployed}/running" for replica in (1, 2)} if deployed else set()
        found = set(self.application("{{.Names}}/{{.State}}"))
        return [checker.Violation("I3", self.node, f"containers {sorted(wanted)}", sorted(found))] if found != wanted else []

    # --- afterwards ---

    def check(self):
        """Everything that is not as it should be."""
        self.rest()
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
        wrong += checker.check_again(records, AGAIN)
        wrong += checker.check_left_in_redis(records)
        wrong += self.check_application()
        wrong += checker.check_logs(self.davit.state, asked, self.ledger)
        wrong += checker.check_statuses(app, self.ledger, self.told)
        wrong += checker.check_effects(app, self.ledger, [e for e in self.effects.all() if e[1] in self.ledger.pushes()])
        with open(os.path.join(self.davit.folder, "davitd.log"), errors="replace") as lines:
            wrong += checker.check_reports(lines)
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
