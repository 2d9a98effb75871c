"""An image for several platforms: each built by an engine of its own, and the list that Davit puts together and pushes."""

import base64
import hashlib
import http.client
import http.server
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.error

import pytest

import forge
import registry as registries
import server

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


class Guard:
    """In front of a registry: wants a token of each request, which its own realm gives to ada. refuses: it takes no lists."""

    def __init__(self, behind):
        guard = self
        self.refuses, self.tokens = False, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle_one_request(self):
                """Engines try TLS first, and wait for an answer to it."""
                if self.connection.recv(1, socket.MSG_PEEK) == b"\x16":
                    self.close_connection = True
                else:
                    super().handle_one_request()

            def reply(self, status, headers, body):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if self.command != "HEAD" and "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def body(self):
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                text = b""
                while size := int(self.rfile.readline(), 16):
                    text += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return text

            def token(self):
                if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"ada:s3cret-word").decode():
                    return self.reply(401, {}, b"{}")
                guard.tokens += 1
                return self.reply(200, {}, b'{"token": "t0ken"}')

            def ask(self):
                body = self.body()
                if self.path.startswith("/token"):
                    return self.token()
                if self.headers.get("Authorization") != "Bearer t0ken":
                    realm = f'Bearer realm="http://{guard.address}/token",service="guard",scope="repository:acme/app:pull,push"'
                    return self.reply(401, {"WWW-Authenticate": realm}, b"{}")
                if guard.refuses and self.headers.get("Content-Type") == LIST:
                    words = {"errors": [{"code": "MANIFEST_INVALID", "message": "lists are not welcome here"}]}
                    return self.reply(400, {}, json.dumps(words).encode())
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("authorization", "transfer-encoding")}
                link = http.client.HTTPConnection(behind)
                link.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
                answer = link.getresponse()
                kept = {name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "transfer-encoding")}
                self.reply(answer.status, kept, answer.read())
                link.close()

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = ask

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        registries.forget_images(self.address)


@pytest.fixture(scope="module")
def other():
    """A second engine, which is said to be of another platform: this machine runs that as well."""
    folder = tempfile.mkdtemp(prefix="dv", dir="/tmp")
    url = subprocess.run([f"{TOP}/scripts/engine", "start", folder], check=True, capture_output=True, text=True).stdout.strip()
    yield url
    subprocess.run([f"{TOP}/scripts/engine", "stop", folder], check=True)
    shutil.rmtree(folder)


@pytest.fixture
def guard(registry):
    made = Guard(registry.address)
    yield made
    made.close()


@pytest.fixture
def registry(tmp_path):
    made = registries.Registry(tmp_path / "registry", closed=False)
    yield made
    made.close()


def raw(registry, name):
    return subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.address}/{name}"],
                          check=True, capture_output=True).stdout


def push(davit, repo, build, files, **more):
    pipeline = {"jobs": {"image": {"build": {"push": True, **build}, **more}, "use": {
        "needs": ["image"], "image": server.IMAGE, "script": ['echo "got $DAVIT_IMAGE and $DAVIT_IMAGE_DIGEST"']}}}
    commit = repo.push({"daocloud.yml": json.dumps(pipeline), **files})
    return forge.deliver(davit, forge.push_payload(commit, message=commit)).json["build"]


