"""The mirror in front of registries: Debian's docker-registry with a real engine that pulls by way of it, and an origin that
wants tokens, gives wrong bytes, or has no more for us."""

import glob
import hashlib
import http.client
import json
import os
import subprocess

import pytest

import server
from origin import Reply
from test_mirror import Mirrored

TOP = os.path.join(os.path.dirname(__file__), "..", "..")
BLOB = os.urandom(300_000)
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()


@pytest.fixture
def registry(tmp_path, docker):
    """An image with a layer that the engine has not: its name there, and a way to end the registry."""
    folder = str(tmp_path / "registry")
    name = "davit-mirror-" + os.urandom(4).hex()
    docker("run", "--name", name, "--network", "none", server.IMAGE, "sh", "-c", "head -c 300000 /dev/urandom >/blob")
    docker("commit", name, name)
    docker("rm", name)
    done = subprocess.run([f"{TOP}/test/registry.sh", "start", folder, server.ENGINE, name],
                          capture_output=True, text=True, check=True)
    docker("rmi", name)

    def stop():
        subprocess.run([f"{TOP}/test/registry.sh", "stop", folder], check=True)

    yield done.stdout.strip(), stop
    stop()


class InFrontOf(Mirrored):
    def __init__(self, make_davit, port):
        self.davit = make_davit(mirror={
            "listen": ["127.0.0.1:0"], "registry": f"http://127.0.0.1:{port}",
            "upstreams": [{"host": f"127.0.0.1:{port}", "private": True, "clear": True}]})
        self.port = int(self.davit.log.wait(r"mirror on 127\.0\.0\.1:(\d+)").group(1))


@pytest.fixture
def mirrored(make_davit, origin):
    return InFrontOf(make_davit, origin.port)


def test_an_engine_pulls_by_way_of_it(make_davit, docker, registry):
    """Cold, then with the registry gone: the tag is stale, all else is the same for ever."""
    name, stop = registry
    upstream, path = name.split("/", 1)
    mirrored = InFrontOf(make_davit, int(upstream.split(":")[1]))
    image = f"127.0.0.1:{mirrored.port}/{path}"
    try:
        docker("pull", image)
        docker("rmi", image)
        stop()
        docker("pull", image)
        assert docker("run", "--rm", "--network", "none", image, "wc", "-c", "/blob") == "300000 /blob"
    finally:
        docker("rmi", image, check=False)
    head, _ = mirrored.get("", whole_url="/v2/base/manifests/1", method="HEAD")
    assert head.status == 200 and int(head.headers["Content-Length"]) > 0
    digest = head.headers["Docker-Content-Digest"]
    manifest, body = mirrored.get("", whole_url=f"/v2/base/manifests/{digest}")
    assert "sha256:" + hashlib.sha256(body).hexdigest() == digest
    assert manifest.headers["Content-Type"] == head.headers["Content-Type"]
    assert len(body) == int(head.headers["Content-Length"])
    by_tag, same = mirrored.get("", whole_url="/v2/base/manifests/1")
    assert same == body and by_tag.headers["Docker-Content-Digest"] == digest
    layer = json.loads(body)["layers"][-1]
    part, body = mirrored.get("", whole_url=f"/v2/base/blobs/{layer['digest']}", headers={"Range": "bytes=0-9"})
    assert part.status == 206 and len(body) == 10
    unknown, body = mirrored.get("", whole_url="/v2/base/manifests/other")
    assert unknown.status == 503 and json.loads(body)["errors"]
    root, body = mirrored.get("", whole_url="/v2/")
    assert root.status == 200 and body == b"{}"


