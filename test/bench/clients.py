"""Clients by the dozen, in one thread, so that none waits for another one's turn, and an origin in a process of its own."""

import contextlib
import hashlib
import multiprocessing
import os
import select
import socket
import time
import urllib.parse

from origin import Origin, Reply

ACCEPT = "application/vnd.oci.image.manifest.v1+json, */*"
PIECE = bytearray(1 << 20)


class Client:
    """One GET: when its body began and ended (s since its start), its status, its bytes."""

    def __init__(self, url, wanted=None, hashes=True, limit=None):
        parts = urllib.parse.urlsplit(url)
        self.head, self.status, self.length = b"", None, None
        self.got, self.first, self.last, self.first_at = 0, None, None, None
        self.hash = hashlib.sha256() if hashes else None
        self.limit = limit  # leaves behind so many bytes
        self.began = time.monotonic()
        self.socket = socket.create_connection((parts.hostname, parts.port))
        more = f"Range: {wanted}\r\n" if wanted else ""
        self.socket.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{more}Accept: {ACCEPT}\r\nConnection: close\r\n\r\n".encode())
        self.socket.setblocking(False)

    def take(self):
        """False: nothing more comes."""
        try:
            count = self.socket.recv_into(PIECE)
        except BlockingIOError:
            return True
        except ConnectionError:
            count = 0
        if count > 0:
            self.take_bytes(memoryview(PIECE)[:count])
        if count == 0 or self.got == self.length or (self.limit is not None and self.got >= self.limit):
            self.last = time.monotonic() - self.began
            self.socket.close()
            return False
        return True

    def take_bytes(self, piece):
        if self.status is None:
            self.head += piece
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            lines = head.decode("latin-1").split("\r\n")
            self.status = int(lines[0].split()[1])
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            self.length = int(headers["content-length"]) if "content-length" in headers else None
            piece = body
        if len(piece) == 0:
            return
        if self.first is None:
            self.first_at = time.monotonic()
            self.first = self.first_at - self.began
        self.got += len(piece)
        if self.hash:
            self.hash.update(piece)

    def has(self, body):
        return self.got == len(body) and self.hash.digest() == hashlib.sha256(body).digest()


class Crowd:
    def __init__(self):
        self.poll = select.epoll()
        self.running = {}

    def add(self, *how, **more):
        client = Client(*how, **more)
        self.running[client.socket.fileno()] = client
        self.poll.register(client.socket, select.EPOLLIN)
        return client

    def run(self, seconds, until=lambda: False):
        """True when all are done, or it is as it should be."""
        deadline = time.monotonic() + seconds
        while self.running and not until():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for fd, _ in self.poll.poll(min(left, 0.05)):
                if not self.running[fd].take():
                    del self.running[fd]
        return True

    def drop(self):
        for client in self.running.values():
            client.socket.close()
        self.running.clear()


def symmetric_port():
    """apt-cacher-ng 3.7 connects to ports with their two bytes exchanged."""
    for high in range(0x28, 0x7c):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", high << 8 | high))
            return high << 8 | high
    raise AssertionError("no port is free")


def serve_calls(pipe, log):
    """In the other process."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)  # of clients that left
    origin = Origin(host="0.0.0.0", port=symmetric_port())
    pipe.send(origin.port)
    while True:
        name, args = pipe.recv()
        if name == "serve":
            origin.serve(args[0], *[Reply(*body, **how) for body, how in args[1]])
            pipe.send(None)
        elif name == "asked":
            with origin.lock:
                pipe.send([(method, headers.get("Range")) for method, path, headers in origin.requests if path == args[0]])
        elif name == "begun":
            pipe.send(origin.begun.get(args[0]))
        elif name in ("start", "stop"):
            getattr(origin, name)()
            pipe.send(None)
        elif name == "release":
            pipe.send(origin.released.set())
        elif name == "otherwise":
            origin.otherwise = Reply(args[0], **args[1])
            pipe.send(None)
        else:
            return


class FarOrigin:
    """An Origin that shares no interpreter with its clients."""

    def __init__(self, folder):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=serve_calls, args=(theirs, f"{folder}/origin.log"), daemon=True)
        self.process.start()
        self.port = self.pipe.recv()

    def call(self, name, *args):
        self.pipe.send((name, args))
        return self.pipe.recv()

    def serve(self, path, *replies):
        """replies: (body, options of Reply)."""
        self.call("serve", path, [((body,), how) for body, how in replies])

    def serve_all(self, body, **how):
        """All paths that serve() has not named."""
        self.call("otherwise", body, how)

    def asked(self, path):
        """Method and Range of each request for it."""
        return self.call("asked", path)

    def begun(self, path):
        """When the first byte of its first body went out; time.monotonic()."""
        return self.call("begun", path)

    def release(self):
        """What is held back comes, now and later."""
        self.call("release")

    def start(self):
        self.call("start")

    def stop(self):
        self.call("stop")

    def end(self):
        self.pipe.send(("end", ()))
        self.process.join()
