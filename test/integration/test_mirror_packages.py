"""The mirror in front of package repositories: apt-get itself, as a proxy's client and by the mirror's own URL, while the
repository changes and when it is away; the URLs that other repositories' texts name."""

import gzip
import hashlib
import http.client
import json
import os
import struct
import subprocess
import time

import pytest

from origin import Reply
from test_mirror import Mirrored

SUITE = "dists/stable"
INDEX = "main/binary-all/Packages"


@pytest.fixture
def mirrored(make_davit, origin):
    return Mirrored(make_davit, origin)


class Repository:
    """A package, boat, in versions that are published one after the other; with or without by-hash names."""

    def __init__(self, origin, folder, by_hash):
        self.origin = origin
        self.folder = str(folder)
        self.by_hash = by_hash

    def build(self, version):
        root = os.path.join(self.folder, f"boat-{version}")
        os.makedirs(os.path.join(root, "DEBIAN"))
        with open(os.path.join(root, "DEBIAN", "control"), "w") as file:
            file.write(f"Package: boat\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.example>\nDescription: a boat\n")
        path = os.path.join(self.folder, f"boat_{version}_all.deb")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", root, path], check=True, capture_output=True)
        with open(path, "rb") as file:
            return file.read()

    def publish(self, version):
        package = self.build(version)
        name = f"pool/boat_{version}_all.deb"
        index = (f"Package: boat\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.example>\nFilename: {name}\n"
                 f"Size: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\nDescription: a boat\n\n").encode()
        files = {INDEX: index, INDEX + ".gz": gzip.compress(index, mtime=0)}
        release = "Suite: stable\nCodename: stable\nArchitectures: all\nComponents: main\n"
        release += f"Date: Sun, 29 Nov 2026 {int(version):02}:00:00 UTC\n"
        release += "Acquire-By-Hash: yes\n" if self.by_hash else ""
        release += "SHA256:\n" + "".join(f" {hashlib.sha256(body).hexdigest()} {len(body)} {path}\n" for path, body in files.items())
        self.serve(f"/{name}", package)
        for path, body in files.items():
            self.serve(f"/{SUITE}/{path}", body)
            self.serve(f"/{SUITE}/{os.path.dirname(path)}/by-hash/SHA256/{hashlib.sha256(body).hexdigest()}", body)
        self.serve(f"/{SUITE}/Release", release.encode())

    def serve(self, path, body):
        self.origin.serve(path, Reply(body, ETag=f'"{hashlib.sha256(body).hexdigest()}"', Cache_Control="max-age=600"))


class Apt:
    """apt-get with folders of its own."""

    def __init__(self, folder, url, proxy=None):
        self.folder = str(folder)
        for name in ["lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "here"]:
            os.makedirs(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "sources.list"), "w") as file:
            file.write(f"deb [trusted=yes] {url} stable main\n")
        with open(os.path.join(self.folder, "status"), "w"):
            pass
        self.options = {
            "Dir::Etc": f"{self.folder}/etc", "Dir::Etc::sourcelist": f"{self.folder}/sources.list", "Dir::Etc::sourceparts": f"{self.folder}/etc/preferences.d",
            "Dir::State::lists": f"{self.folder}/lists", "Dir::State::status": f"{self.folder}/status",
            "Dir::Cache": f"{self.folder}/cache", "APT::Sandbox::User": "", "Acquire::Languages": "none",
            "Acquire::http::Proxy": proxy or "DIRECT", "Acquire::Retries": "0", "APT::Architecture": "amd64"}

    def __call__(self, *args, program="apt-get"):
        options = [part for name, value in self.options.items() for part in ("-o", f"{name}={value}")]
        environment = {**os.environ, "LC_ALL": "C", "APT_CONFIG": ""}
        environment.pop("http_proxy", None)
        done = subprocess.run([program, *options, *args], capture_output=True, text=True, timeout=120, env=environment,
                              cwd=f"{self.folder}/here")
        assert done.returncode == 0 and "W:" not in done.stderr.replace("W: Download is performed unsandboxed", ""), done.stdout + done.stderr
        return done.stdout

    def versions(self, package):
        """As the lists that were downloaded have it."""
        return [line.split()[-1] for line in self("show", package, program="apt-cache").splitlines() if line.startswith("Version:")]

    def packages(self):
        return sorted(os.listdir(f"{self.folder}/here"))


