#!/usr/bin/python3
"""Takes what steps tell of themselves, one line a connection, and keeps it: the only witness outside of Davit that saw
which step ran when. Run by itself in a network namespace, since a job reaches no address of its host.
usage: effects.py ADDRESS PORT FILE"""

import socketserver
import sys
import time


class Taker(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        line = self.rfile.readline(500).decode(errors="replace").strip()
        if len(line.split()) != 5:
            return
        with open(sys.argv[3], "a") as file:
            file.write(f"{time.monotonic():.3f} {line}\n")
        self.wfile.write(b"ok\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with Server((sys.argv[1], int(sys.argv[2])), Taker) as server:
        print("listening", flush=True)
        server.serve_forever()
