"""Repositories that change while they are read: apt-get with what reprepro publishes, with and without by-hash, and dnf with
what createrepo_c does, each behind the mirror. The upstream changes all the time, and no client may see files of two
versions. DAVIT_TEST_LONG=1: 200 rounds rather than a dozen. (doc/mirror.md, Package repositories)"""

import functools
import glob
import hashlib
import http.server
import os
import shutil
import subprocess
import threading

import pytest

from test_mirror import Mirrored
from test_mirror_packages import Apt

ROUNDS = 200 if os.environ.get("DAVIT_TEST_LONG") else 12
DISTRIBUTIONS = "Codename: stable\nSuite: stable\nArchitectures: amd64\nComponents: main\n"


class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class FileServer:
    """A folder, by HTTP."""

    def __init__(self, folder):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(folder)))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.stop = self.server.shutdown
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def run(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_deb(folder, version):
    root = os.path.join(folder, f"boat-{version}")
    os.makedirs(os.path.join(root, "DEBIAN"))
    with open(os.path.join(root, "DEBIAN", "control"), "w") as file:
        file.write(f"Package: boat\nVersion: {version}\nArchitecture: amd64\nMaintainer: a <a@b.example>\nSection: misc\n"
                   f"Priority: optional\nDescription: a boat\n")
    path = os.path.join(folder, f"boat_{version}_amd64.deb")
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", root, path)
    return path


class Reprepro:
    """A repository in which each version takes the place of the one before, as reprepro does it: file by file."""

    def __init__(self, folder):
        self.folder = str(folder)
        os.makedirs(os.path.join(self.folder, "conf"))
        with open(os.path.join(self.folder, "conf", "distributions"), "w") as file:
            file.write(DISTRIBUTIONS)

    def publish(self, version):
        run("reprepro", "-b", self.folder, "includedeb", "stable", make_deb(self.folder, version))


class ByHash(Reprepro):
    """The same with names by digest, of this version and the one before, as dak keeps them."""

    def __init__(self, folder):
        self.served = str(folder)
        super().__init__(os.path.join(self.served, "built"))
        self.kept = {}

    def publish(self, version):
        super().publish(version)
        place = os.path.join(self.served, f"dists-{version}")
        shutil.copytree(os.path.join(self.folder, "dists"), place)
        kept = {}
        for path in glob.glob(f"{place}/stable/main/binary-amd64/Packages*"):
            with open(path, "rb") as file:
                kept[hashlib.sha256(file.read()).hexdigest()] = path
        names = f"{place}/stable/main/binary-amd64/by-hash/SHA256"
        os.makedirs(names)
        for digest, path in {**self.kept, **kept}.items():
            shutil.copy(path, f"{names}/{digest}")
        self.kept = kept
        with open(f"{place}/stable/Release", "a") as file:
            file.write("Acquire-By-Hash: yes\n")
        os.symlink(os.path.basename(place), f"{self.served}/dists.new")
        os.replace(f"{self.served}/dists.new", f"{self.served}/dists")


class Rotation:
    """Publishes one version after the other until it is stopped."""

    def __init__(self, publish):
        self.publish = publish
        self.version = 1
        self.ends = threading.Event()
        self.error = None
        publish("1")
        self.thread = threading.Thread(target=self.rotate, daemon=True)

    def rotate(self):
        try:
            while not self.ends.is_set():
                self.publish(str(self.version + 1))
                self.version += 1
        except BaseException as error:  # what it was is said by stop
            self.error = error

    def stop(self):
        self.ends.set()
        self.thread.join(60)
        if self.error:
            raise self.error
        assert self.version > 2
        return self.version


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    server = FileServer(folder)
    yield folder, server
    server.stop()


@pytest.mark.parametrize("kind", [Reprepro, ByHash])
def test_apt(make_davit, served, tmp_path, kind):
    folder, server = served
    mirrored = Mirrored(make_davit, server)
    authority = f"127.0.0.1:{server.port}"
    clients = [Apt(tmp_path / "proxy", f"http://{authority}", f"http://127.0.0.1:{mirrored.port}"),
               Apt(tmp_path / "url", f"http://127.0.0.1:{mirrored.port}/apt/{authority}")]
    rotation = Rotation(kind(folder).publish)
    for client in clients:  # what nobody has asked for yet is asked of the upstream at the moment
        client("update")
    rotation.thread.start()
    for _ in range(ROUNDS):
        for client in clients:
            client("update")
    version = rotation.stop()
    release = os.path.join(folder, "dists", "stable", "Release")
    os.utime(release, (2**31, 2**31))  # by its date apt asks; several versions had the same
    for client in clients:
        client("update")
        assert client.versions("boat") == [str(version)]


def make_rpm(folder, version):
    spec = os.path.join(folder, f"boat-{version}.spec")
    with open(spec, "w") as file:
        file.write(f"Name: boat\nVersion: {version}\nRelease: 1\nSummary: a boat\nLicense: none\nBuildArch: noarch\n"
                   "%description\na boat\n%files\n")
    run("rpmbuild", "-bb", "--define", f"_topdir {folder}/rpmbuild", "--define", f"_rpmdir {folder}", spec)
    return os.path.join(folder, "noarch", f"boat-{version}-1.noarch.rpm")


class Createrepo:
    def __init__(self, folder, tmp_path, *options):
        self.folder = str(folder)
        self.options = options
        self.packages = [make_rpm(str(tmp_path), version) for version in "123"]

    def publish(self, version):
        name = os.path.join(self.folder, "boat.rpm")
        shutil.copy(self.packages[int(version) % 3], name + ".new")
        os.replace(name + ".new", name)
        run("createrepo_c", "-q", *self.options, self.folder)


@pytest.mark.parametrize("options", [["--simple-md-filenames"], ["--unique-md-filenames"]])
def test_dnf(make_davit, served, tmp_path, options):
    folder, server = served
    mirrored = Mirrored(make_davit, server)
    root = tmp_path / "root"
    root.mkdir()
    config = tmp_path / "dnf.conf"
    config.write_text(f"[main]\ncachedir={tmp_path}/cache\nlogdir={tmp_path}\nreposdir=/nowhere\nplugins=0\n"
                      f"[boats]\nname=boats\nbaseurl=http://127.0.0.1:{mirrored.port}/rpm/127.0.0.1:{server.port}/\ngpgcheck=0\nretries=1\n")
    update = ["dnf", "-q", "-c", str(config), f"--installroot={root}", "--releasever=1", "--refresh", "repoquery", "boat"]
    rotation = Rotation(Createrepo(folder, tmp_path, *options).publish)
    run(*update)
    rotation.thread.start()
    for _ in range(ROUNDS if ROUNDS > 12 else 4):  # each takes a second
        assert run(*update).startswith("boat-")
    rotation.stop()
