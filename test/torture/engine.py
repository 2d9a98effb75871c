"""A dockerd of the torture's own, which may be killed, and what it holds."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class EngineOf:
    """What of the engine at url (unix://...) is of one daemon."""

    def __init__(self, url, node):
        self.url, self.node = url, node

    def objects(self, label):
        """(kind, name, state, labels) of containers, networks and volumes that have the label."""
        filters = urllib.parse.quote(json.dumps({"label": [f"davit.node={self.node}", label]}))
        found = [("container", c["Names"][0][1:], c["State"], ",".join(f"{k}={v}" for k, v in c["Labels"].items()))
                 for c in self.get(f"/containers/json?all=1&filters={filters}")]
        found += [("network", n["Name"], "", "") for n in self.get(f"/networks?filters={filters}")]
        return found + [("volume", v["Name"], "", "") for v in self.get(f"/volumes?filters={filters}")["Volumes"] or []]

    def get(self, path):
        connection = http.client.HTTPConnection("engine", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.url[len("unix://"):])
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


class Engine:
    """options: of dockerd. With --live-restore containers live through its death."""

    def __init__(self, folder, *options):
        self.folder, self.options = os.path.abspath(folder), options
        self.url = f"unix://{self.folder}/docker.sock"
        self.start()
        for image in ("davit-test/busybox:latest", "davit-test/busybox:other"):
            self._script("image", self.url, image)

    def _script(self, *words):
        done = subprocess.run([os.path.join(TOP, "scripts/engine"), *words], capture_output=True, text=True, timeout=120)
        if done.returncode:
            with open(os.path.join(self.folder, "log"), errors="replace") as file:
                raise RuntimeError(f"scripts/engine {' '.join(words)}: {done.stderr}{file.read()[-3000:]}")

    def start(self):
        self._script("start", self.folder, *self.options)

    def kill(self):
        """With its containerd, which else would die a little later, under the next dockerd. That takes a process for alive
        that nobody has waited for, so the file with its number goes, too. Containers live on until the next start, at least."""
        for name in ("pid", "exec/containerd/containerd.pid"):
            path = os.path.join(self.folder, name)
            with open(path) as file:
                pidfd = os.pidfd_open(int(file.read()))
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])
            os.close(pidfd)
            os.remove(path)

    def stop(self):
        self._script("stop", self.folder)
