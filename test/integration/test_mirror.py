"""The mirror with the real daemon: one request upstream for all, bodies that break off, kills, an origin that is away,
addresses that are out of bounds, a handover. (ARCHITECTURE.md, The mirror; doc/mirror.md)"""

import hashlib
import http.client
import os
import pathlib
import random
import socket
import subprocess
import threading
import time

import pytest

import forge
from origin import Reply
from server import IMAGE

BODY = random.Random(1).randbytes(3_000_000)
HALF = len(BODY) // 2
LASTING = {"Cache_Control": "max-age=3600", "ETag": '"one"'}


class Mirrored:
    """davitd with a mirror that may ask the origin."""

    def __init__(self, make_davit, origin, **options):
        rules = [{"host": f"127.0.0.1:{origin.port}", "private": True, "clear": True}, {"host": "localhost", "clear": True}]
        self.origin = origin
        self.davit = make_davit(mirror={"listen": ["127.0.0.1:0"], "upstreams": rules, **options})
        self.port = int(self.davit.log.wait(r"mirror on 127\.0\.0\.1:(\d+)").group(1))

    def open(self, path, method="GET", headers=None, whole_url=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, whole_url or f"/generic/127.0.0.1:{self.origin.port}{path}", headers=headers or {})
        return connection, connection.getresponse()

    def get(self, path, **how):
        connection, reply = self.open(path, **how)
        body = reply.read()
        connection.close()
        return reply, body

    def wait_filed(self, count):
        """Until so many bodies have their names: a client has its reply before."""
        folder = os.path.join(self.davit.state, "mirror", "objects")
        deadline = time.monotonic() + 60
        while True:
            found = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
            if len(found) == count:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.01)

    def wait_metric(self, line):
        deadline = time.monotonic() + 60
        while line not in self.davit.ask("GET", "/metrics").body.decode():
            assert time.monotonic() < deadline, line
            time.sleep(0.01)

    def restart(self):
        """At the same address, as a configuration would have it."""
        self.davit.start()
        self.port = int(self.davit.log.wait(r"mirror on 127\.0\.0\.1:(\d+)").group(1))


@pytest.fixture
def mirrored(make_davit, origin):
    return Mirrored(make_davit, origin)


def digest(body):
    return hashlib.sha256(body).hexdigest()


def in_threads(functions):
    results = [None] * len(functions)

    def run(i, function):
        results[i] = function()

    threads = [threading.Thread(target=run, args=(i, function)) for i, function in enumerate(functions)]
    for thread in threads:
        thread.start()
    return threads, results


def ended(threads):
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def asked(origin, path):
    """Range and If-Range of each request for it."""
    return [(headers.get("Range"), headers.get("If-Range")) for _, wanted, headers in origin.requests if wanted == path]


def test_one_request_serves_all(mirrored, origin):
    """Eight at once, one that joins in the middle, ranges behind and ahead of what has come: one request upstream."""
    origin.serve("/big", Reply(BODY, hold=HALF, **LASTING))
    threads, results = in_threads([lambda: mirrored.get("/big")] * 8)
    assert origin.held.wait(60)
    connection, reply = mirrored.open("/big")
    assert reply.read(HALF) == BODY[:HALF]
    behind, body = mirrored.get("/big", headers={"Range": "bytes=100-199"})
    assert (behind.status, body) == (206, BODY[100:200])
    assert behind.headers["Content-Range"] == f"bytes 100-199/{len(BODY)}"
    ahead, waits = mirrored.open("/big", headers={"Range": f"bytes={HALF + 1000}-"})
    assert waits.status == 206
    origin.released.set()
    assert waits.read() == BODY[HALF + 1000:]
    assert reply.read() == BODY[HALF:]
    ended(threads)
    assert {digest(body) for _, body in results} == {digest(BODY)}
    assert origin.count("/big") == 1
    again, body = mirrored.get("/big")
    assert body == BODY and again.headers["Cache-Status"] == "davit; hit" and origin.count("/big") == 1
    for wanted, expected in [("bytes=-5", BODY[-5:]), (f"bytes={len(BODY) - 2}-", BODY[-2:])]:
        part, body = mirrored.get("/big", headers={"Range": wanted})
        assert (part.status, body) == (206, expected)
    beyond, body = mirrored.get("/big", headers={"Range": f"bytes={len(BODY)}-"})
    assert beyond.status == 416 and beyond.headers["Content-Range"] == f"bytes */{len(BODY)}" and body == b""
    connection.close()
    ahead.close()


