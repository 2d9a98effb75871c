"""A disk whose power can be cut: an ext4 on a loop device, whose file is what has come to the disk."""

import os
import signal
import subprocess
import time

SIZE = 512 << 20
WAIT_S = 20


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


class Disk:
    """Mounted at a folder. What was written and not synced is in the kernel, and not in the file."""

    def __init__(self, image, folder):
        self.image, self.folder = image, folder
        self.cuts = 0
        with open(image, "wb") as file:
            file.truncate(SIZE)
        run("mkfs.ext4", "-q", image)
        self._mount()

    def _mount(self):
        run("mount", "-o", "loop", self.image, self.folder)
        self.device = run("findmnt", "-n", "-o", "SOURCE", self.folder)

    def _written(self):
        """How much the device has taken."""
        with open(f"/sys/block/{os.path.basename(self.device)}/stat") as file:
            return file.read().split()[4:7]

    def copy(self):
        """The disk of this moment: whoever writes to it is to stand still, and the kernel must not have written meanwhile."""
        self.cuts += 1
        path = f"{self.image}.{self.cuts}"
        while True:
            before = self._written()
            run("cp", "--sparse=always", self.image, path)
            if self._written() == before:
                return path

    def replace(self, path):
        """Everybody who had files on it is dead, or dies soon."""
        self.unmount()
        os.remove(self.image)
        self.image = path
        self._mount()

    def unmount(self):
        deadline = time.monotonic() + WAIT_S
        while subprocess.run(["umount", self.folder], capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.folder} is in use: " + run("sh", "-c", f"fuser -vm {self.folder} 2>&1 || true"))
            time.sleep(0.05)


def signal_all(pids, number):
    """The processes and their children, in groups."""
    for pid in pids:
        try:
            os.killpg(os.getpgid(pid), number)
        except ProcessLookupError:
            pass


def cut_power(disk, pids, others=lambda: None):
    """pids: who writes to the disk; others: ends what else dies with the machine. The disk is what had come to it."""
    signal_all(pids, signal.SIGSTOP)
    path = disk.copy()
    signal_all(pids, signal.SIGKILL)
    others()
    disk.replace(path)
