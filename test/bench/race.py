"""The race of mirrors: what each does while an object comes that many want, when its upstream breaks off, after a kill, and
without an upstream. An object of 40 MB, which the origin gives at 20 MB/s to each who asks. (doc/mirror.md)"""

import os
import time

from anchors import ANCHORS, Davit, DavitRegistry
from clients import Crowd, FarOrigin

SIZE, RATE = 40_000_000, 20_000_000
LASTING = {"Cache_Control": "max-age=3600", "Last_Modified": "Sun, 29 Nov 2026 10:00:00 GMT", "Content_Type": "application/octet-stream",
           "Accept_Ranges": "bytes"}
COLUMNS = ["8 clients: GETs, worst first byte", "joiner", "Range behind", "Range ahead", "cold Range", "cut at half",
           "client leaves", "kill -9 at half", "origin down"]


def lasting(body):
    return {**LASTING, "ETag": f'"{hash(body):x}"'}


class Race:
    def __init__(self, origin, mirror):
        self.origin, self.mirror, self.crowd = origin, mirror, Crowd()

    def object(self, name, **how):
        """A new one at the origin: its bytes, where it is asked for upstream, and of the mirror."""
        body = os.urandom(SIZE)
        path = self.mirror.path(name, body)
        self.origin.serve(path, (body, {**lasting(body), **how}))
        return body, path, self.mirror.url(path)

    def gets(self, path):
        return [wanted for method, wanted in self.origin.asked(path) if method == "GET"]

    def ms(self, client):
        return "never" if client.first is None else f"{client.first * 1000:.0f} ms"

    def part(self, client, expected):
        whole = "" if client.has(expected) else f", {client.got} bytes" if client.status != 206 else ", WRONG"
        return f"{client.status} after {self.ms(client)}{whole}"

    def together(self):
        """Four columns: eight at once, one that joins after a second, two parts that are wanted then."""
        body, path, url = self.object("cold", rate=RATE)
        clients = [self.crowd.add(url) for _ in range(8)]
        began = time.monotonic()
        self.crowd.run(10, lambda: time.monotonic() > began + 1)
        joiner = self.crowd.add(url)
        behind = self.crowd.add(url, wanted="bytes=1000000-1999999")
        ahead = self.crowd.add(url, wanted="bytes=38000000-38999999")
        self.crowd.run(60)
        self.crowd.drop()
        gets = self.gets(path)
        whole = all(client.has(body) for client in [*clients, joiner])
        worst = max((client.first or 60 for client in clients)) * 1000
        own = len([wanted for wanted in gets if wanted and wanted.startswith("bytes=38000000-")])
        return [f"{len(gets) - own}, {worst:.0f} ms" + ("" if whole else ", NOT WHOLE"), self.ms(joiner),
                self.part(behind, body[1000000:2000000]), self.part(ahead, body[38000000:39000000])]

    def cold_range(self):
        body, path, url = self.object("range", rate=RATE)
        client = self.crowd.add(url, wanted="bytes=20000000-20999999")
        self.crowd.run(30)
        self.crowd.drop()
        return f"{self.part(client, body[20000000:21000000])}, {len(self.gets(path))} GETs"

    def cut(self):
        """Each connection ends behind so many bytes: what is asked for from 0 on never comes whole."""
        body, path, url = self.object("cut", cut=SIZE // 2)
        client = self.crowd.add(url)
        self.crowd.run(30)
        self.crowd.drop()
        gets = self.gets(path)
        if client.has(body):
            return f"identical, by {gets[-1]}"
        return f"{client.got - SIZE // 2:+} bytes" if client.got != SIZE else "WRONG BYTES"

    def leaves(self):
        """Whether the fetch goes on, by what the next one makes the mirror ask."""
        body, path, url = self.object("leaves", rate=RATE)
        self.crowd.add(url, limit=SIZE // 10)
        self.crowd.run(30)
        time.sleep(SIZE / RATE + 0.5)  # the rest would have come by now
        client = self.crowd.add(url)
        self.crowd.run(30)
        self.crowd.drop()
        more = self.gets(path)[1:]
        return ("goes on" if not more else f"asks again: {more[0]}") + ("" if client.has(body) else ", WRONG")

    def kill(self):
        body, path, url = self.object("kill", rate=RATE)
        client = self.crowd.add(url)
        self.crowd.run(30, lambda: client.got >= SIZE // 2)
        self.mirror.kill()
        self.crowd.drop()
        self.mirror.start()
        client = self.crowd.add(self.mirror.url(path))
        self.crowd.run(30)
        self.crowd.drop()
        more = self.gets(path)[1:]
        return f"asks {(more or ['nothing'])[0] or 'from 0'}, " + ("identical" if client.has(body) else "WRONG")

    def down(self):
        body = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}'
        path = self.mirror.index_path()
        self.origin.serve(path, (body, {**lasting(body), "Cache_Control": "max-age=1",
                                        "Content_Type": "application/vnd.oci.image.manifest.v1+json"}))
        self.crowd.add(self.mirror.url(path))
        self.crowd.run(10)
        time.sleep(3)
        self.origin.stop()
        client = self.crowd.add(self.mirror.url(path))
        self.crowd.run(30)
        self.origin.start()
        self.crowd.drop()
        return f"{client.status} after {self.ms(client)}"

    def run(self):
        return [*self.together(), self.cold_range(), self.cut(), self.leaves(), self.kill(), self.down()]


def bench_race(bench):
    origin = FarOrigin(bench.folder)
    try:
        for kind in [Davit, DavitRegistry, *ANCHORS]:
            ours = issubclass(kind, Davit)
            mirror = kind(bench if ours else bench.folder, origin.port).start()
            try:
                results = Race(origin, mirror).run()
            finally:
                mirror.stop()
            print(f"{mirror.name}:", flush=True)
            for column, result in zip(COLUMNS, results):
                print(f"    {column:36s} {result}", flush=True)
    finally:
        origin.end()