def test_a_range_far_ahead(mirrored, origin):
    """It does not wait for all that is in front of it, whether that is on its way or is first asked for now."""
    large = BODY * 7
    wanted = {"Range": "bytes=20000000-20000999"}
    for path in ("/coming", "/cold"):
        origin.held.clear()
        origin.released.clear()
        origin.serve(path, Reply(large, hold=HALF, **LASTING))
        connection = None
        if path == "/coming":
            connection, reply = mirrored.open(path)
            assert reply.read(HALF) == large[:HALF]
        part, body = mirrored.get(path, headers=wanted)
        assert (part.status, body) == (206, large[20000000:20001000])
        assert part.headers["Content-Range"] == f"bytes 20000000-20000999/{len(large)}"
        origin.released.set()
        if connection:
            assert reply.read() == large[HALF:]
            connection.close()
        assert mirrored.get(path)[1] == large, path
        assert sorted(asked(origin, path), key=str) == [("bytes=20000000-20000999", None), (None, None)]


def test_who_leaves_loses_nothing_for_others(mirrored, origin):
    origin.serve("/left", Reply(BODY, hold=HALF, **LASTING))
    connection, reply = mirrored.open("/left")
    reply.read(1000)
    connection.close()
    origin.released.set()
    mirrored.wait_filed(1)
    assert mirrored.get("/left")[1] == BODY and origin.count("/left") == 1


def test_requests_one_behind_the_other(mirrored, origin):
    """As apt sends them: answered in their order, whichever is there first."""
    origin.serve("/stored", Reply(b"stored", **LASTING))
    origin.serve("/new", Reply(b"new", **LASTING))
    mirrored.get("/stored")
    base = f"http://127.0.0.1:{origin.port}"
    text = "".join(f"GET {base}{path} HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n\r\n" for path in ["/new", "/stored"] * 5)
    with socket.create_connection(("127.0.0.1", mirrored.port), timeout=60) as client:
        client.sendall(text.encode())
        reader = client.makefile("rb")
        bodies = []
        for _ in range(10):
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = http.client.parse_headers(reader)
            bodies.append(reader.read(int(headers["Content-Length"])))
    assert bodies == [b"new", b"stored"] * 5
    assert origin.count("/new") == 1 and origin.count("/stored") == 1
    same, body = mirrored.get("/stored", headers={"If-None-Match": '"one"'})
    assert (same.status, body) == (304, b"")
    head, body = mirrored.get("/stored", method="HEAD")
    assert (head.status, head.headers["Content-Length"], body) == (200, "6", b"")
    mirrored.wait_filed(2)
    for wanted, part in [("bytes=0-", b"stored"), ("bytes=1-3", b"tor"), ("bytes=-2", b"ed")]:
        reply, body = mirrored.get("/stored", headers={"Range": wanted})
        assert (reply.status, body) == (206, part), wanted


def test_small_bodies_for_a_slow_reader(mirrored, origin):
    """More of them than the kernel keeps for a client that does not read yet."""
    small, count = BODY[:16 * 1024], 600
    origin.serve("/small", Reply(small, **LASTING))
    mirrored.get("/small")
    mirrored.wait_filed(1)
    text = f"GET /generic/127.0.0.1:{origin.port}/small HTTP/1.1\r\nHost: a\r\n\r\n" * count
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.settimeout(60)
        client.connect(("127.0.0.1", mirrored.port))
        client.sendall(text.encode())
        reader = client.makefile("rb")
        for _ in range(count):
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            assert reader.read(int(http.client.parse_headers(reader)["Content-Length"])) == small


def test_a_body_that_breaks_off_is_continued(mirrored, origin):
    origin.serve("/cut", Reply(BODY, cut=HALF, **LASTING), Reply(BODY, cut=1000, **LASTING), Reply(BODY, **LASTING))
    reply, body = mirrored.get("/cut")
    assert reply.status == 200 and digest(body) == digest(BODY)
    assert [request[2].get("Range") for request in origin.requests] == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert all(request[2].get("If-Range") == '"one"' for request in origin.requests[1:])
    _, body = mirrored.get("/cut")
    assert digest(body) == digest(BODY) and origin.count("/cut") == 3
    assert "davit_mirror_resumed_total 2\n" in mirrored.davit.ask("GET", "/metrics").body.decode()


