"""What upstreams are spared: more than so many requests at a time, any while they do not answer, and what can wait while
they have little left to give. (doc/mirror.md, Upstreams)"""

import hashlib
import os
import socket
import subprocess
import time

import forge
from origin import Origin, Reply
from test_mirror import BODY, HALF, LASTING, Mirrored, ended, in_threads
from test_mirror_registry import InFrontOf


def shown(mirrored):
    """What the status says of the origin."""
    listed = mirrored.davit.api("GET", "/mirror")["upstreams"]
    return next((u for u in listed if u["url"] == f"http://127.0.0.1:{mirrored.origin.port}"), None)


def test_so_many_at_a_time(make_davit, origin):
    mirrored = Mirrored(make_davit, origin, upstreams=[{"host": f"127.0.0.1:{origin.port}", "private": True, "clear": True, "requests": 2}])
    for i in range(5):
        origin.serve(f"/{i}", Reply(b"0123456789", hold=5, **LASTING))
    threads, results = in_threads([lambda i=i: mirrored.get(f"/{i}") for i in range(5)])
    assert origin.held.wait(60)
    mirrored.wait_metric(f'davit_mirror_upstream_waiting{{upstream="http://127.0.0.1:{origin.port}"}} 3\n')
    assert len(origin.requests) <= 2 and shown(mirrored)["active"] == 2
    origin.released.set()
    ended(threads)
    assert all(body == b"0123456789" for _, body in results) and shown(mirrored)["waiting"] == 0
    mirrored.davit.stop()


def test_one_that_does_not_answer_is_left_alone(make_davit, origin):
    """What is stored is served at once, all else fails at once; after a while one request finds out that it is there again."""
    mirrored = Mirrored(make_davit, origin)
    origin.serve("/index", Reply(b"index", ETag='"two"'))
    assert mirrored.get("/index")[1] == b"index"
    origin.stop()
    for i in range(5):
        assert mirrored.get(f"/{i}")[0].status == 502
    refused, body = mirrored.get("/6")
    assert refused.status == 503 and b"did not answer 5 times in a row" in body
    assert mirrored.get("/index")[1] == b"index"
    assert shown(mirrored)["state"] == "away" and shown(mirrored)["failures"] == 5
    assert "away" in mirrored.davit.cli("mirror", "status").stdout
    mirrored.davit.log.wait("is left alone for a while")
    origin.start()
    origin.serve("/6", Reply(b"six"))
    deadline = time.monotonic() + 60
    while mirrored.get("/6")[1] != b"six":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert shown(mirrored)["state"] == "up"
    mirrored.davit.stop()


def test_what_had_begun_goes_on(make_davit, origin):
    """Six bodies break off at once, which is enough to leave their server alone; they are asked for again all the same."""
    mirrored = Mirrored(make_davit, origin)
    for i in range(6):
        origin.serve(f"/{i}", Reply(BODY, hold=HALF, **LASTING), Reply(BODY, **LASTING))
    opened = [mirrored.open(f"/{i}") for i in range(6)]
    assert all(reply.read(HALF) == BODY[:HALF] for _, reply in opened)
    origin.stop()
    mirrored.davit.log.wait("is left alone for a while")
    origin.start()
    assert all(reply.read() == BODY[HALF:] for _, reply in opened)
    for connection, _ in opened:
        connection.close()
    mirrored.davit.stop()


def test_what_a_registry_still_allows(make_davit, origin):
    mirrored = InFrontOf(make_davit, origin.port)
    mirrored.origin = origin
    manifest = b'{"schemaVersion": 2}'
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    kind = {"Content_Type": "application/vnd.oci.image.manifest.v1+json", "Docker_Content_Digest": digest, "RateLimit_Limit": "100;w=21600"}
    origin.serve("/v2/a/manifests/1", Reply(manifest, **kind, RateLimit_Remaining="50;w=21600"), Reply(manifest, **kind, RateLimit_Remaining="7;w=21600"))
    again = {"Cache-Control": "no-cache"}
    for source in ["fwd=miss", "fwd=miss", "hit; detail=stale"]:
        head, _ = mirrored.get("", whole_url="/v2/a/manifests/1", method="HEAD", headers=again)
        assert head.status == 200 and head.headers["Cache-Status"] == f"davit; {source}"
    assert origin.count("/v2/a/manifests/1") == 2
    assert "7 of 100 left" in mirrored.davit.cli("mirror", "status").stdout
    mirrored.wait_metric(f'davit_mirror_upstream_remaining{{upstream="http://127.0.0.1:{origin.port}"}} 7\n')
    origin.serve("/v2/b/manifests/1", Reply(manifest, **kind))
    assert mirrored.get("", whole_url="/v2/b/manifests/1", method="HEAD")[0].status == 200


def tunnel(mirrored, authority, early=b""):
    """The socket, and the head of the mirror's answer."""
    connection = socket.create_connection(("127.0.0.1", mirrored.port), timeout=60)
    connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode() + early)
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(1)
        assert more, head
        head += more
    return connection, head.decode()


def test_connect(make_davit, origin):
    """Bytes pass both ways, also those sent too early; where it may go is as for all requests; off it is refused."""
    body = os.urandom(3_000_000)
    origin.serve("/boat", Reply(body))
    off = Mirrored(make_davit, origin)
    assert tunnel(off, f"127.0.0.1:{origin.port}")[1].startswith("HTTP/1.1 501 ")
    off.davit.stop()
    mirrored = Mirrored(make_davit, origin, connect=True)
    request = b"GET /boat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for early, late in [(request, b""), (b"", request)]:
        connection, head = tunnel(mirrored, f"127.0.0.1:{origin.port}", early)
        assert head == "HTTP/1.1 200 OK\r\n\r\n"
        connection.sendall(late)
        with connection.makefile("rb") as file:
            assert file.read().endswith(b"\r\n\r\n" + body)
        connection.close()
    assert origin.count("/boat") == 2
    for authority, status in [("127.0.0.1:1", 403), ("other.example:443", 403), (f"localhost:{origin.port}", 403), ("localhost:443", 403)]:
        connection, head = tunnel(mirrored, authority)
        assert head.startswith(f"HTTP/1.1 {status} "), (authority, head)
        connection.close()
    mirrored.wait_metric("davit_mirror_tunnels 0")
    origin.stop()
    assert tunnel(mirrored, f"127.0.0.1:{origin.port}")[1].startswith("HTTP/1.1 502 ")


def test_connect_by_tls(make_davit, tmp_path):
    """curl speaks TLS with the upstream itself, and nothing of the mirror's comes between."""
    upstream = Origin(tls=forge.certificate(tmp_path))
    try:
        body = os.urandom(1_000_000)
        upstream.serve("/boat", Reply(body))
        mirrored = Mirrored(make_davit, upstream, connect=True)
        fetch = ["curl", "-sS", "--proxy", f"http://127.0.0.1:{mirrored.port}", f"https://127.0.0.1:{upstream.port}/boat"]
        done = subprocess.run([*fetch, "--cacert", tmp_path / "cert.pem"], capture_output=True, timeout=60)
        assert done.returncode == 0 and done.stdout == body, done.stderr
        assert not {"via", "x-forwarded-for"} & {name.lower() for name in upstream.requests[0][2]}
        done = subprocess.run(fetch, capture_output=True, timeout=60)  # which does not trust the certificate
        assert done.returncode == 60 and upstream.count("/boat") == 1
    finally:
        upstream.stop()
