"""The checker outside of Davit. It reads what is left in Redis, on disk and in the engine, and what the receivers took, and
holds it against the ledger of what was asked. The names of the invariants are those of the torture's plan:

  I1   what was accepted was built: nothing lost, doubled, or built unasked
  I2   every build and job has one final state, which it reached by legal steps
  I3   nothing is left behind: engine, Redis, disk
  I4   logs hold what was written, to the byte, or say where something is missing
  I5   statuses and mails were delivered, in order, and the last one is the true one
  I7   no step ran twice in one attempt, and no attempt without being on record
  I9   no sanitizer's report; descriptors and memory are back where they were
  I12  no job had two owners at a time

Nothing here writes or waits. Each function gives a list of violations; an empty one is good."""

import json
import os
import re
import threading
import time
from typing import NamedTuple

from records import FINAL, JOB_FINAL, BrokenLog, Log, Records, Redis, RedisError

STATUS = {"passed": "success", "failed": "failure", "timed_out": "failure", "cancelled": "error", "error": "error"}
ORDER = {"waiting": 0, "planning": 1, "queued": 2, "running": 3, **{s: 4 for s in FINAL}}
HOLE = re.compile(rb"may be missing|is missing|are missing|not in this log")
BAD = {"failed", "timed_out", "error"}
LEFT_S = 30
KEPT = 8  # connections to the engine and to the forge
WHOLE = FINAL - {"cancelled", "timed_out"}  # of jobs whose last log is; others were ended from outside


class Violation(NamedTuple):
    invariant: str
    what: str
    expected: str
    found: str

    def __str__(self):
        return f"{self.invariant}: {self.what}: expected {self.expected}, found {self.found}"


class Asked(NamedTuple):
    """A delivery: what was pushed, and the build that the answer named; None when there never was an answer."""
    push: object
    build: int


class Ledger:
    """What was asked of Davit."""

    def __init__(self):
        self.deliveries = {}  # id -> Asked
        self.answers = {}     # id -> every build that an answer named

    def sent(self, delivery, push):
        self.deliveries.setdefault(delivery, Asked(push, None))

    def answered(self, delivery, build):
        self.answers.setdefault(delivery, set()).add(build)
        self.deliveries[delivery] = self.deliveries[delivery]._replace(build=build)

    def forget(self, delivery):
        """What it became is gone on purpose."""
        del self.deliveries[delivery], self.answers[delivery]

    def accepted(self):
        return {d: a for d, a in self.deliveries.items() if a.build is not None}

    def pushes(self):
        """Of each build its push; of one whose answer was lost, by its commit."""
        return {a.push.commit: a.push for a in self.deliveries.values()}


# --- I1, I2 ---

def check_accepted(records, ledger):
    wrong = []
    commits = {}
    for number, build in records.builds.items():
        commits.setdefault(build["commit"], []).append(number)
    for delivery, builds in ledger.answers.items():
        if len(builds) > 1:
            wrong.append(Violation("I1", f"delivery {delivery}", "one build in all answers", str(sorted(builds))))
    for delivery, (push, build) in ledger.accepted().items():
        if build not in records.builds:
            wrong.append(Violation("I1", f"delivery {delivery} of push {push.number}", f"build {build}", "no such build: lost"))
        elif records.builds[build]["commit"] != push.commit:
            wrong.append(Violation("I1", f"build {build}", push.commit, records.builds[build]["commit"]))
    known = ledger.pushes()
    for commit, builds in commits.items():
        if commit not in known:
            wrong.append(Violation("I1", f"builds {builds}", "a delivery that asked for them", f"none of commit {commit}"))
        elif len(builds) > 1:
            wrong.append(Violation("I1", f"push {known[commit].number}", "one build", f"{builds}: doubled"))
    return wrong