def test_other_bytes_are_no_rest(mirrored, origin):
    """The object has changed meanwhile: the client must not take what it has for whole, and nothing of it is kept."""
    other = Reply(BODY[::-1], Cache_Control="max-age=3600", ETag='"two"')
    origin.serve("/changed", Reply(BODY, cut=HALF, **LASTING), other)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        mirrored.get("/changed")
    _, body = mirrored.get("/changed")
    assert digest(body) == digest(BODY[::-1])


def killed_at_half(mirrored, origin, path, *replies):
    """The replies are for those who ask after the kill."""
    origin.serve(path, Reply(BODY, hold=HALF, **LASTING), *replies)
    connection, reply = mirrored.open(path)
    reply.read(HALF)
    mirrored.davit.kill()
    connection.close()
    origin.released.set()


def test_kill_in_the_midst(mirrored, origin):
    """What was whole is served after the kill without a word to the origin, what was not goes on where it was."""
    origin.serve("/whole", Reply(BODY, **LASTING))
    mirrored.get("/whole")
    mirrored.wait_filed(1)
    killed_at_half(mirrored, origin, "/half", Reply(BODY, **LASTING))
    mirrored.restart()
    threads, results = in_threads([lambda: mirrored.get("/half")] * 3)
    ended(threads)
    assert {digest(body) for _, body in results} == {digest(BODY)}
    assert asked(origin, "/half") == [(None, None), (f"bytes={HALF}-", '"one"')]
    assert digest(mirrored.get("/whole")[1]) == digest(BODY) and origin.count("/whole") == 1
    mirrored.wait_filed(2)
    mirrored.davit.stop()
    drafts = os.path.join(mirrored.davit.state, "mirror", "drafts")
    (own,) = os.listdir(drafts)
    assert os.listdir(os.path.join(drafts, own)) == []


def note_of(mirrored, path):
    """That of a part; the kill may have left one of a body that was just filed, too."""
    notes = pathlib.Path(mirrored.davit.state, "mirror", "drafts").glob("*/*.part")
    (found,) = [note for note in notes if path in note.read_bytes()]
    return found


def test_what_cannot_be_continued(mirrored, origin):
    """Other bytes by now, an upstream that says nothing of them, bytes that a kernel took which runs no more, what was
    purged."""
    other = BODY[::-1]
    killed_at_half(mirrored, origin, "/changed", Reply(other, ETag='"two"', Cache_Control="max-age=3600"))
    mirrored.restart()
    assert digest(mirrored.get("/changed")[1]) == digest(other) and asked(origin, "/changed")[1:] == [(f"bytes={HALF}-", '"one"')]
    origin.released.clear()
    killed_at_half(mirrored, origin, "/away", Reply(b"no", status=503), Reply(BODY, **LASTING))
    mirrored.restart()
    assert mirrored.get("/away")[0].status == 503
    assert digest(mirrored.get("/away")[1]) == digest(BODY) and asked(origin, "/away")[2] == (f"bytes={HALF}-", '"one"')
    origin.released.clear()
    killed_at_half(mirrored, origin, "/boot", Reply(BODY, **LASTING))
    note = note_of(mirrored, b"/boot")
    note.write_bytes(b"0" * 36 + note.read_bytes()[36:])
    mirrored.restart()
    assert digest(mirrored.get("/boot")[1]) == digest(BODY) and asked(origin, "/boot")[1:] == [(None, None)]
    origin.released.clear()
    killed_at_half(mirrored, origin, "/purged", Reply(BODY, **LASTING))
    mirrored.restart()
    mirrored.davit.cli("mirror", "purge", f"http://127.0.0.1:{origin.port}/purged")
    assert digest(mirrored.get("/purged")[1]) == digest(BODY) and asked(origin, "/purged")[1:] == [(None, None)]
    mirrored.davit.stop()


def test_a_file_that_is_gone_is_fetched_again(mirrored, origin):
    origin.serve("/lost", Reply(BODY, **LASTING))
    mirrored.get("/lost")
    (path,) = mirrored.wait_filed(1)
    mirrored.davit.stop()
    with open(path, "r+b") as file:
        file.truncate(HALF)
    mirrored.restart()
    _, body = mirrored.get("/lost")
    assert digest(body) == digest(BODY) and origin.count("/lost") == 2


