"""A real registry on this machine."""

import base64
import json
import os
import subprocess
import urllib.request

import forge
import server

PASSWORD = "s3cret-word"


class Registry:
    """It keeps its address and what was pushed when it is started again. closed: it wants ada's password."""

    def __init__(self, folder, closed=True, host="127.0.0.1"):
        self.folder, self.address, self.process = str(folder), f"{host}:{forge.free_port()}", None
        os.makedirs(self.folder, exist_ok=True)
        users = os.path.join(self.folder, "users")
        with open(users, "w") as file:
            file.write("ada:$2b$04$Ot3NUFTIBA4i9cchSIAvU.ambwDMjcJqu7J4SyXvMkaru.GfxfZ2q\n")  # bcrypt of PASSWORD
        conf = {"version": "0.1", "storage": {"filesystem": {"rootdirectory": os.path.join(self.folder, "registry")}},
                "http": {"addr": self.address}}
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
        docker = ["/usr/bin/docker", "-H", server.ENGINE]
        listed = subprocess.run([*docker, "images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"],
                                capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listed.splitlines() if line.startswith(self.address + "/")]
        names = {f"{name}@{digest}" if tag == "<none>" else f"{name}:{tag}" for name, tag, digest in rows}
        if names:
            subprocess.run([*docker, "rmi", *names], check=True, stdout=subprocess.DEVNULL)