def test_a_list_of_two_platforms(make_davit, repo, other, registry, guard, tmp_path):
    engines = [{"url": server.ENGINE, "slots": 1}, {"url": other, "name": "other", "slots": 1, "platforms": ["linux/386"]}]
    davit = make_davit(engines=engines)
    davit.add_repo(repo)
    (tmp_path / "login").write_text(json.dumps({"auths": {guard.address: {"username": "ada", "password": "s3cret-word"}}}))
    assert davit.cli("secret", "set", "DOCKER_AUTH_CONFIG", "--repo", "app", "--file", str(tmp_path / "login")).returncode == 0
    name = f"{guard.address}/acme/app"
    build = {"platforms": ["linux/amd64", "linux/386"], "tags": [f"{name}:one", f"{name}:two"]}
    files = {"Dockerfile": "FROM scratch\nCOPY app /app\n", "app": "first"}
    more = {"secrets": ["DOCKER_AUTH_CONFIG"]}

    number = push(davit, repo, build, files, **more)
    done = davit.wait_build(number)
    assert done["state"] == "passed", done
    assert [(job["name"], job["engine"]) for job in done["jobs"][:2]] == [
        ("image (platform=linux/amd64)", "engine1"), ("image (platform=linux/386)", "other")]
    text = raw(registry, "acme/app:one")
    digest, document = "sha256:" + hashlib.sha256(text).hexdigest(), json.loads(text)
    assert document["mediaType"] == LIST and text == raw(registry, "acme/app:two")
    assert [part["platform"] for part in document["manifests"]] == [
        {"architecture": "amd64", "os": "linux"}, {"architecture": "386", "os": "linux"}]
    assert [part["digest"] for part in document["manifests"]] == [
        registry.digest("acme/app", "one-linux-amd64"), registry.digest("acme/app", "one-linux-386")]
    assert done["jobs"][2]["images"] == [{"name": f"{name}:{tag}", "reference": f"{name}@{digest}"} for tag in ("one", "two")]
    assert f"got {name}@{digest} and {digest}\n" in davit.cli("log", f"{number}.4").stdout
    log = davit.cli("log", f"{number}.3").stdout
    assert f"pushed {name}:two {digest}\n" in log and "s3cret-word" not in log and guard.tokens > 2, log
    for engine, platform in (server.ENGINE, "linux/amd64"), (other, "linux/386"):
        client = ["/usr/bin/docker", "-H", engine]
        whole = f"{registry.address}/acme/app@{digest}"
        subprocess.run([*client, "pull", "-q", "--platform", platform, whole], check=True)
        shown = subprocess.run([*client, "inspect", "-f", "{{.Os}}/{{.Architecture}}", whole], check=True, capture_output=True, text=True)
        assert shown.stdout.strip() == platform

    guard.refuses = True
    done = davit.wait_build(push(davit, repo, build, {**files, "app": "second"}, **more))
    assert done["state"] == "failed" and "lists are not welcome here" in done["reason"], done
    assert [job["state"] for job in done["jobs"]] == ["passed", "passed", "failed", "skipped"]
    assert raw(registry, "acme/app:one") == text, "the old list stays"
    guard.refuses = False
    done = davit.wait_build(davit.api("POST", f"/builds/{done['build']}/rerun?jobs=failed")["build"])
    assert done["state"] == "passed" and done["jobs"][0]["reused_from"], done
    assert raw(registry, "acme/app:one") != text

    davit.kill()
    davit.environment["DAVIT_CRASH"] = "start_recorded:3"  # as the list's job begins
    davit.start()
    number = push(davit, repo, {**build, "existing": "keep"}, {**files, "app": "third"}, **more)
    davit.process.wait(60)
    del davit.environment["DAVIT_CRASH"]
    davit.start()
    done = davit.wait_build(number)
    assert done["state"] == "passed" and [job["attempt"] for job in done["jobs"][:3]] == [1, 1, 2], done
    assert f"kept {name}:one sha256:".encode() in davit.job_log(f"{number}.3", 2)


def test_a_platform_that_cannot_be_built(make_davit, repo, docker, other, registry):
    """Its base is there for another one only; and of a third there is no engine."""
    davit = make_davit(engines=[{"url": server.ENGINE, "slots": 1}, {"url": other, "slots": 1, "platforms": ["linux/386"]}])
    davit.add_repo(repo)
    name = f"{registry.address}/acme/app"
    docker("tag", server.IMAGE, f"{name}:base")
    docker("push", f"{name}:base")
    files = {"Dockerfile": f"FROM {name}:base\nRUN true\n"}
    done = davit.wait_build(push(davit, repo, {"platforms": ["linux/amd64", "linux/386"], "tags": f"{name}:one"}, files))
    assert done["state"] == "failed" and done["reason"].startswith("image (platform=linux/386): "), done
    assert [job["state"] for job in done["jobs"]] == ["passed", "failed", "skipped", "skipped"]
    with pytest.raises(urllib.error.HTTPError):
        registry.digest("acme/app", "one")

    number = push(davit, repo, {"platforms": "linux/s390x", "tags": f"{name}:one"}, files)
    job = davit.wait_build(number, {"queued"})["jobs"][0]
    assert job["waits_for"] == ("no engine that was up yet has platform=linux/s390x: add one in davit.yml, or name the platform in platforms: "
                                "of one that can run it")
    davit.api("POST", f"/builds/{number}/cancel")
    assert davit.wait_build(number)["state"] == "cancelled"