def test_origin_away(mirrored, origin):
    origin.serve("/old", Reply(b"old", Cache_Control="max-age=0", ETag='"one"'))
    origin.serve("/strict", Reply(b"strict", Cache_Control="max-age=0, must-revalidate"))
    for path in ["/old", "/strict"]:
        assert mirrored.get(path)[0].status == 200
    confirmed, body = mirrored.get("/old")
    assert body == b"old" and confirmed.headers["Cache-Status"] == "davit; hit; detail=confirmed"
    origin.stop()
    stale, body = mirrored.get("/old")
    assert (stale.status, body, stale.headers["Cache-Status"]) == (200, b"old", "davit; hit; detail=stale")
    assert mirrored.get("/strict")[0].status == 502
    assert mirrored.get("/never")[0].status == 502
    origin.start()
    origin.serve("/old", Reply(b"slow down", status=429))
    assert mirrored.get("/old")[1] == b"old"


def test_addresses_out_of_bounds(mirrored, origin):
    """A name that leads to this machine, at once or by a redirect, and hosts that are on no list."""
    origin.serve("/secret", Reply(b"secret"))
    origin.serve("/leads", Reply(status=302, Location=f"http://localhost:{origin.port}/secret"))
    origin.serve("/unlisted", Reply(status=302, Location=f"http://127.0.0.2:{origin.port}/secret"))
    own = f"/generic/localhost:{origin.port}/secret"
    for url in [own, f"http://localhost:{origin.port}/secret"]:
        reply, body = mirrored.get("", whole_url=url)
        assert reply.status == 403 and b"private or special network" in body
    reply, body = mirrored.get("", whole_url=f"http://127.0.0.2:{origin.port}/secret")
    assert reply.status == 403 and b"not among the mirror's upstreams" in body
    for path in ["/leads", "/unlisted"]:
        reply, body = mirrored.get("", whole_url=f"/apt/127.0.0.1:{origin.port}{path}")
        assert reply.status == 403 and b"private or special network" in body, path
    assert origin.count("/secret") == 0


def test_room_is_bounded(make_davit, origin):
    mirrored = Mirrored(make_davit, origin, size="2M")
    part = BODY[:900_000]
    for i in range(4):
        origin.serve(f"/{i}", Reply(part, **LASTING))
        assert mirrored.get(f"/{i}")[1] == part
        mirrored.wait_metric(f"davit_mirror_evicted_total {max(i - 1, 0)}\n")
        mirrored.wait_metric(f"davit_mirror_stored_bytes {min(i + 1, 2) * len(part)}\n")
    mirrored.get("/0")
    assert origin.count("/0") == 2 and origin.count("/3") == 1


def test_no_client_decides_what_others_get(mirrored, origin):
    """Neither by a body, nor by headers that some servers make another URL of."""
    origin.serve("/a", Reply(b"a", **LASTING))
    origin.serve("/dists/a", Reply(b"a", **LASTING))
    headers = {"X-Forwarded-Host": "evil.example", "X-Original-URL": "/b", "Forwarded": "host=evil.example", "Foo": "1", "Accept": "text/x"}
    connection = http.client.HTTPConnection("127.0.0.1", mirrored.port, timeout=60)
    for path in [f"/generic/127.0.0.1:{origin.port}/a", f"/apt/127.0.0.1:{origin.port}/dists/a"]:
        connection.request("GET", path, body=b"evil", headers=headers)
        assert connection.getresponse().read() == b"a"
    connection.close()
    generic, apt = [{name.lower(): value for name, value in sent.items()} for _, _, sent in origin.requests]
    for sent in (generic, apt):
        assert not {"x-forwarded-host", "x-original-url", "forwarded", "content-length"} & set(sent) and sent["accept"] == "text/x"
    assert generic["foo"] == "1" and "foo" not in apt


def test_what_others_ask_in_other_words(mirrored, origin):
    """The reply to a POST that says that it is what a GET gets, and for how long; a reply in the language wanted most."""
    lasting = {"Cache_Control": "max-age=3600"}
    whole = f"http://127.0.0.1:{origin.port}/named"
    for path, headers in [("/plain", lasting), ("/other", {**lasting, "Content_Location": "/plain"}), ("/brief", {"Content_Location": "/brief"}),
                          ("/named", {**lasting, "Content_Location": whole})]:
        origin.serve(path, Reply(b"posted", **headers), Reply(b"got"))
        assert mirrored.get(path, method="POST")[1] == b"posted"
        assert mirrored.get(path)[1] == (b"posted" if path == "/named" else b"got"), path

    origin.serve("/worded", Reply(b"Wort", Vary="Accept-Language", Content_Language="de", **lasting), Reply(b"mot"))
    for asked, word in [("en, de", b"Wort"), ("fr;q=0.5, de", b"Wort"), ("fr", b"mot")]:
        assert mirrored.get("/worded", headers={"Accept-Language": asked})[1] == word, asked
    assert origin.count("/worded") == 2


