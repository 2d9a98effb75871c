"""A real registry on this machine."""

import base64
import json
import os
import socket
import subprocess
import threading
import urllib.request

import forge
import server

PASSWORD = "s3cret-word"


class Sluice:
    """In front of a server of this machine. While it is shut, no more than so many bytes of a connection go to the server."""

    def __init__(self, port):
        self.port, self.most, self.change = port, None, threading.Condition()
        self.held = threading.Event()  # some are being kept back
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self, most):
        self.most = most

    def open(self):
        with self.change:
            self.most = None
            self.held.clear()
            self.change.notify_all()

    def close(self):
        self.open()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source, sink, to_server):
        """Where one direction ends the other does, too."""
        passed = 0
        try:
            while data := source.recv(65536):
                passed += len(data)
                if to_server:
                    self._wait(passed)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _wait(self, passed):
        with self.change:
            while self.most is not None and passed > self.most:
                self.held.set()
                self.change.wait()


def forget_images(address):
    """The engine's, which were pushed to that registry or came from it."""
    docker = ["/usr/bin/docker", "-H", server.ENGINE]
    listed = subprocess.run([*docker, "images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"],
                            capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines() if line.startswith(address + "/")]
    names = {f"{name}@{digest}" if tag == "<none>" else f"{name}:{tag}" for name, tag, digest in rows}
    if names:
        subprocess.run([*docker, "rmi", *names], check=True, stdout=subprocess.DEVNULL)


class Registry:
    """It keeps its address and what was pushed when it is started again. closed: it wants ada's password; sluice: its address
    is that of a sluice in front of it; tells: (URL, token) of who is told of what is pushed."""

    def __init__(self, folder, closed=True, host="127.0.0.1", sluice=False, tells=None):
        port = forge.free_port()
        self.folder, self.process, self.sluice = str(folder), None, Sluice(port) if sluice else None
        self.address = self.sluice.address if sluice else f"{host}:{port}"
        os.makedirs(self.folder, exist_ok=True)
        users = os.path.join(self.folder, "users")
        with open(users, "w") as file:
            file.write("ada:$2b$04$Ot3NUFTIBA4i9cchSIAvU.ambwDMjcJqu7J4SyXvMkaru.GfxfZ2q\n")  # bcrypt of PASSWORD
        conf = {"version": "0.1", "storage": {"filesystem": {"rootdirectory": os.path.join(self.folder, "registry")}},
                "http": {"addr": f"{host}:{port}"}}
        if tells:
            conf["notifications"] = {"endpoints": [{"name": "davit", "url": tells[0], "headers": {"Authorization": [f"Bearer {tells[1]}"]},
                                                    "timeout": "5s", "threshold": 3, "backoff": "1s"}]}
        if closed:
            conf["auth"] = {"htpasswd": {"realm": "test", "path": users}}
        with open(os.path.join(self.folder, "registry.yml"), "w") as file:
            json.dump(conf, file)
        self.start()

    def start(self):
        self.process = subprocess.Popen(["docker-registry", "serve", os.path.join(self.folder, "registry.yml")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        server.Lines(self.process.stderr, os.path.join(self.folder, "registry.log")).wait("listening on")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def config(self, password=PASSWORD):
        login = base64.b64encode(f"ada:{password}".encode()).decode()
        return json.dumps({"auths": {self.address: {"auth": login}}})

    def digest(self, name, tag):
        request = urllib.request.Request(f"http://{self.address}/v2/{name}/manifests/{tag}", method="HEAD", headers={
            "Accept": "application/vnd.docker.distribution.manifest.v2+json",
            "Authorization": "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()})
        return urllib.request.urlopen(request).headers["Docker-Content-Digest"]

    def close(self):
        """The engine forgets what was pushed here, too."""
        self.process.terminate()
        self.process.wait()
        if self.sluice:
            self.sluice.close()
        forget_images(self.address)
