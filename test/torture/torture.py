"""The torture: pushes are delivered, and davitd, its private Redis and the engine are killed under them, by a seed. Then the
checker looks at what became of it all. What is killed in which order, and what is pushed, follows from the seed; where a kill
meets its victim differs by load, so the journal in the folder says what happened."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "integration"))

import checker  # noqa: E402
import forge  # noqa: E402
import server  # noqa: E402
from disk import Disk, cut_power  # noqa: E402
from engine import EngineOf  # noqa: E402
from pushes import Push  # noqa: E402
from records import Records, unsettled  # noqa: E402
from witness import Effects  # noqa: E402

REST_S = 240
KILLS_A_CHECK = 25
PAUSE_S = 1.0  # at most, between two kills
OWNER = "owner@example.org"
EXCUSED = r"planning was begun \d+ times"
ROOM_KIB = 16 * 1024  # of the sanitizer


class Journal:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()

    def __call__(self, what, **more):
        with self.lock:
            self.file.write(json.dumps({"t": round(time.monotonic(), 3), "what": what, **more}) + "\n")


class Deliverer(threading.Thread):
    """Delivers what it is given until it is answered, as a forge does that sends again; some it sends twice, and some again
    under another name."""

    def __init__(self, davit, ledger, journal, seed):
        super().__init__(daemon=True)
        self.davit, self.ledger, self.journal = davit, ledger, journal
        self.random = random.Random(seed)
        self.todo = queue.Queue()
        self.start()

    def run(self):
        while True:
            push = self.todo.get()
            delivery = f"{self.random.getrandbits(128):032x}"
            self.deliver(push, delivery)
            again = self.random.random()
            if again < 0.1:
                self.deliver(push, delivery)
            elif again < 0.15:
                self.deliver(push, f"{self.random.getrandbits(128):032x}")
            self.todo.task_done()

    def deliver(self, push, delivery):
        self.ledger.sent(delivery, push)
        while True:
            try:
                answer = forge.deliver(self.davit, forge.push_payload(push.commit), delivery=delivery)
            except (OSError, http.client.HTTPException):
                answer = None
            if answer is not None and answer.status in (200, 202):
                self.ledger.answered(delivery, answer.json["build"])
                self.journal("accepted", push=push.number, build=answer.json["build"])
                return
            time.sleep(0.05)


class Torture:
    """kills: how often each of davitd, redis, both (at once) and engine is killed, power is cut (all three, with what had come to
    the disk), and memory is refused to davitd. engine: an Engine, killed if it is to be."""

    def __init__(self, folder, seed, kills, engine):
        self.folder, self.seed, self.engine = str(folder), seed, engine
        self.random = random.Random(seed)
        self.plan = [whom for whom, count in kills.items() for _ in range(count)]
        self.random.shuffle(self.plan)
        self.violations = []
        self.pushed = self.builds = self.attempts = 0
        self.baseline = None
        self.helper = concurrent.futures.ThreadPoolExecutor(1)
        self.restart = None  # of the engine, under way
        self.statuses = []   # that were taken
        self.lines_seen = 0
        os.makedirs(self.folder, exist_ok=True)
        self.journal = Journal(os.path.join(self.folder, "journal"))
        self.ledger = checker.Ledger()
        self.ends = []

    # --- what stands around it ---

    def set_up(self):
        self.effects = self.ended_by(Effects(self.folder), "close")
        self.receiver = self.ended_by(forge.Receiver(self.take_status), "close")
        self.mails = self.ended_by(forge.MailServer(), "close")
        self.repo = forge.Repo(self.folder)
        self.node = f"torture-{self.seed}"
        self.davit = self.ended_by(server.Davit(
            os.path.join(self.folder, "davit"), listen=[f"127.0.0.1:{forge.free_port()}"], node=self.node,
            engines=[{"url": self.engine.url, "slots": 3}],
            smtp={"url": f"smtp://127.0.0.1:{self.mails.port}", "from": "davit@example.org", "starttls": "off"}), "end")
        if "power" in self.plan:
            self.disk = Disk(os.path.join(self.folder, "disk"), self.davit.state)
            self.ends.append(self.disk.unmount)
        self.davit.environment = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:quarantine_size_mb=4"}
        self.davit.start()
        self.davit.add_repo(self.repo, api=self.receiver.url, token="t0ken", statuses=True, emails=OWNER)
        self.history = self.ended_by(checker.History(self.davit.redis_socket()), "close")
        self.deliverers = [Deliverer(self.davit, self.ledger, self.journal, self.random.getrandbits(64)) for _ in range(3)]

    def ended_by(self, part, verb):
        self.ends.insert(0, getattr(part, verb))
        return part

    def tear_down(self):
        for end in [self.wait_engine, *self.ends]:
            try:
                end()
            except Exception as error:  # the others are ended all the same
                print(f"torture: {error!r} at the end", file=sys.stderr)

    def take_status(self, request):
        """A forge that is out of order now and then."""
        if random.random() < 0.1:
            return 503, {}, b"down"
        self.statuses.append(request)
        return 201, {}, b"{}"

    def wrong(self, violations):
        for violation in violations:
            self.journal("violation", text=str(violation))
        self.violations += violations

    # --- what it does ---

    def push(self):
        self.pushed += 1
        push = Push(self.pushed, self.random.getrandbits(64), self.effects.target)
        push.commit = self.repo.push(push.files(), f"Push {push.number}")
        self.journal("push", push=push.number, kind=push.kind, commit=push.commit)
        self.random.choice(self.deliverers).todo.put(push)

    def kill_davitd(self):
        self.davit.kill()
        self.davit.start(wait_ready=False)

    def kill_redis(self):
        os.kill(self.until("a Redis to be killed", self.davit.redis_pid), signal.SIGKILL)

    def kill_both(self):
        pid = self.until("a Redis to be killed", self.davit.redis_pid)
        self.davit.process.kill()
        os.kill(pid, signal.SIGKILL)
        self.kill_davitd()

    def kill_engine(self):
        """It is started again while the others are killed."""
        self.wait_engine()
        self.engine.kill()
        self.restart = self.helper.submit(self.engine.start)

    def cut_power(self):
        """All deaths at once, and what was not synced is gone."""
        self.wait_engine()
        pids = [self.davit.process.pid, self.until("a Redis to be killed", self.davit.redis_pid)]
        cut_power(self.disk, pids, self.engine.kill)
        self.davit.process.wait()
        self.restart = self.helper.submit(self.engine.start)
        self.davit.start(wait_ready=False)

    def fail_allocation(self):
        """davitd's n-th allocation fails, and it ends: within its start, or in the midst of its work."""
        self.davit.kill()
        self.davit.environment["DAVIT_ALLOC_FAIL"] = str(int(10 ** self.random.uniform(0, 4.3)))
        with contextlib.suppress(AssertionError):  # it ended before it listened
            self.davit.start(wait_ready=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.davit.process.wait(2 * PAUSE_S)
            assert code == -signal.SIGABRT and "out of memory" in self.davit.log.lines[-1], self.davit.log.lines[-20:]
        del self.davit.environment["DAVIT_ALLOC_FAIL"]
        self.kill_davitd()

    def wait_engine(self):
        if self.restart is not None:
            restart, self.restart = self.restart, None
            restart.result()

    @staticmethod
    def until(what, condition, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"{what} did not come within {timeout} s"
            time.sleep(0.05)

    def rest(self):
        self.wait_engine()
        for each in self.deliverers:
            each.todo.join()
        left = [None]

        def is_at_rest():
            left[0] = unsettled(self.davit.redis_socket())
            return not left[0]

        try:
            self.until("rest", is_at_rest, REST_S)
        except AssertionError as error:
            self.wrong([checker.Violation("I2", "builds and messages", "their end", f"{error}: {left[0]}")])

    def check(self):
        self.rest()
        records = Records.of(self.davit.redis_socket())
        self.wrong(checker.check_accepted(records, self.ledger))
        self.wrong(checker.check_states(records, self.ledger, list(self.history.builds), EXCUSED))
        self.wrong(checker.check_left_in_redis(records))
        self.wrong(self.soon(lambda: self.check_left(records)))
        self.wrong(checker.check_logs(self.davit.state, records, self.ledger))
        self.wrong(checker.check_statuses(records, self.ledger, self.statuses))
        self.wrong(checker.check_mails(records, list(self.mails.mails), OWNER))
        self.wrong(checker.check_effects(records, self.ledger, self.effects.all()))
        self.wrong(checker.check_reports(self.new_lines()))
        self.builds = len(records.builds)
        self.attempts = sum(int(job["attempt"]) for job in records.jobs.values())
        self.journal("checked", builds=self.builds, attempts=self.attempts, violations=len(self.violations))

    def check_left(self, records):
        return (checker.check_left_in_engine(EngineOf(self.engine.url, self.node))
                + checker.check_left_on_disk(self.davit.state, records) + self.check_resources())

    def check_resources(self):
        now = checker.Resources.of(self.davit.process.pid)
        if self.baseline is None:
            self.baseline = now
        return checker.check_resources(now, self.baseline, ROOM_KIB)

    @staticmethod
    def soon(look):
        """What has until LEFT_S to be right."""
        deadline = time.monotonic() + checker.LEFT_S
        while True:
            wrong = look()
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(0.2)

    def new_lines(self):
        """Of all processes since the last look."""
        with open(os.path.join(self.davit.folder, "davitd.log"), errors="replace") as file:
            file.seek(self.lines_seen)
            lines = file.readlines()
            self.lines_seen = file.tell()
        return lines

    def play(self):
        self.push()
        self.check()  # the baseline is of a daemon that has run a job
        for number, whom in enumerate(self.plan, 1):
            for _ in range(self.random.choice([0, 1, 1, 2])):
                self.push()
            time.sleep(self.random.uniform(0, PAUSE_S))
            self.journal("kill", whom=whom)
            self.deaths[whom](self)
            if number % KILLS_A_CHECK == 0 or number == len(self.plan):
                self.check()
        self.davit.stop()
        self.wrong(checker.check_reports(self.new_lines()))
        self.wrong([checker.Violation("I3", name, "nothing after an orderly end", kind)
                    for kind, name, *_ in EngineOf(self.engine.url, self.node).objects("davit.node")])

    deaths = {"davitd": kill_davitd, "redis": kill_redis, "both": kill_both, "engine": kill_engine, "power": cut_power,
              "memory": fail_allocation}

    def run(self):
        """Gives the violations; a run that does not come to its end is one."""
        try:
            self.set_up()
            self.play()
        except Exception as error:
            self.wrong([checker.Violation("torture", "the run", "its end", repr(error))])
        finally:
            self.tear_down()
        return self.violations