def check_states(records, ledger, history, excused=None):
    """history: (build, state) as they were told on davit:wake; some may have been missed. excused: a pattern of reasons with
    which a build may end as an error, since it was killed too often."""
    wrong = []
    known = ledger.pushes()
    for number, build in records.builds.items():
        push = known.get(build["commit"])
        if build["state"] not in FINAL:
            wrong.append(Violation("I2", f"build {number}", "a final state", build["state"]))
        elif push and build["state"] != push.state and not is_excused(build, excused):
            wrong.append(Violation("I2", f"build {number} ({push.kind})", push.state, f"{build['state']}: {build.get('reason')}"))
        if push and build["state"] in FINAL and not is_excused(build, excused) and len(records.jobs_of(number)) != len(push.jobs):
            wrong.append(Violation("I2", f"build {number}", f"{len(push.jobs)} jobs", str(sorted(records.jobs_of(number)))))
    for job, fields in records.jobs.items():
        if fields["state"] not in JOB_FINAL:
            wrong.append(Violation("I2", f"job {job}", "a final state", fields["state"]))
        told = [line for line in fields.get("history", "").split("\n") if line]
        if len(told) != int(fields["attempt"]) - 1:
            wrong.append(Violation("I2", f"job {job}, attempt {fields['attempt']}", "a line for each attempt before", str(told)))
    seen = {}
    for build, state in history:
        if ORDER[state] < ORDER[seen.get(build, "waiting")] or seen.get(build) in FINAL and state != seen[build]:
            wrong.append(Violation("I2", f"build {build}", f"no step back from {seen[build]}", state))
        seen[build] = state
    return wrong


def check_again(records, reasons):
    """reasons: a pattern of those for which a job may be run again."""
    return [Violation("I2", f"job {job} was run again", reasons, line) for job, fields in records.jobs.items()
            for line in fields.get("history", "").splitlines() if not re.search(reasons, line)]


def is_excused(build, pattern):
    return build["state"] == "error" and pattern is not None and re.search(pattern, build.get("reason", "")) is not None


class History:
    """Hears davit:wake, connects again when Redis was killed."""

    def __init__(self, path):
        self.path = path
        self.builds = []
        self.ended = False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while not self.ended:
            try:
                with Redis(self.path, timeout=1) as redis:
                    redis.send("SUBSCRIBE", "davit:wake")
                    while not self.ended:
                        self._take(redis.reply())
            except (OSError, RedisError, ValueError):
                time.sleep(0.02)

    def _take(self, message):
        found = re.fullmatch(r"build (\d+) (\w+)", str(message[2]))
        if message[0] == "message" and found:
            self.builds.append((int(found[1]), found[2]))

    def close(self):
        self.ended = True
        self.thread.join(3)


# --- I3 ---

def check_left_in_redis(records):
    """Once nothing is to be done any more."""
    wrong = []
    for what, left in (("davit:running", records.running), ("davit:planning", records.planning), ("the queues", records.queued),
                       ("davit:delayed", records.delayed), ("davit:outbox", records.outbox), ("davit:outbox:dead", records.dead)):
        if left:
            wrong.append(Violation("I3", what, "nothing", str(left[:10])))
    for name, repo in records.repos.items():
        for field in ("running", "open"):
            if int(repo.get(field, 0)):
                wrong.append(Violation("I3", f"{field} of repository {name}", "0", repo[field]))
    for job, fields in records.jobs.items():
        if int(fields["build"]) not in records.builds:
            wrong.append(Violation("I3", f"davit:job:{job}", "its build", "none"))
    for notice, fields in records.notices.items():
        wrong.append(Violation("I3", f"davit:notice:{notice}", "nothing", f"{fields.get('target')} {fields.get('last_error')}"))
    for number, build in records.builds.items():
        if f"davit:change:{build['change']}" not in records.keys:
            wrong.append(Violation("I3", f"build {number}", f"davit:change:{build['change']}", "none"))
    return wrong


def check_left_in_engine(engine, pooled=12):
    """objects(label) of the engine: those that have it. A daemon may keep containers and networks ready, none for a job."""
    left = engine.objects("davit.job")
    wrong = [Violation("I3", f"{kind} {name}", "nothing", f"{state} {labels}") for kind, name, state, labels in left]
    kept = engine.objects("davit.node")
    if len(kept) > pooled:
        wrong.append(Violation("I3", "what is kept ready in the engine", f"at most {pooled}", str([k[:3] for k in kept])))
    return wrong


