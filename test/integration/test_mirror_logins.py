"""What upstreams give for a login alone: to clients that show an access token, and to nobody else. (doc/mirror.md, Logins)"""

import base64
import hashlib
import os
import subprocess
import time

import pytest

import forge
import server
from origin import Reply
from test_mirror import Mirrored
from test_pull import SCRIPT, build_of

BLOB = os.urandom(100_000)
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()
CORP = "Basic " + base64.b64encode(b"ci:corp-secret").decode()
LASTING = {"Cache_Control": "max-age=3600"}


def login(password, user="any"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Guarded(Mirrored):
    """davitd with a login for the server at that port."""

    def __init__(self, make_davit, tmp_path, port, upstream=None, **options):
        (tmp_path / "secret").write_text("corp-secret\n")
        rule = {"host": f"127.0.0.1:{port}", "private": True, "clear": True, **(upstream or {"user": "ci", "password_file": str(tmp_path / "secret")})}
        options = {"listen": ["127.0.0.1:0"], "registry": f"http://127.0.0.1:{port}", "upstreams": [rule, {"host": "localhost", "private": True, "clear": True}], **options}
        self.davit = make_davit(mirror=options)
        self.port = int(self.davit.log.wait(r"mirror on 127\.0\.0\.1:(\d+)").group(1))
        self.base = f"/generic/127.0.0.1:{port}"
        self.token = self.davit.api("PUT", "/tokens/builds", {"role": "read"})["token"]
        self.wait_token(200)

    def wait_token(self, status):
        """Until the daemon has heard of it."""
        deadline = time.monotonic() + 60
        while self.davit.ask("GET", "/api/v1/builds", token=self.token).status != status:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def ask(self, url, method="GET", headers=None):
        return self.get("", whole_url=url, method=method, headers=headers)


@pytest.fixture
def guarded(make_davit, tmp_path, origin):
    return Guarded(make_davit, tmp_path, origin.port)


def test_a_login_of_a_server(guarded, origin):
    """Who shows a token gets what the login gets, from the shelf, too; nobody else does, nor any of it."""
    origin.serve("/paper", Reply(b"for ci alone", login=CORP, **LASTING))
    url = guarded.base + "/paper"
    assert guarded.ask(url)[0].status == 401
    for headers in [login(guarded.token), {"Authorization": f"Bearer {guarded.token}"}, {"Proxy-Authorization": login(guarded.token)["Authorization"]}]:
        reply, body = guarded.ask(url, headers=headers)
        assert (reply.status, body) == (200, b"for ci alone")
    assert reply.headers["Cache-Status"] == "davit; hit"
    assert [headers.get("Authorization") for _, _, headers in origin.requests] == [None, CORP]
    assert guarded.ask(url)[0].status == 401
    own, _ = guarded.ask(url, headers=login("guessed", "ci"))
    assert own.status == 401 and origin.requests[-1][2]["Authorization"] == login("guessed", "ci")["Authorization"]
    count = len(origin.requests)
    gone, body = guarded.ask(url, headers=login("davit_" + "0" * 40))
    assert gone.status == 401 and b"no access token" in body and len(origin.requests) == count
    assert not any("davit_" in str(request) for request in origin.requests)
    guarded.davit.api("DELETE", "/tokens/builds")
    guarded.wait_token(401)
    assert guarded.ask(url, headers=login(guarded.token))[0].status == 401
    assert guarded.token not in open(os.path.join(guarded.davit.state, "mirror", "journal"), "rb").read().decode("latin1")


def test_a_login_leaves_its_server_with_nobody(guarded, origin):
    """Neither with a redirect, nor to another port of the host; and a wrong one is ours to mend."""
    other = origin.port
    origin.serve("/simple/a/", Reply(status=302, login=CORP, Location=f"http://localhost:{other}/elsewhere"))
    origin.serve("/elsewhere", Reply(b"links"))
    origin.serve("/simple/b/", Reply(status=302, login=CORP, Location="/simple/c/"))
    origin.serve("/simple/c/", Reply(b"more links", login=CORP))
    pypi = guarded.base.replace("generic", "pypi")
    assert guarded.ask(pypi + "/simple/a/", headers=login(guarded.token))[1] == b"links"
    assert [headers.get("Authorization") for _, _, headers in origin.requests] == [CORP, None]
    assert guarded.ask(pypi + "/simple/b/", headers=login(guarded.token))[1] == b"more links"
    origin.serve("/late", Reply(b"x", login="Basic bmV3"))
    reply, body = guarded.ask(guarded.base + "/late", headers=login(guarded.token))
    assert reply.status == 502 and b"mirror.upstreams" in body
    guarded.davit.stop()


def test_index_files_of_a_login(guarded, origin):
    """The version of a repository that a login gets is nobody else's, either."""
    packages = b"Package: a\n"
    release = f"Suite: stable\nSHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} main/Packages\n".encode()
    origin.serve("/d/dists/stable/InRelease", Reply(release, login=CORP, ETag='"1"'))
    origin.serve("/d/dists/stable/main/Packages", Reply(packages, login=CORP, ETag='"2"'))
    base = guarded.base.replace("generic", "apt") + "/d/dists/stable/"
    for member in [True, False, True, False]:
        for path, text in [("InRelease", release), ("main/Packages", packages)]:
            reply, body = guarded.ask(base + path, headers=login(guarded.token) if member else {})
            assert (reply.status, body) == ((200, text) if member else (401, b"who are you?"))
    assert [headers.get("Authorization") for _, _, headers in origin.requests].count(CORP) == 3
    guarded.davit.stop()


def test_a_token_for_a_server(make_davit, tmp_path, origin):
    (tmp_path / "token").write_text("npm-secret\n")
    guarded = Guarded(make_davit, tmp_path, origin.port, {"token_file": str(tmp_path / "token")})
    origin.serve("/tool/-/tool-1.0.0.tgz", Reply(BLOB, login="Bearer npm-secret", Cache_Control="private"))
    url = guarded.base.replace("generic", "npm") + "/tool/-/tool-1.0.0.tgz"
    assert guarded.ask(url)[0].status == 401
    for expected in ["davit; fwd=miss", "davit; hit"]:
        reply, body = guarded.ask(url, headers=login(guarded.token))
        assert body == BLOB and reply.headers["Cache-Status"] == expected
    guarded.davit.stop()


def test_a_registry_that_gives_tokens_for_a_login(guarded, origin):
    """Where it says, when that is a place of its own; a client proves itself the way registries' clients do."""
    origin.serve("/token?service=here", Reply(b'{"token": "for-ci"}', login=CORP))
    bearer = Reply(b"{}", status=401, WWW_Authenticate=f'Bearer realm="http://127.0.0.1:{origin.port}/token",service="here"')
    origin.serve(f"/v2/a/blobs/{DIGEST}", bearer, Reply(BLOB, login="Bearer for-ci"))
    url = f"/v2/a/blobs/{DIGEST}"
    door, _ = guarded.ask("/v2/")
    assert door.status == 401 and door.headers["WWW-Authenticate"] == f'Bearer realm="http://127.0.0.1:{guarded.port}/token",service="davit"'
    assert guarded.ask(url)[0].status == 401 and not origin.requests
    nobody = guarded.ask("/token?scope=x")[1]
    assert nobody == guarded.ask("/token", headers=login("of-docker-hub"))[1] and b'"nobody"' in nobody
    assert guarded.ask("/token", headers=login("davit_wrong"))[0].status == 401
    assert guarded.token.encode() in guarded.ask("/token", headers=login(guarded.token))[1]
    assert guarded.ask("/v2/", headers={"Authorization": "Bearer nobody"})[0].status == 200
    reply, body = guarded.ask(url, headers={"Authorization": f"Bearer {guarded.token}"})
    assert body == BLOB
    assert [headers.get("Authorization") for _, _, headers in origin.requests] == [None, CORP, "Bearer for-ci"]
    origin.serve(f"/v2/a/blobs/{DIGEST}", Reply(b"{}", status=401, WWW_Authenticate="Basic realm=x"))
    assert guarded.ask(url, headers={"Authorization": "Bearer nobody"})[0].status == 404
    other = "sha256:" + hashlib.sha256(BLOB[1:]).hexdigest()
    origin.serve(f"/v2/a/blobs/{other}", Reply(status=307, login="Bearer for-ci", Location=f"http://localhost:{origin.port}/cdn"))
    origin.serve("/cdn", Reply(status=307, Location=f"http://127.0.0.1:{origin.port}/back"))
    origin.serve("/back", Reply(BLOB[1:]))
    origin.requests.clear()
    assert guarded.ask(f"/v2/a/blobs/{other}", headers={"Authorization": f"Bearer {guarded.token}"})[1] == BLOB[1:]
    assert [headers.get("Authorization") for _, _, headers in origin.requests] == ["Bearer for-ci", None, None]
    for realm in [f"http://localhost:{origin.port}/token", "https://127.0.0.2/token"]:
        origin.serve("/v2/b/manifests/1", Reply(b"{}", status=401, WWW_Authenticate=f'Bearer realm="{realm}"'))
        origin.requests.clear()
        reply, body = guarded.ask("/v2/b/manifests/1", headers={"Authorization": f"Bearer {guarded.token}"})
        assert reply.status == 404 and b"name it as realm" in body and len(origin.requests) == 1
    guarded.davit.stop()


def test_a_place_for_tokens_that_the_rule_names(make_davit, tmp_path, origin):
    """And a redirect to the registry itself, which has the token again."""
    guarded = Guarded(make_davit, tmp_path, origin.port, {"user": "ci", "password_file": str(tmp_path / "secret"), "realm": "localhost"})
    origin.serve("/token", Reply(b'{"access_token": "for-ci"}', login=CORP))
    bearer = Reply(b"{}", status=401, WWW_Authenticate=f'Bearer realm="http://localhost:{origin.port}/token"')
    origin.serve(f"/v2/a/blobs/{DIGEST}", bearer, Reply(status=307, login="Bearer for-ci", Location="/v2/a/same"))
    origin.serve("/v2/a/same", Reply(BLOB, login="Bearer for-ci"))
    assert guarded.ask(f"/v2/a/blobs/{DIGEST}", headers={"Authorization": f"Bearer {guarded.token}"})[1] == BLOB
    guarded.davit.stop()


@pytest.fixture
def registry(tmp_path):
    folder = str(tmp_path / "registry")
    done = subprocess.run([SCRIPT, "start", folder, server.ENGINE, server.IMAGE, "ci", "corp-secret"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    yield done.stdout.strip()
    subprocess.run([SCRIPT, "stop", folder], check=True)


def pull(tmp_path, image, password=None):
    """By an engine that is logged in there, or is not."""
    folder = tmp_path / ("member" if password else "nobody")
    folder.mkdir(exist_ok=True)
    docker = ["/usr/bin/docker", "--config", str(folder), "-H", server.ENGINE]
    if password:
        done = subprocess.run([*docker, "login", "-u", "any", "--password-stdin", image.split("/")[0]], input=password, capture_output=True, text=True)
        if done.returncode:
            return done
    return subprocess.run([*docker, "pull", image], capture_output=True, text=True)


def test_engines_and_a_registry_with_a_login(make_davit, tmp_path, registry, docker):
    mirrored = Guarded(make_davit, tmp_path, int(registry.split("/")[0].split(":")[1]))
    image = f"127.0.0.1:{mirrored.port}/base:1"
    nobody = pull(tmp_path, image)
    assert nobody.returncode and "not found" in nobody.stderr + nobody.stdout, nobody
    assert "unauthorized" in pull(tmp_path, image, "davit_wrong").stderr
    try:
        member = pull(tmp_path, image, mirrored.token)
        assert member.returncode == 0, member.stderr
    finally:
        docker("rmi", image, check=False)
    assert pull(tmp_path, image).returncode


@pytest.mark.parametrize("may", [True, False])
def test_images_of_jobs_by_a_login(make_davit, tmp_path, repo, registry, docker, may):
    port = forge.free_port()
    rule = {"user": "ci", "password_file": str(tmp_path / "secret"), "jobs": may}
    davit = Guarded(make_davit, tmp_path, int(registry.split("/")[0].split(":")[1]), rule, listen=[f"127.0.0.1:{port}"]).davit
    davit.add_repo(repo)
    name = registry.split("/")[0] + "/team/login:1"
    docker("tag", server.IMAGE, name)
    docker("--config", str(tmp_path / "registry" / "client"), "push", "-q", name)
    docker("rmi", name)
    try:
        build = build_of(davit, repo, "team/login:1")
        assert (build["state"] == "passed") == may, build
        davit.stop()
    finally:
        docker("rmi", "team/login:1", check=False)


def test_access_log(make_davit, tmp_path, origin):
    """Who, what, and from where; no secret in it. Made anew when it is renamed, renamed when it has its size."""
    log = tmp_path / "access.log"
    guarded = Guarded(make_davit, tmp_path, origin.port, access_log=str(log), access_log_size="2k")

    def wait_line(words):
        deadline = time.monotonic() + 60
        while True:
            lines = log.read_text().splitlines() if log.exists() else []
            if found := [line for line in lines if words in line]:
                return found[-1]
            assert time.monotonic() < deadline, lines
            time.sleep(0.01)

    origin.serve("/paper?signature=secret", Reply(b"for ci", login=CORP, **LASTING))
    guarded.ask(guarded.base + "/paper?signature=secret", headers={**login(guarded.token), "User-Agent": "pip"})
    line = wait_line("/paper?...")
    assert line.startswith("127.0.0.1 - builds [") and line.endswith(f'"GET {guarded.base}/paper?... HTTP/1.1" 200 6 "-" "pip" "davit; fwd=miss"'), line
    os.rename(log, tmp_path / "moved")
    guarded.ask("/nowhere")
    assert ' 404 ' in wait_line("GET /nowhere")
    origin.serve("/big", Reply(b"x" * 1000, hold=10, **LASTING))
    connection, reply = guarded.open("", whole_url=guarded.base + "/big")
    assert reply.read(10) == b"x" * 10
    reply.close()
    connection.close()
    origin.released.set()
    wait_line("/big HTTP")
    while not (tmp_path / "access.log.1").exists():
        guarded.ask("/nowhere")
    guarded.ask("/last")
    guarded.davit.stop()
    assert "GET /last" in log.read_text()
    text = log.read_text() + (tmp_path / "access.log.1").read_text() + (tmp_path / "moved").read_text()
    assert "secret" not in text and guarded.token not in text and "Basic" not in text