@pytest.mark.parametrize("by_hash", [True, False])
def test_apt(mirrored, origin, tmp_path, by_hash):
    repository = Repository(origin, tmp_path, by_hash)
    for path in ["InRelease", "Release.gpg"]:
        origin.serve(f"/{SUITE}/{path}", Reply(status=404))
    authority = f"127.0.0.1:{origin.port}"
    by_proxy = Apt(tmp_path / "proxy", f"http://{authority}", f"http://127.0.0.1:{mirrored.port}")
    by_url = Apt(tmp_path / "url", f"http://127.0.0.1:{mirrored.port}/apt/{authority}")
    for version in ["1", "2", "3"]:
        repository.publish(version)
        for apt in [by_proxy, by_url]:
            apt("update")
            apt("download", "boat")
    expected = [f"boat_{version}_all.deb" for version in ["1", "2", "3"]]
    assert by_proxy.packages() == expected and by_url.packages() == expected
    assert all(origin.count(f"/pool/{name}") == 1 for name in expected)
    if by_hash:
        assert origin.count(f"/{SUITE}/{INDEX}.gz") == origin.count(f"/{SUITE}/{INDEX}") == 0
    origin.stop()
    late = Apt(tmp_path / "late", f"http://127.0.0.1:{mirrored.port}/apt/{authority}")
    late("update")
    late("download", "boat")
    assert late.packages() == ["boat_3_all.deb"]


def test_index_files_of_one_version(mirrored, origin, tmp_path):
    """A connection gets the index files of the Release that it was shown, also when another has a newer one by then; what
    is shown is whole, also after a kill and without the upstream."""
    repository = Repository(origin, tmp_path, False)
    connections = {}

    def ask(who, path):
        if who not in connections:
            connections[who] = http.client.HTTPConnection("127.0.0.1", mirrored.port, timeout=60)
        connections[who].request("GET", f"/apt/127.0.0.1:{origin.port}/{SUITE}/{path}")
        reply = connections[who].getresponse()
        assert reply.status == 200
        return reply.read().decode(), reply.headers["Cache-Status"]

    repository.publish("1")
    assert "01:00:00" in ask("early", "Release")[0]
    assert "Version: 1" in ask("early", INDEX)[0]
    repository.publish("2")
    assert "02:00:00" in ask("late", "Release")[0]
    assert origin.count(f"/{SUITE}/{INDEX}") == 2 and origin.count(f"/{SUITE}/{INDEX}.gz") == 0
    for who, version in [("early", 1), ("late", 2), ("other", 2)]:
        text, source = ask(who, INDEX)
        assert f"Version: {version}\n" in text and source == "davit; hit"
    origin.serve(f"/{SUITE}/Release", Reply(b"SHA256:\n %064d 3 %s\n" % (0, INDEX.encode())))  # of which nothing is there
    assert ask("late", "Release")[0].startswith("SHA256")
    assert origin.count(f"/{SUITE}/{INDEX}") == 2 + 5
    repository.publish("3")
    assert "03:00:00" in ask("late", "Release")[0]
    assert "Version: 3" in ask("late", INDEX)[0]
    origin.serve(f"/{SUITE}/Release", Reply(b"<html>log in, please"))
    assert ask("late", "Release")[0] == "<html>log in, please"
    mirrored.davit.kill()
    origin.stop()
    mirrored.restart()
    connections.clear()
    assert "Version: 3" in ask("later", INDEX)[0]
    text, source = ask("later", "Release")
    assert "03:00:00" in text and source == "davit; hit; detail=stale"
    assert "Version: 3" in ask("later", INDEX)[0]


class Journal:
    """The mirror's, read and added to while no davitd has it. (server/mirror/journal.h, shelf_private.h)"""

    STORE, USE = 1, 3

    def __init__(self, davit):
        self.path = os.path.join(davit.state, "mirror", "journal")

    def records(self):
        with open(self.path, "rb") as file:
            data = file.read()
        at = len("davitmj1")
        while at < len(data):
            size, = struct.unpack_from("<I", data, at)
            yield data[at + 8], data[at + 9:at + 8 + size]
            at += 8 + size

    def ids(self, part):
        """Of what is stored with that part in its key."""
        found = []
        for kind, payload in self.records():
            if kind == self.STORE and part.encode() in payload[40:40 + struct.unpack_from("<Q", payload, 32)[0]]:
                found.append(struct.unpack_from("<Q", payload)[0])
        return found

    def uses(self):
        return dict(struct.unpack("<QQ", payload) for kind, payload in self.records() if kind == self.USE)

    def add_use(self, number, when):
        record = bytes([self.USE]) + struct.pack("<QQ", number, when)
        crc = 0xffffffff
        for byte in record:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
        with open(self.path, "ab") as file:
            file.write(struct.pack("<II", len(record), crc ^ 0xffffffff) + record)


