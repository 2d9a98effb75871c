"""The mirror in front of what languages' package managers download from: npm with a verdaccio, pip, and by their protocols'
files Go, Maven, crates and apk. Each cold, with an upstream that breaks off; warm, without a word to it; and without it."""

import base64
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
import urllib.request
import zipfile

import pytest

import forge
import server
from origin import Reply
from test_mirror import Mirrored

TOP = os.path.join(os.path.dirname(__file__), "..", "..")
VERDACCIO = os.path.join(TOP, "build/npm/node_modules/.bin/verdaccio")
FILLER = random.Random(2).randbytes(400_000)


@pytest.fixture
def mirrored(make_davit, origin):
    return Mirrored(make_davit, origin)


def run(*command, cwd):
    """A client at home in that folder, which knows nothing from before."""
    os.makedirs(cwd, exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LC_ALL": "C"}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


class Fetched:
    """A client without a program: the files that its protocol asks for."""

    def __init__(self, mirrored, kind):
        self.base = f"/{kind}/127.0.0.1:{mirrored.origin.port}"
        self.mirrored = mirrored

    def __call__(self, path):
        reply, body = self.mirrored.get("", whole_url=self.base + path)
        assert reply.status == 200, path
        return body


def tarball(name, needs=None, filler=b""):
    """As npm packs it, and its entry in the package's document."""
    out = io.BytesIO()
    files = {"package.json": json.dumps({"name": name, "version": "1.0.0", "dependencies": needs or {}}).encode(), "filler": filler}
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def document(base, name, body, needs=None):
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()
    version = {"name": name, "version": "1.0.0", "dependencies": needs or {},
               "dist": {"tarball": f"{base}/{name}/-/{name}-1.0.0.tgz", "integrity": integrity}}
    return {"_id": name, "name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}


def npm_install(registry, folder):
    run("npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", "--registry", registry, "boat", cwd=folder)
    return (folder / "node_modules" / "boat" / "filler").read_bytes()


class Npm:
    """A static registry."""

    def publish(self, mirrored, serve):
        body = tarball("boat", filler=FILLER)
        serve("/boat", json.dumps(document(f"http://127.0.0.1:{mirrored.origin.port}", "boat", body)).encode(), "application/json")
        serve("/boat/-/boat-1.0.0.tgz", body)
        return "/boat/-/boat-1.0.0.tgz", "/boat"

    def use(self, mirrored, folder):
        return npm_install(f"http://127.0.0.1:{mirrored.port}/npm/127.0.0.1:{mirrored.origin.port}/", folder)


class Pip:
    def publish(self, mirrored, serve):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as wheel:
            wheel.writestr("boat/filler", FILLER)
            wheel.writestr("boat-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: boat\nVersion: 1.0\n")
            wheel.writestr("boat-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr("boat-1.0.dist-info/RECORD", "")
        name = "boat-1.0-py3-none-any.whl"
        file = f"http://127.0.0.1:{mirrored.origin.port}/packages/{name}#sha256={hashlib.sha256(out.getvalue()).hexdigest()}"
        serve("/simple/boat/", f'<!DOCTYPE html><a href="{file}">{name}</a>'.encode(), "text/html")
        serve(f"/packages/{name}", out.getvalue())
        return f"/packages/{name}", "/simple/boat/"

    def use(self, mirrored, folder):
        index = f"http://127.0.0.1:{mirrored.port}/pypi/127.0.0.1:{mirrored.origin.port}/simple/"
        run("/usr/bin/python3", "-m", "pip", "install", "-q", "--no-cache-dir", "--disable-pip-version-check", "--target", folder / "here",
            "-i", index, "--trusted-host", "127.0.0.1", "boat", cwd=folder)
        return (folder / "here" / "boat" / "filler").read_bytes()


class Go:
    """GOPROXY: the list, then the version's three files."""

    def publish(self, mirrored, serve):
        serve("/example.org/!boat/@v/list", b"v1.0.0\n", "text/plain")
        serve("/example.org/!boat/@v/v1.0.0.info", b'{"Version": "v1.0.0"}', "application/json")
        serve("/example.org/!boat/@v/v1.0.0.mod", b"module example.org/Boat\n")
        serve("/example.org/!boat/@v/v1.0.0.zip", FILLER)
        return "/example.org/!boat/@v/v1.0.0.zip", "/example.org/!boat/@v/list"

    def use(self, mirrored, folder):
        get = Fetched(mirrored, "go")
        version = get("/example.org/!boat/@v/list").decode().strip()
        assert json.loads(get(f"/example.org/!boat/@v/{version}.info"))["Version"] == version
        assert get(f"/example.org/!boat/@v/{version}.mod").startswith(b"module")
        return get(f"/example.org/!boat/@v/{version}.zip")


class Maven:
    """The versions, then a file and the digest beside it."""

    def publish(self, mirrored, serve):
        serve("/maven2/org/boat/maven-metadata.xml", b"<metadata><versioning><latest>1.0</latest></versioning></metadata>", "text/xml")
        serve("/maven2/org/boat/1.0/boat-1.0.jar", FILLER)
        serve("/maven2/org/boat/1.0/boat-1.0.jar.sha1", hashlib.sha1(FILLER).hexdigest().encode())
        return "/maven2/org/boat/1.0/boat-1.0.jar", "/maven2/org/boat/maven-metadata.xml"

    def use(self, mirrored, folder):
        get = Fetched(mirrored, "maven")
        assert b"<latest>1.0</latest>" in get("/maven2/org/boat/maven-metadata.xml")
        jar = get("/maven2/org/boat/1.0/boat-1.0.jar")
        assert get("/maven2/org/boat/1.0/boat-1.0.jar.sha1").decode() == hashlib.sha1(jar).hexdigest()
        return jar


class Crates:
    """A sparse index, whose configuration says where the crates are."""

    def publish(self, mirrored, serve):
        serve("/config.json", f'{{"dl": "http://127.0.0.1:{mirrored.origin.port}/crates"}}'.encode(), "application/json")
        entry = {"name": "boat", "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(FILLER).hexdigest(), "features": {}, "yanked": False}
        serve("/bo/at/boat", json.dumps(entry).encode(), "text/plain")
        serve("/crates/boat/1.0.0/download", FILLER)
        return "/crates/boat/1.0.0/download", "/bo/at/boat"

    def use(self, mirrored, folder):
        get = Fetched(mirrored, "crates")
        crates = json.loads(get("/config.json"))["dl"]
        assert crates == f"http://127.0.0.1:{mirrored.port}{get.base}/crates"
        crate = get("/crates/boat/1.0.0/download")
        assert hashlib.sha256(crate).hexdigest() == json.loads(get("/bo/at/boat"))["cksum"]
        return crate


class Apk:
    def publish(self, mirrored, serve):
        serve("/v3/main/x86_64/APKINDEX.tar.gz", b"P:boat\nV:1.0-r0\n")
        serve("/v3/main/x86_64/boat-1.0-r0.apk", FILLER)
        return "/v3/main/x86_64/boat-1.0-r0.apk", "/v3/main/x86_64/APKINDEX.tar.gz"

    def use(self, mirrored, folder):
        get = Fetched(mirrored, "apk")
        assert b"V:1.0-r0" in get("/v3/main/x86_64/APKINDEX.tar.gz")
        return get("/v3/main/x86_64/boat-1.0-r0.apk")


@pytest.mark.parametrize("client", [Npm(), Pip(), Go(), Maven(), Crates(), Apk()], ids=lambda client: type(client).__name__.lower())
def test_cold_warm_and_without_an_upstream(mirrored, origin, tmp_path, client):
    def serve(path, body, kind="application/octet-stream"):
        reply = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "Cache_Control": "max-age=600", "Content_Type": kind}
        replies = [Reply(body, cut=len(body) // 2, **reply)] if len(body) >= len(FILLER) else []
        origin.serve(path, *replies, Reply(body, **reply))

    file, index = client.publish(mirrored, serve)
    assert client.use(mirrored, tmp_path / "cold") == FILLER
    ranges = [headers.get("Range") for _, path, headers in origin.requests if path == file]
    assert len(ranges) == 2 and ranges[0] is None and ranges[1].startswith("bytes="), "what broke off goes on"
    cold = {path: origin.count(path) for _, path, _ in origin.requests}
    assert client.use(mirrored, tmp_path / "warm") == FILLER
    # Alpine's index is asked about at each request, and has not changed.
    assert {path: origin.count(path) for _, path, _ in origin.requests} == {**cold, **({index: 2} if isinstance(client, Apk) else {})}
    origin.stop()
    kind = type(client).__name__.lower().replace("pip", "pypi")
    stale, _ = mirrored.get("", whole_url=f"/{kind}/127.0.0.1:{origin.port}{index}", headers={"Cache-Control": "no-cache"})
    assert (stale.status, stale.headers["Cache-Status"]) == (200, "davit; hit; detail=stale")
    assert client.use(mirrored, tmp_path / "away") == FILLER


class Verdaccio:
    """On a port of its own; packages are published as npm does it, by whoever wants to."""

    def __init__(self, folder):
        self.port = forge.free_port()
        conf = folder / "verdaccio.yml"
        conf.write_text(json.dumps({"storage": str(folder / "storage"), "uplinks": {}, "web": {"enable": False},
                                    "packages": {"**": {"access": "$all", "publish": "$all"}},
                                    "log": {"type": "stdout", "format": "json", "level": "http"}}))
        assert os.path.exists(VERDACCIO), "scripts/deps npm installs verdaccio"
        self.process = subprocess.Popen(["node", VERDACCIO, "-c", conf, "-l", f"127.0.0.1:{self.port}"], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, "HOME": str(folder)})
        self.log = server.Lines(self.process.stdout, folder / "verdaccio.log")
        self.log.wait("http address")

    def publish(self, name, needs=None, filler=b""):
        body = tarball(name, needs, filler)
        text = document(f"http://127.0.0.1:{self.port}", name, body, needs)
        text["_attachments"] = {f"{name}-1.0.0.tgz": {"content_type": "application/octet-stream", "length": len(body),
                                                      "data": base64.b64encode(body).decode()}}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{name.replace('/', '%2f')}", json.dumps(text).encode(),
                                         {"Content-Type": "application/json"}, method="PUT")
        assert urllib.request.urlopen(request).status == 201

    def end(self):
        self.process.kill()
        self.process.wait()


def test_npm_with_a_registry_of_its_own(make_davit, origin, tmp_path):
    """Two packages, one of a scope, which need each other: cold, warm, and when verdaccio is gone."""
    verdaccio = Verdaccio(tmp_path)
    try:
        origin.stop()
        origin.port = verdaccio.port
        mirrored = Mirrored(make_davit, origin)
        verdaccio.publish("@harbour/oar")
        verdaccio.publish("boat", {"@harbour/oar": "^1.0.0"}, FILLER)
        registry = f"http://127.0.0.1:{mirrored.port}/npm/127.0.0.1:{verdaccio.port}/"
        for name in ("cold", "warm"):
            assert npm_install(registry, tmp_path / name) == FILLER
            assert (tmp_path / name / "node_modules" / "@harbour" / "oar" / "package.json").exists()
            lock = json.loads((tmp_path / name / "package-lock.json").read_text())
            assert lock["packages"]["node_modules/boat"]["integrity"].startswith("sha512-")
            assert mirrored.davit.api("GET", "/mirror")["upstream_requests"] == 4, "two documents and two files"
    finally:
        verdaccio.end()
    stale, _ = mirrored.get("", whole_url=f"/npm/127.0.0.1:{verdaccio.port}/boat", headers={"Cache-Control": "no-cache"})
    assert (stale.status, stale.headers["Cache-Status"]) == (200, "davit; hit; detail=stale")
    assert npm_install(registry, tmp_path / "away") == FILLER
