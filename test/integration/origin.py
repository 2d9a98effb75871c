"""An upstream of the mirror: a real HTTP server, whose replies a test decides, holds back and cuts."""

import contextlib
import http.server
import socket
import sys
import threading
import time

STEP = 64 * 1024


class Pace:
    """So many bytes a second, for whoever takes a turn."""

    def __init__(self, rate):
        self.rate = rate
        self.lock = threading.Lock()
        self.due = 0.0

    def wait(self, count):
        with self.lock:
            now = time.monotonic()
            wait = max(0, self.due - now)
            self.due = max(self.due, now) + count / self.rate
        time.sleep(wait)


class Reply:
    """cut: the connection ends behind so many bytes; hold: the rest waits behind so many bytes for release(); rate: bytes
    a second for each who asks, or is_shared, for all together; delay: s before the
    reply; login: the value of Authorization that it is for."""

    def __init__(self, body=b"", status=200, cut=None, hold=None, rate=None, is_shared=False, delay=0, ranges=True, login=None,
                 **headers):
        self.body = body
        self.status = status
        self.cut = cut
        self.hold = hold
        self.rate = rate
        self.pace = Pace(rate) if is_shared else None
        self.delay = delay
        self.ranges = ranges
        self.login = login
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.server.origin.connections.add(self.connection)

    def finish(self):
        self.server.origin.connections.discard(self.connection)
        super().finish()

    def part(self, reply):
        """What of the body is asked for, as If-Range allows: status, first byte, the one behind the last, headers."""
        wanted, size = self.headers.get("Range", ""), len(reply.body)
        same = self.headers.get("If-Range") in (None, reply.headers.get("ETag"), reply.headers.get("Last-Modified"))
        if not reply.ranges or not wanted.startswith("bytes=") or not same:
            return reply.status, 0, size, {}
        start, last = wanted[6:].split("-")
        end = min(int(last) + 1, size) if last else size
        return 206, int(start), end, {"Content-Range": f"bytes {start}-{end - 1}/{size}"}

    def do_GET(self):
        origin = self.server.origin
        with origin.lock:
            origin.requests.append((self.command, self.path, dict(self.headers)))
            replies = origin.replies.get(self.path) or [origin.otherwise or Reply(status=404)]
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply.login not in (None, self.headers.get("Authorization")):
            reply = Reply(b"who are you?", status=401, WWW_Authenticate='Basic realm="origin"')
        if reply.headers.get("ETag") and self.headers.get("If-None-Match") == reply.headers["ETag"]:
            self.send_response(304)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            return
        time.sleep(reply.delay)
        status, start, end, more = self.part(reply)
        self.send_response(status)
        for name, value in {**reply.headers, **more, "Content-Length": str(end - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            origin.begun.setdefault(self.path, time.monotonic())
            self.send_body(reply, reply.body[start:end])

    do_HEAD = do_POST = do_GET

    def send_body(self, reply, body):
        if reply.cut is not None:
            self.wfile.write(body[:reply.cut])
            self.close_connection = True
        elif reply.hold is not None:
            self.wfile.write(body[:reply.hold])
            self.server.origin.held.set()
            assert self.server.origin.released.wait(60)
            self.wfile.write(body[reply.hold:])
        elif reply.rate is not None:
            self.send_slowly(body, reply.pace or Pace(reply.rate))
        else:
            self.wfile.write(body)

    def send_slowly(self, body, pace):
        for at in range(0, len(body), STEP):
            pace.wait(STEP)
            self.wfile.write(body[at:at + STEP])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # the mirror may ask for much at once

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # who leaves may do so
            super().handle_error(request, client_address)


class Origin:
    def __init__(self, host="127.0.0.1", port=0, otherwise=None, tls=None):
        """otherwise: the reply to all that serve() does not name; tls: a server's context, for https."""
        self.otherwise = otherwise
        self.tls = tls
        self.host = host
        self.lock = threading.Lock()
        self.requests = []
        self.replies = {}
        self.connections = set()
        self.begun = {}  # when the first byte of a path's first body went out
        self.held = threading.Event()
        self.released = threading.Event()
        self.server = None
        self.port = port
        self.start()

    def start(self):
        self.server = Server((self.host, self.port), Handler)
        self.server.origin = self
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.released.set()

    def serve(self, path, *replies):
        """One after the other; the last one from then on."""
        self.replies[path] = list(replies)

    def count(self, path):
        return len([1 for request in self.requests if request[1] == path])