def test_tokens(mirrored, origin):
    """One for each repository, got where the registry says, and not sent to where its blobs lie."""
    origin.serve("/token?service=here&scope=repository%3Aa%3Apull", Reply(b'{"token": "let-me-in", "expires_in": 300}'))
    challenge = f'Bearer realm="http://127.0.0.1:{origin.port}/token",service="here",scope="repository:a:pull"'
    wanted = Reply(b"{}", status=401, WWW_Authenticate=challenge)
    elsewhere = Reply(status=307, Location=f"http://127.0.0.1:{origin.port}/cdn/blob")
    origin.serve(f"/v2/a/blobs/{DIGEST}", wanted, elsewhere)
    origin.serve("/cdn/blob", Reply(BLOB))
    reply, body = mirrored.get("", whole_url=f"/v2/a/blobs/{DIGEST}", headers={"Authorization": "Basic eDp5"})
    assert (reply.status, body) == (200, BLOB) and reply.headers["Docker-Content-Digest"] == DIGEST
    sent = [(path, headers.get("Authorization")) for _, path, headers in origin.requests]
    assert [path.split("?")[0] for path, _ in sent] == [f"/v2/a/blobs/{DIGEST}", "/token", f"/v2/a/blobs/{DIGEST}", "/cdn/blob"]
    assert [authorization for _, authorization in sent] == [None, None, "Bearer let-me-in", None]
    again, body = mirrored.get("", whole_url=f"/v2/a/blobs/{DIGEST}?ns=docker.io")
    assert body == BLOB and again.headers["Cache-Status"] == "davit; hit" and len(origin.requests) == 4


def serve_image(origin, name):
    """Of two platforms, with a layer that both have, and an attestation. The paths of one platform."""
    def put(kind, body, **headers):
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        path = f"/v2/{name}/{kind}/{digest}"
        origin.serve(path, Reply(body, **headers))
        return {"digest": digest, "size": len(body)}, path

    def put_platform(architecture, layers):
        config, config_path = put("blobs", architecture.encode())
        manifest, path = put("manifests", json.dumps({"config": config, "layers": [layer for layer, _ in layers]}).encode())
        platform = {"os": "linux", "architecture": architecture}
        return {**manifest, "platform": platform}, [path, config_path, *(path for _, path in layers)]

    shared, own, other = (put("blobs", os.urandom(100_000)) for _ in range(3))
    amd64, paths = put_platform("amd64", [shared, own])
    arm64, others = put_platform("arm64", [shared, other])
    attestation, _ = put_platform("unknown", [])
    index = json.dumps({"manifests": [amd64, arm64, attestation]}).encode()
    listed, index_path = put("manifests", index)
    origin.serve(f"/v2/{name}/manifests/1", Reply(index, Docker_Content_Digest=listed["digest"]))
    return [index_path, *paths], [index_path, *others]


def test_what_is_fetched_ahead(mirrored, origin, tmp_path):
    """Of an image all that its platform has, each once; URLs; and what cannot be had is named."""
    of_amd64, of_arm64 = serve_image(origin, "library/boat")
    own = f"127.0.0.1:{origin.port}"
    origin.serve("/boat.tgz", Reply(b"boat", Cache_Control="max-age=600"))
    origin.serve("/a/-/a-1.0.0.tgz", Reply(b"package"))
    origin.serve("/v2/library/dinghy/manifests/1", Reply(b"{}", status=404))
    davit = mirrored.davit
    done = davit.cli("mirror", "fetch", "--platform", "linux/amd64", "boat:1", f"http://{own}/boat.tgz", f"/npm/{own}/a/-/a-1.0.0.tgz")
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("7 of 7, "), done
    assert all(origin.count(path) == 1 for path in of_amd64)
    assert sum(origin.count(path) for path in of_arm64) == 2  # the index, and the layer that both have
    for path, body in [(f"/npm/{own}/a/-/a-1.0.0.tgz", b"package"), (f"/generic/{own}/boat.tgz", b"boat")]:
        reply, got = mirrored.get("", whole_url=path)
        assert got == body and reply.headers["Cache-Status"] == "davit; hit"
    names = tmp_path / "names"
    names.write_text("# of our jobs\n\nboat:1\ndinghy:1\n")
    done = davit.cli("mirror", "fetch", "--platform", "all", "--file", str(names))
    assert done.returncode == 1 and done.stderr == "davit: dinghy:1: 404 Not Found\n"
    assert all(origin.count(path) == 1 for path in {*of_amd64, *of_arm64})
    assert davit.cli("mirror", "fetch", "--platform", "linux/s390x", "boat:1").stderr == "davit: boat:1: the image is not there for that platform\n"
    assert davit.cli("mirror", "fetch", "Boat:1").returncode == 1
    assert davit.ask("GET", "/api/v1/mirror/fetch/77").status == 404


