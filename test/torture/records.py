"""What Davit has written down, read without its help: the keys of Redis over its socket, the logs on disk."""

import os
import re
import socket
import struct

FINAL = {"passed", "failed", "cancelled", "timed_out", "error"}
JOB_FINAL = FINAL | {"skipped"}


class RedisError(Exception):
    pass


class Redis:
    """A connection, of which commands are asked one after the other."""

    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, *command):
        parts = [str(word).encode() for word in command]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))

    def __call__(self, *command):
        self.send(*command)
        return self.reply()

    def at_once(self, *commands):
        """Their replies, of one moment."""
        for command in (("MULTI",), *commands, ("EXEC",)):
            self.send(*command)
        return [self.reply() for _ in range(len(commands) + 2)][-1]

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis is gone")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        data = self.file.read(int(rest) + 2)
        if len(data) != int(rest) + 2:
            raise ConnectionError("Redis is gone")
        return data[:-2].decode(errors="surrogateescape")

    def hash(self, key):
        flat = self("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def keys(self):
        cursor, found = "0", set()
        while True:
            cursor, some = self("SCAN", cursor, "MATCH", "davit:*", "COUNT", "1000")
            found.update(some)
            if cursor == "0":
                return found


WAITING = ("planning", "queue", "delayed", "outbox")


def unsettled(path, endless=None):
    """What is still to be done, in words; nothing when all is at rest. endless: a job that may run all the same."""
    try:
        with Redis(path) as redis:
            repos = redis("ZRANGE", "davit:repos", 0, -1)
            own = endless and redis("HGET", f"davit:job:{endless}", "repo")
            running, *found = redis.at_once(("ZRANGE", "davit:running", 0, -1), *(("ZCARD", f"davit:{name}") for name in WAITING),
                                            *(("HGET", f"davit:repo:{repo}", "open") for repo in repos))
    except (OSError, RedisError, ValueError) as error:
        return [f"Redis: {error}"]
    left = [f"running {one}" for one in running if one != endless]
    left += [name for name, count in zip(WAITING, found) if count]
    return left + [f"open builds of {repo}" for repo, count in zip(repos, found[len(WAITING):])
                   if int(count or 0) > (repo == own)]


class Records:
    """All that Redis holds of builds, jobs and what waits, as one look found it."""

    def __init__(self, redis):
        self.keys = redis.keys()
        self.builds = {int(k[12:]): redis.hash(k) for k in self.keys if re.fullmatch(r"davit:build:\d+", k)}
        self.jobs = {k[10:]: redis.hash(k) for k in self.keys if re.fullmatch(r"davit:job:\d+\.\d+", k)}
        self.repos = {k[11:]: redis.hash(k) for k in self.keys if re.fullmatch(r"davit:repo:[^:]+", k)}
        self.notices = {k[13:]: redis.hash(k) for k in self.keys if re.fullmatch(r"davit:notice:.+", k)}
        self.running = redis("ZRANGE", "davit:running", 0, -1)
        self.planning = redis("ZRANGE", "davit:planning", 0, -1)
        self.queued = [j for k in self.keys if re.fullmatch(r"davit:(queue|held)(:.*)?", k) for j in redis("ZRANGE", k, 0, -1)]
        self.delayed = redis("ZRANGE", "davit:delayed", 0, -1)
        self.outbox = redis("ZRANGE", "davit:outbox", 0, -1)
        self.dead = redis("LRANGE", "davit:outbox:dead", 0, -1)

    @staticmethod
    def of(path):
        with Redis(path) as redis:
            return Records(redis)

    def jobs_of(self, build):
        return {j: job for j, job in self.jobs.items() if int(job["build"]) == build}


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


STDOUT, STDERR, NOTICE, BEGIN, END, FINISH = range(1, 7)


class BrokenLog(Exception):
    pass


class Log:
    """The log of one attempt: its pieces as (kind, bytes), each held against the index (doc/log-format.md)."""

    RECORD = struct.Struct("<QQQqIIIIIi64sII")

    def __init__(self, state, job, attempt):
        build, number = job.split(".")
        base = os.path.join(state, "log", build, f"{number}.{attempt}")
        with open(base + ".idx", "rb") as file:
            index = file.read()
        with open(base + ".log", "rb") as file:
            self.bytes = file.read()
        self.pieces = []
        at = 0
        if len(index) % 128:
            raise BrokenLog(f"{base}.idx has {len(index)} bytes, which is no number of records")
        for i in range(0, len(index), 128):
            offset, _, _, _, length, crc, kind, _, _, _, _, _, own = self.RECORD.unpack_from(index, i)
            if crc32c(index[i:i + 124]) != own:
                raise BrokenLog(f"{base}.idx: record {i // 128} has a wrong checksum")
            piece = self.bytes[offset:offset + length]
            if offset != at or len(piece) != length or (length and crc32c(piece) != crc):
                raise BrokenLog(f"{base}: record {i // 128} at {offset} (expected {at}) of {length} bytes does not fit the log")
            at += length
            self.pieces.append((kind, piece))
        if at != len(self.bytes):
            raise BrokenLog(f"{base}: the index accounts for {at} of {len(self.bytes)} bytes")

    @property
    def is_complete(self):
        return bool(self.pieces) and self.pieces[-1][0] == FINISH

    def runs(self):
        """The job's own bytes, cut where a notice stands: [bytes, notice, bytes, ...]."""
        runs = [b""]
        for kind, piece in self.pieces:
            if kind == NOTICE:
                runs += [piece, b""]
            elif kind in (STDOUT, STDERR):
                runs[-1] += piece
        return runs
