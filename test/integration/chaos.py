"""A proxy that treats its connections badly, by a seed: the same seed gives the same plan for the n-th connection."""

import os
import random
import select
import socket
import struct
import threading

FAULTS = ["none", "delay", "drip", "half_close", "reset", "garbage", "freeze"]
BEFORE = 6000  # bytes of one direction: a fault comes within so many
FREEZE = 15  # seconds: longer than a client waits for an answer, shorter than a test does
PIECE = 65536


class Plan:
    """What becomes of one connection: the fault, in which direction and after how many bytes it comes."""

    def __init__(self, seed, number, faults):
        self.random = random.Random(f"{seed}.{number}")
        self.fault = self.random.choice(faults)
        self.to_client = self.random.random() < 0.7 or self.fault == "garbage"  # what a server takes for a command may do harm
        self.after = self.random.randrange(BEFORE)

    def __repr__(self):
        return f"{self.fault} {'to' if self.to_client else 'from'} the client after {self.after} bytes"


class Proxy:
    """Between a client and the server at target, a unix socket's path or (host, port). Listens at the path `at`, else at a
    port of 127.0.0.1. Faults only come between rage() and calm()."""

    def __init__(self, target, seed, at=None, faults=FAULTS):
        self.target, self.seed, self.faults = target, seed, faults
        self.journal = []
        self.raging = threading.Event()
        self.calmed = threading.Condition()
        self.open = set()
        self.listener = socket.socket(socket.AF_UNIX if at else socket.AF_INET)
        self.listener.bind(at or ("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = None if at else self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def rage(self):
        """From here on; what is connected is cut off, so that none is left without a plan."""
        self.raging.set()
        for connection in list(self.open):
            connection.end()

    def calm(self):
        self.raging.clear()
        with self.calmed:
            self.calmed.notify_all()

    def close(self):
        self.calm()
        self.listener.close()
        for connection in list(self.open):
            connection.end()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        server = socket.socket(socket.AF_UNIX if isinstance(self.target, (str, os.PathLike)) else socket.AF_INET)
        try:
            server.connect(self.target if isinstance(self.target, tuple) else os.fspath(self.target))
        except OSError:
            client.close()
            server.close()
            return
        plan = Plan(self.seed, len(self.journal), self.faults if self.raging.is_set() else ["none"])
        self.journal.append(plan)
        Connection(self, client, server, plan).run()


class Connection:
    def __init__(self, proxy, client, server, plan):
        self.proxy, self.client, self.server, self.plan = proxy, client, server, plan
        self.passed = {client: 0, server: 0}  # bytes that came from it
        self.reading = {client, server}

    def run(self):
        self.proxy.open.add(self)
        try:
            while self.reading:
                for source in select.select(list(self.reading), [], [])[0]:
                    self._pass(source, self.server if source is self.client else self.client)
        except (OSError, ValueError):  # ValueError: closed by end()
            pass
        finally:
            self.end()
            self.proxy.open.discard(self)

    def end(self):
        for peer in (self.client, self.server):
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            peer.close()

    def _pass(self, source, sink):
        data = source.recv(PIECE)
        if not data:
            self.reading.discard(source)
            sink.shutdown(socket.SHUT_WR)
            return
        left = self.plan.after - self.passed[source]
        self.passed[source] += len(data)
        due = self.plan.fault != "none" and (sink is self.client) == self.plan.to_client and left < len(data)
        if not due or not self.proxy.raging.is_set():
            sink.sendall(data)
            return
        sink.sendall(data[:max(left, 0)])
        getattr(self, "_" + self.plan.fault)(source, sink, data[max(left, 0):])

    def _wait(self, seconds):
        """Until then or until the proxy is calm."""
        with self.proxy.calmed:
            self.proxy.calmed.wait_for(lambda: not self.proxy.raging.is_set(), seconds)

    def _delay(self, source, sink, rest):
        self._wait(self.plan.random.uniform(0, 0.5))
        sink.sendall(rest)

    def _drip(self, source, sink, rest):
        if sink.family == socket.AF_INET:
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in rest[:2000]:
            sink.sendall(bytes([byte]))
        sink.sendall(rest[2000:])

    def _half_close(self, source, sink, rest):
        sink.shutdown(socket.SHUT_WR)
        self.reading.discard(source)

    def _reset(self, source, sink, rest):
        for peer in (self.client, self.server):
            if peer.family == socket.AF_INET:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError

    def _garbage(self, source, sink, rest):
        sink.sendall(self.plan.random.randbytes(self.plan.random.randrange(1, 300)))
        sink.sendall(rest)

    def _freeze(self, source, sink, rest):
        self._wait(FREEZE)
        sink.sendall(rest)