def check_left_on_disk(state, records):
    wrong = []
    attempts = {(j, a) for j, f in records.jobs.items() for a in range(1, int(f["attempt"]) + 1)}
    for folder, _, files in os.walk(os.path.join(state, "log")):
        for name in files:
            number, attempt, _ = name.split(".")
            if (f"{os.path.basename(folder)}.{number}", int(attempt)) not in attempts:
                wrong.append(Violation("I3", os.path.join(folder, name), "an attempt on record", "none"))
    for folder, _, files in os.walk(os.path.join(state, "incoming")):
        wrong += [Violation("I3", os.path.join(folder, name), "no file that nobody waits for", "it") for name in files]
    workspaces = os.listdir(os.path.join(state, "workspace"))
    if len(workspaces) > 1:
        wrong.append(Violation("I3", "workspace/", "the folder of the process that runs", str(workspaces)))
    return wrong


# --- I4 ---

def explains(runs, output):
    """Whether the runs of bytes between notices are the output, with something missing only where a notice says so."""
    at = 0
    for i in range(0, len(runs), 2):
        if i > 0 and HOLE.search(runs[i - 1]):
            at = output.find(runs[i], at) if runs[i] else at
            if at < 0:
                return False
        elif not output.startswith(runs[i], at):
            return False
        at += len(runs[i])
    return at == len(output) or len(runs) > 1 and bool(HOLE.search(runs[-2]))


def check_logs(state, records, ledger):
    wrong = []
    known = ledger.pushes()
    for job, fields in records.jobs.items():
        push = known.get(records.builds[int(fields["build"])]["commit"])
        if not push or fields["state"] == "skipped":
            continue
        output = push.output(int(job.split(".")[1]) - 1)
        if output is None:
            continue
        for attempt in range(1, int(fields["attempt"]) + 1):
            wrong += _check_log(state, job, attempt, attempt == int(fields["attempt"]) and fields["state"] in WHOLE, output)
    return wrong


def _check_log(state, job, attempt, is_last, output):
    name = f"log of {job}, attempt {attempt}"
    try:
        log = Log(state, job, attempt)
    except FileNotFoundError as missing:
        return [Violation("I4", name, "a log", str(missing))] if is_last else []
    except BrokenLog as broken:
        return [Violation("I4", name, "an index that fits", str(broken))] if is_last else []
    runs = log.runs()
    if not is_last:
        text = b"".join(runs[::2])
        return [] if output.startswith(text) else [Violation("I4", name, "a beginning of the output", show(text, output))]
    if not log.is_complete:
        return [Violation("I4", name, "a record that it is complete", "none")]
    return [] if explains(runs, output) else [Violation("I4", name, f"{len(output)} bytes", show(b"".join(runs[::2]), output))]


def show(found, expected):
    at = next((i for i in range(min(len(found), len(expected))) if found[i] != expected[i]), min(len(found), len(expected)))
    return f"{len(found)} bytes that differ at {at}: {found[max(0, at - 40):at + 60]!r}, not {expected[at:at + 60]!r}"


# --- I5 ---

def check_statuses(records, ledger, requests):
    """requests: what a forge.Receiver took and answered with 201, in order."""
    wrong = []
    told = {}
    for request in requests:
        commit = request["path"].rsplit("/", 1)[1]
        told.setdefault(commit, []).append(json.loads(request["body"]))
    builds = {b["commit"]: (n, b) for n, b in records.builds.items()}
    for commit in told:
        if commit not in builds:
            wrong.append(Violation("I5", f"status of {commit}", "a build of it", "none"))
    for commit, (number, build) in builds.items():
        words = [s["state"] for s in told.get(commit, [])]
        last = STATUS.get(build["state"])
        if not words or words[-1] != last:
            wrong.append(Violation("I5", f"last status of build {number} ({build['state']})", str(last), str(words)))
        elif words[0] != "pending" or any(w not in ("pending", last) for w in words):
            wrong.append(Violation("I5", f"statuses of build {number}", f"pending, then {last}", str(words)))
        elif "pending" in words[words.index(last):]:
            wrong.append(Violation("I5", f"statuses of build {number}", "none of what was before", str(words)))
    return wrong