def test_what_nobody_asks_for_is_not_kept_up_to_date(mirrored, origin, tmp_path):
    """An index file of a new version is fetched when the one before was in use; that it was fetched is no use of it."""
    repository = Repository(origin, tmp_path, False)
    url = f"/apt/127.0.0.1:{origin.port}/{SUITE}"
    journal = Journal(mirrored.davit)

    def publish(version, fetched):
        repository.publish(version)
        assert f"0{version}:00:00".encode() in mirrored.get("", whole_url=f"{url}/Release")[1]
        assert origin.count(f"/{SUITE}/{INDEX}") == fetched

    def stop(count):
        """When so many versions of it are on record; the newest one's number."""
        deadline = time.monotonic() + 60
        while len(found := journal.ids(os.path.dirname(INDEX))) < count:
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        mirrored.davit.stop()
        return found[-1]

    def start(number, days):
        """As if that one was used last so many days ago."""
        when = int(time.time()) - days * 86400
        journal.add_use(number, when)
        mirrored.restart()
        return when

    publish("1", 0)
    assert mirrored.get("", whole_url=f"{url}/{INDEX}")[0].status == 200
    when = start(stop(1), 2)
    publish("2", 2)
    second = stop(2)
    assert journal.uses()[second] == when
    start(second, 4)
    publish("3", 2)


def test_bytes_that_are_not_of_their_hash(mirrored, origin):
    wanted = hashlib.sha256(b"right").hexdigest()
    path = f"/{SUITE}/{os.path.dirname(INDEX)}/by-hash/SHA256/{wanted}"
    origin.serve(path, Reply(b"wrong"), Reply(b"right"))
    url = f"/apt/127.0.0.1:{origin.port}{path}"
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        mirrored.get("", whole_url=url)
    assert mirrored.get("", whole_url=url)[1] == b"right"
    assert mirrored.get("", whole_url=url)[0].headers["Cache-Status"] == "davit; hit"


def test_what_is_not_there_yet(mirrored, origin):
    """A path whose bytes never change may come to be, and one that is asked about once a minute, too."""
    for path in ("/boat/-/boat-2.0.0.tgz", "/dinghy"):
        origin.serve(path, Reply(b"not yet", status=404), Reply(b"{}"))
        url = f"/npm/127.0.0.1:{origin.port}{path}"
        assert mirrored.get("", whole_url=url)[0].status == 404
        for _ in range(2):
            assert mirrored.get("", whole_url=url)[0].status == 200
        assert origin.count(path) == 2


def test_urls_in_texts(mirrored, origin):
    """npm's tarballs, PyPI's files and the crates' own place are asked of the mirror, too."""
    own = f"http://127.0.0.1:{origin.port}"
    tarball = f"{own}/boat/-/boat-1.0.0.tgz"
    origin.serve("/boat", Reply(json.dumps({"versions": {"1.0.0": {"dist": {"tarball": tarball}}}}).encode(), ETag='"one"'))
    origin.serve("/boat/-/boat-1.0.0.tgz", Reply(b"tarball"))
    through = f"127.0.0.1:{mirrored.port}"
    for _ in range(2):
        _, body = mirrored.get("", whole_url=f"/npm/127.0.0.1:{origin.port}/boat")
        assert json.loads(body)["versions"]["1.0.0"]["dist"]["tarball"] == f"http://{through}/npm/127.0.0.1:{origin.port}/boat/-/boat-1.0.0.tgz"
    for _ in range(2):
        assert mirrored.get("", whole_url=f"/npm/127.0.0.1:{origin.port}/boat/-/boat-1.0.0.tgz")[1] == b"tarball"
    assert origin.count("/boat") == origin.count("/boat/-/boat-1.0.0.tgz") == 1
    origin.serve("/simple/boat/", Reply(f'<a href="https://files.pythonhosted.org/packages/a/boat.whl#sha256=0">x</a> {own}/y'.encode()))
    _, body = mirrored.get("", whole_url=f"/pypi/127.0.0.1:{origin.port}/simple/boat/", headers={"Accept-Encoding": "gzip"})
    assert body == (f'<a href="/pypi/files.pythonhosted.org/packages/a/boat.whl#sha256=0">x</a> '
                    f"/pypi/127.0.0.1:{origin.port}/y").encode()
    assert origin.requests[-1][2]["Accept-Encoding"] == "identity"
    origin.serve("/packages/a.whl", Reply(b"wheel"))
    assert mirrored.get("", whole_url=f"/pypi/127.0.0.1%3A{origin.port}/packages/a.whl")[1] == b"wheel"  # as pip writes a port
    origin.serve("/config.json", Reply(b'{"dl": "https://static.crates.io/crates"}'))
    _, body = mirrored.get("", whole_url=f"/crates/127.0.0.1:{origin.port}/config.json")
    assert json.loads(body) == {"dl": f"http://{through}/crates/static.crates.io/crates"}