def test_a_full_disk(mirrored, origin):
    """What has no room is passed on, at the pace of the slowest who reads it, and what was stored stays."""
    folder = os.path.join(mirrored.davit.state, "mirror")
    mirrored.davit.stop()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", folder], check=True)
    try:
        mirrored.restart()
        large = BODY * 5
        origin.serve("/fits", Reply(BODY, **LASTING))
        origin.serve("/large", Reply(large, **LASTING))
        mirrored.get("/fits")
        mirrored.wait_filed(1)
        slow, reply = mirrored.open("/large")
        assert reply.read(1000) == large[:1000]
        assert reply.read() == large[1000:]
        slow.close()
        assert mirrored.get("/large")[1] == large and origin.count("/large") == 2
        assert mirrored.get("/fits")[1] == BODY and origin.count("/fits") == 1
        mirrored.davit.stop()
    finally:
        mirrored.davit.end()
        subprocess.run(["umount", "-l", folder], check=True)


def test_status(mirrored, origin):
    origin.serve("/a", Reply(BODY, **LASTING))
    for _ in range(2):
        mirrored.get("/a")
    mirrored.wait_filed(1)
    mirrored.wait_metric(f"davit_mirror_stored_bytes {len(BODY)}\n")
    status = mirrored.davit.api("GET", "/mirror")
    assert status["addresses"] == [f"127.0.0.1:{mirrored.port}"] and status["objects"] == 1 and status["bytes"] == len(BODY)
    assert (status["hits"], status["misses"], status["upstream_requests"]) == (1, 1, 1)
    done = mirrored.davit.cli("mirror", "status")
    assert done.returncode == 0 and "replies     2, 50 % from here (0 stale); 0 errors" in done.stdout


def test_handover(mirrored, origin):
    """The older process ends what it has begun; who comes meanwhile waits, and finds what was stored."""
    origin.serve("/stored", Reply(BODY, **LASTING))
    origin.serve("/slow", Reply(BODY, hold=HALF, **LASTING))
    mirrored.get("/stored")
    mirrored.wait_filed(1)
    connection, reply = mirrored.open("/slow")
    reply.read(HALF)
    reloading = threading.Thread(target=mirrored.davit.reload)
    reloading.start()
    mirrored.davit.log.wait(r"serving in the place of the older davitd")
    threads, results = in_threads([lambda: mirrored.get("/stored")])
    origin.released.set()
    assert reply.read() == BODY[HALF:]
    connection.close()
    reloading.join(60)
    ended(threads)
    assert results[0][1] == BODY and origin.count("/stored") == 1
    mirrored.davit.stop()


def test_pins(make_davit, origin):
    """What is pinned does not give way, and is on record."""
    mirrored = Mirrored(make_davit, origin, size=1 << 20)
    davit = mirrored.davit
    upstream = f"http://127.0.0.1:{origin.port}"
    for name in "abc":
        origin.serve(f"/{name}", Reply(name.encode() * 500_000, **LASTING))
    mirrored.get("/a")
    assert davit.cli("mirror", "pin", upstream + "/a").returncode == 0
    assert davit.cli("mirror", "pin", "/a").returncode == 1
    mirrored.get("/b")
    mirrored.get("/c")
    mirrored.wait_filed(2)
    davit.kill()
    mirrored.restart()
    assert davit.cli("mirror", "pins").stdout == upstream + "/a\n"
    mirrored.get("/b")
    mirrored.wait_filed(2)
    assert mirrored.get("/a")[0].headers["Cache-Status"] == "davit; hit" and origin.count("/a") == 1
    assert davit.cli("mirror", "unpin", upstream + "/a").returncode == 0
    assert davit.cli("mirror", "pins").stdout == ""
    assert davit.cli("mirror", "unpin", upstream + "/a").returncode == 1