def test_what_is_not_for_everybody_is_unknown(mirrored, origin):
    origin.serve("/v2/private/manifests/1", Reply(b"{}", status=401, WWW_Authenticate="Basic realm=x"))
    reply, body = mirrored.get("", whole_url="/v2/private/manifests/1")
    assert reply.status == 404 and json.loads(body)["errors"][0]["code"] == "MANIFEST_UNKNOWN"
    reply, _ = mirrored.get("", whole_url="/v2/example.org/a/manifests/1")
    assert reply.status == 404
    assert mirrored.get("", whole_url="/v2/a/blobs/uploads/", method="POST")[0].status in (404, 405)


@pytest.mark.parametrize("digest", [DIGEST, "sha512:" + hashlib.sha512(BLOB).hexdigest()], ids=["sha256", "sha512"])
def test_wrong_bytes(mirrored, origin, digest):
    """Nobody gets the end of a body that is not what was asked for, and it is not kept."""
    wrong = BLOB[:-1] + bytes([BLOB[-1] ^ 1])
    origin.serve(f"/v2/a/blobs/{digest}", Reply(wrong), Reply(BLOB))
    connection, reply = mirrored.open("", whole_url=f"/v2/a/blobs/{digest}")
    with pytest.raises(Exception):
        reply.read()
    connection.close()
    for expected in ["davit; fwd=miss", "davit; hit"]:
        reply, body = mirrored.get("", whole_url=f"/v2/a/blobs/{digest}")
        assert body == BLOB and reply.headers["Docker-Content-Digest"] == digest and reply.headers["Cache-Status"] == expected


@pytest.mark.parametrize("is_right", [True, False])
def test_a_blob_goes_on_after_a_kill(mirrored, origin, is_right):
    """All of it has to prove right, also what the process before has stored; what does not is fetched anew."""
    blob = os.urandom(3_000_000)
    url = f"/v2/a/blobs/sha256:{hashlib.sha256(blob).hexdigest()}"
    origin.serve(url, Reply(blob, hold=2_000_000), Reply(blob))
    connection, reply = mirrored.open("", whole_url=url)
    reply.read(1_900_000)
    mirrored.davit.kill()
    connection.close()
    origin.released.set()
    (note,) = glob.glob(os.path.join(mirrored.davit.state, "mirror", "drafts", "*", "*.part"))
    draft = note.removesuffix(".part")
    have = os.path.getsize(draft)
    if not is_right:
        with open(draft, "r+b") as file:
            file.write(bytes([blob[0] ^ 1]))
    mirrored.restart()
    if not is_right:
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            mirrored.get("", whole_url=url)
    assert mirrored.get("", whole_url=url)[1] == blob
    wanted = [headers.get("Range") for _, _, headers in origin.requests]
    assert wanted == [None, f"bytes={have}-"] + ([] if is_right else [None])
    mirrored.davit.stop()


def test_tags_and_rate_limits(mirrored, origin):
    """HEAD asks for what a tag is at, and is not asked again for a while; 429 is not passed on."""
    manifest = b'{"schemaVersion": 2}'
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    kind = {"Content_Type": "application/vnd.oci.image.manifest.v1+json", "Docker_Content_Digest": digest}
    origin.serve("/v2/a/manifests/latest", Reply(manifest, **kind), Reply(b"slow down", status=429))
    origin.serve(f"/v2/a/manifests/{digest}", Reply(manifest, **kind))
    for _ in range(3):
        head, _ = mirrored.get("", whole_url="/v2/a/manifests/latest", method="HEAD")
        assert head.headers["Docker-Content-Digest"] == digest and head.headers["Content-Length"] == str(len(manifest))
        assert mirrored.get("", whole_url="/v2/a/manifests/latest")[1] == manifest
    assert [(method, path.split("/")[-1]) for method, path, _ in origin.requests] == [("HEAD", "latest"), ("GET", digest)]
    accept = origin.requests[0][2]["Accept"]
    assert "oci.image.index.v1" in accept and origin.requests[0][2]["Accept-Encoding"] == "identity"
    stale, body = mirrored.get("", whole_url="/v2/a/manifests/latest", headers={"Cache-Control": "no-cache"})
    assert stale.status == 200 and body == manifest
    origin.serve("/v2/a/tags/list", Reply(b"slow down", status=429))
    limited, body = mirrored.get("", whole_url="/v2/a/tags/list")
    assert limited.status == 503 and json.loads(body)["errors"][0]["code"] == "UNAVAILABLE"
