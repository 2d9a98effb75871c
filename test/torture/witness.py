"""A network namespace with the receiver of what steps do (effects.py): a job reaches no address of its host."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


class Effects:
    PORT = 7000

    def __init__(self, folder):
        self.file = os.path.join(folder, "effects")
        self.name = f"tort{os.getpid() % 100000}"
        third = next(n for n in range(256) if f"10.214.{n}." not in ip("route", "show"))
        self.host, self.address = f"10.214.{third}.1", f"10.214.{third}.2"
        open(self.file, "a").close()
        ip("netns", "add", self.name)
        ip("link", "add", f"{self.name}h", "type", "veth", "peer", "name", f"{self.name}n")
        ip("link", "set", f"{self.name}n", "netns", self.name)
        ip("addr", "add", f"{self.host}/30", "dev", f"{self.name}h")
        ip("link", "set", f"{self.name}h", "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/30", "dev", f"{self.name}n")
        ip("-n", self.name, "link", "set", f"{self.name}n", "up")
        ip("-n", self.name, "route", "add", "default", "via", self.host)
        self.process = subprocess.Popen(["ip", "netns", "exec", self.name, os.path.join(HERE, "effects.py"), self.address,
                                         str(self.PORT), self.file], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"listening\n"

    @property
    def target(self):
        return f"{self.address}:{self.PORT}"

    def close(self):
        self.process.kill()
        self.process.wait()
        ip("netns", "delete", self.name)  # and both ends of the link with it

    def all(self):
        """(when, commit, job, attempt, step) of every step that was begun; repetitions of one message count once."""
        seen = {}
        with open(self.file) as file:
            for line in file:
                when, commit, job, attempt, step, word = line.split()
                seen.setdefault(word, (float(when), commit, job, int(attempt), int(step)))
        return sorted(seen.values())
