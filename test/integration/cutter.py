"""A forwarder that lets requests through and cuts off their answers."""

import socket
import socketserver
import threading


class Cutter(socketserver.ThreadingTCPServer):
    """Of the requests that have `word` in them, the answers end after so many bytes each (negative: but for so many), one
    request after the other; what comes then passes."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port, word, *ends):
        super().__init__(("127.0.0.1", 0), Connection)
        self.port, self.word, self.ends = port, word.encode(), list(ends)
        self.requests = 0  # that had the word
        self.url = "http://127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Connection(socketserver.BaseRequestHandler):
    cut = None  # where the next answer ends

    def handle(self):
        self.davit = socket.create_connection(("127.0.0.1", self.server.port))
        answers = threading.Thread(target=self.until_broken, args=(self.answers,), daemon=True)
        answers.start()
        self.until_broken(self.requests)
        answers.join()
        self.davit.close()

    def until_broken(self, what):
        try:
            what()
        except OSError:
            pass
        for peer in (self.request, self.davit):
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self):
        while data := self.request.recv(65536):
            if self.server.word in data:
                self.server.requests += 1
                self.cut = self.server.ends.pop(0) if self.server.ends else None
            self.davit.sendall(data)

    def answers(self):
        while data := self.davit.recv(65536):
            if self.cut is not None:
                self.request.sendall(data[:self.cut])
                return
            self.request.sendall(data)
