"""What jobs do that are looked at afterwards: every byte of output follows from a seed, so that it is known beforehand."""

import random

IMAGE = "davit-test/busybox:latest"
OTHER = "davit-test/busybox:other"
PRIME, FACTOR = 2147483647, 16807

# Tells the receiver of the steps' effects that this step of this attempt was begun, then prints its lines. The message is
# sent until it is taken: whoever reads it drops repetitions by their last word.
STEP = """\
step=$1 seed=$2 lines=$3 rest=$4
word=$(cat /proc/sys/kernel/random/uuid)
while [ -n "$EFFECTS" ]; do
  [ "$(echo "$DAVIT_COMMIT $DAVIT_JOB $DAVIT_ATTEMPT $step $word" | nc -w 5 ${EFFECTS%:*} ${EFFECTS#*:} 2>/dev/null)" != ok ] || break
  sleep 0.1
done
half=$((lines / 2))
print() {
  awk -v s="$seed" -v from="$1" -v to="$2" -v p=2147483647 \\
    'BEGIN { for (i = 0; i < to; i++) { s = s * 16807 % p; if (i >= from) printf "%010d %d\\n", s, i } }'
}
print 0 $half
sleep "$rest"
print $half $lines
"""


def lines_of(seed, count):
    text = []
    for i in range(count):
        seed = seed * FACTOR % PRIME
        text.append(f"{seed:010d} {i}\n")
    return "".join(text).encode()

class Push:
    """One push: its files, and what has to become of it. effects: where steps tell that they were begun."""

    def __init__(self, number, seed, effects=""):
        r = random.Random(seed)
        self.number = number
        self.kind = r.choices(["pass", "fail", "images", "graph", "bad"], [55, 12, 15, 12, 6])[0]
        self.state = {"fail": "failed", "bad": "failed"}.get(self.kind, "passed")
        self.commit = None
        jobs = {"graph": 3, "bad": 0}.get(self.kind, 1)
        self.jobs = [self._steps(r) for _ in range(jobs)]
        self.effects = effects

    @staticmethod
    def _steps(r):
        return [(i + 1, r.randrange(1, PRIME), r.randrange(4, 60), r.choice(["0", "0.1", "0.3", "1"]))
                for i in range(r.randrange(1, 4))]

    def _commands(self, job):
        commands = ["sh ./step.sh %d %d %d %s" % step for step in self.jobs[job]]
        return commands + ["exit 3"] if self.kind == "fail" else commands

    def files(self):
        return {"daocloud.yml": self.pipeline(), "step.sh": STEP, "number": f"{self.number}\n"}

    def pipeline(self):
        if self.kind == "bad":
            return f"image: [{IMAGE}\nscript:\n"
        head = f"image: {IMAGE}\nenv: [EFFECTS={self.effects}]\nretry: {{max: 10, on: [infrastructure]}}\n"
        if self.kind == "images":  # a container for each
            return head + "steps:\n" + "".join(f"  - image: {OTHER if i % 2 else IMAGE}\n    script: [{c}]\n"
                                               for i, c in enumerate(self._commands(0)))
        if self.kind != "graph":
            return head + "script:\n" + "".join(f"  - {c}\n" for c in self._commands(0))
        text = head + "jobs:\n"
        for job in range(3):
            needs = "    needs: [a, b]\n" if job == 2 else ""
            text += f"  {'abc'[job]}:\n{needs}    script:\n" + "".join(f"      - {c}\n" for c in self._commands(job))
        return text

    def output(self, job):
        """All that the job's log has to hold, to the byte."""
        text = b""
        for command in self._commands(job):
            text += b"\033[1m$ " + command.encode() + b"\033[0m\n"
            if command.startswith("sh "):
                _, seed, lines, _ = command.split()[2:]
                text += lines_of(int(seed), int(lines))
        return text