def check_mails(records, mails, address):
    """mails: what a forge.MailServer took, of a repository with the usual rules: each bad end, and the first good one behind
    it, are told under one Message-ID each."""
    told = {}
    for mail in mails:
        found = re.search(rb"/builds/(\d+)", mail["text"])
        identity = re.search(rb"(?im)^Message-ID: *(\S+)", mail["text"])
        if address in mail["to"]:
            told.setdefault(int(found[1]), set()).add(identity[1])
    wanted = {n for n, b in records.builds.items()
              if b["state"] in BAD or b["state"] == "passed" and b.get("previous") in BAD}
    wrong = [Violation("I5", f"mail about build {n}", "none", str(told[n])) for n in sorted(set(told) - wanted)]
    return wrong + [Violation("I5", f"mails about build {n}", "one Message-ID", str(told.get(n, set())))
                    for n in sorted(wanted) if len(told.get(n, ())) != 1]


# --- I7, I12 ---

def check_effects(records, ledger, effects):
    """effects: (when, commit, job, attempt, step) as the receiver of effects saw them."""
    wrong = []
    seen, order = {}, {}
    known = ledger.pushes()
    for when, commit, job, attempt, step in effects:
        if (job, attempt, step) in seen:
            wrong.append(Violation("I7", f"step {step} of {job}, attempt {attempt}", "to be run once", "run again"))
        seen[job, attempt, step] = when
        order.setdefault(job, []).append((when, attempt, step))
        fields = records.jobs.get(job)
        if not fields or records.builds[int(fields["build"])]["commit"] != commit or commit not in known:
            wrong.append(Violation("I7", f"step {step} of {job}", "a job on record, of that commit", str(fields)))
        elif attempt > int(fields["attempt"]):
            wrong.append(Violation("I7", f"step {step} of {job}", f"at most {fields['attempt']} attempts", f"attempt {attempt}"))
    for job, steps in order.items():
        ran = [(attempt, step) for _, attempt, step in sorted(steps)]
        if ran != sorted(ran):
            wrong.append(Violation("I12", f"job {job}", "one attempt after the other, step by step", str(ran)))
    for job, fields in records.jobs.items():
        push = known.get(records.builds[int(fields["build"])]["commit"])
        if push and push.effects and fields["state"] in ("passed", "failed"):
            ran = [s for j, a, s in seen if j == job and a == int(fields["attempt"])]
            wanted = [step[0] for step in push.jobs[int(job.split(".")[1]) - 1]]
            if sorted(ran) != wanted:
                wrong.append(Violation("I7", f"steps of {job}, attempt {fields['attempt']}", str(wanted), str(sorted(ran))))
    return wrong


# --- I9 ---

REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|SUMMARY: ")


def check_reports(lines):
    return [Violation("I9", "davitd's output", "no report", line) for line in lines if REPORT.search(line)]


class Resources(NamedTuple):
    descriptors: int
    memory_kib: int

    @staticmethod
    def of(pid):
        with open(f"/proc/{pid}/status") as file:
            memory = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
        return Resources(len(os.listdir(f"/proc/{pid}/fd")), memory)


def check_resources(now, before, room_kib):
    """now and before: Resources of a daemon at rest, which keeps some idle connections."""
    wrong = []
    if now.descriptors > before.descriptors + KEPT:
        wrong.append(Violation("I9", "descriptors", f"at most {before.descriptors} and {KEPT}", str(now.descriptors)))
    if now.memory_kib > before.memory_kib * 1.05 + room_kib:
        wrong.append(Violation("I9", "resident memory", f"about {before.memory_kib} KiB", f"{now.memory_kib} KiB"))
    return wrong