def test_purge(make_davit, origin):
    mirrored = Mirrored(make_davit, origin)
    davit, upstream = mirrored.davit, f"http://127.0.0.1:{origin.port}"
    for path in ("/a/1", "/a/2", "/b"):
        origin.serve(path, Reply(b"body", **LASTING))
        mirrored.get(path)
    mirrored.wait_filed(3)
    assert davit.cli("mirror", "purge", upstream + "/a/").stdout == "2 replies are gone\n"
    mirrored.wait_filed(1)
    for path, count in (("/a/1", 2), ("/a/2", 2), ("/b", 1)):
        assert mirrored.get(path)[1] == b"body" and origin.count(path) == count
    assert davit.cli("mirror", "purge", upstream).stdout == "3 replies are gone\n"
    refused = davit.cli("mirror", "purge", "/a/")
    assert refused.returncode == 1 and "https://HOST/ at least" in refused.stderr
    davit.kill()
    mirrored.restart()
    assert mirrored.get("/b")[1] == b"body" and origin.count("/b") == 2, "what was purged does not come back"


class ForJobs(Mirrored):
    """At an address that containers reach."""

    def __init__(self, make_davit, origin):
        self.origin, self.port = origin, forge.free_port()
        rules = [{"host": f"127.0.0.1:{origin.port}", "private": True, "clear": True}, {"host": "pypi.org"}, {"host": "*.debian.org"}]
        self.davit = make_davit(mirror={"listen": [f"0.0.0.0:{self.port}"], "upstreams": rules})


LOOK = f"""\
image: {IMAGE}
script:
  - echo "pip=${{PIP_INDEX_URL-none}} go=${{GOPROXY-none}} proxy=${{http_proxy-none}}"
  - grep -h Proxy ${{APT_CONFIG-/dev/null}} || echo no apt
"""


def log_of(davit, repo, text):
    number = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": text}), message=text)).json["build"]
    build = davit.wait_build(number)
    log = davit.job_log(f"{number}.1").decode()
    assert build["state"] == "passed", log
    return log


def test_jobs_reach_it_and_nothing_else(make_davit, repo, origin):
    origin.serve("/x", Reply(BODY, **LASTING))
    mirrored = ForJobs(make_davit, origin)
    davit = mirrored.davit
    davit.add_repo(repo)
    url = f"http://davit-mirror:3142/generic/127.0.0.1:{origin.port}/x"
    log = log_of(davit, repo, LOOK + f"""\
  - for i in 1 2 3 4 5 6; do wget -q -O - {url} | sha256sum & done; wait
  - "! wget -q -T 3 -O /dev/null http://davit-mirror:{mirrored.port}/"
  - gateway=$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'); ! nc -w 3 $gateway {mirrored.port} </dev/null
""")
    assert log.count(hashlib.sha256(BODY).hexdigest()) == 6 and len(origin.requests) == 1, log
    assert "pip=http://davit-mirror:3142/pypi/pypi.org/simple/ go=none proxy=none" in log
    assert 'Acquire::http::Proxy::deb.debian.org "http://davit-mirror:3142";' in log and "ubuntu" not in log


def test_jobs_may_do_without_it(make_davit, repo, origin):
    davit = ForJobs(make_davit, origin).davit
    davit.add_repo(repo)
    log = log_of(davit, repo, LOOK + "mirror: false\n")
    assert "pip=none" in log and "no apt" in log
    log = log_of(davit, repo, LOOK + "env: [PIP_INDEX_URL=own]\n")
    assert "pip=own" in log and "deb.debian.org" in log


def test_a_job_that_goes_on_keeps_its_way_to_it(make_davit, repo, origin, docker):
    origin.serve("/x", Reply(BODY, **LASTING))
    mirrored = ForJobs(make_davit, origin)
    davit = mirrored.davit
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"""\
image: {IMAGE}
script:
  - echo begun; until [ -e /tmp/go ]; do sleep 0.1; done
  - for i in 1 2 3 4 5; do wget -q -O - http://davit-mirror:3142/generic/127.0.0.1:{origin.port}/x && break; sleep 1; done | sha256sum
"""})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    davit.wait_build(number, {"running"})
    with davit.follow(f"{number}.1") as events:
        for event in events:
            if "begun" in event["data"]:
                break
    davit.kill()
    davit.start()
    davit.log.wait("engine .* is up")
    name = docker("ps", "--format", "{{.Names}}", "--filter", f"label=davit.job={number}.1").split()[0]
    node = docker("inspect", "--format", '{{index .Config.Labels "davit.node"}}', name)
    docker("exec", name, "touch", "/tmp/go")
    build = davit.wait_build(number)
    assert build["state"] == "passed" and build["jobs"][0]["attempt"] == 1, build
    assert hashlib.sha256(BODY).hexdigest() in davit.job_log(f"{number}.1").decode()
    davit.stop()
    assert docker("ps", "-aq", "--filter", f"label=davit.node={node}") == ""
