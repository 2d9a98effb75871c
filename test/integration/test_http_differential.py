"""Our HTTP parser beside llhttp (Node's): on the same bytes both see the same requests, or we refuse.

DAVIT_TEST_LONG=1 looks at a hundred times as many connections."""

import collections
import glob
import os
import random
import re
import struct
import subprocess

import server

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = 30_000
# Where we take what llhttp refuses: its word for it, and what the bytes then have in them. None moves a message's end:
# trailers are dropped whatever they say, a value may have a tab behind it, and a chunk's extension is skipped.
EXPLAINED = {
    "HPE_INVALID_CONTENT_LENGTH": rb"(?i)0[^\n]*\r\n([^\n]+\r\n)*content-length|\d[ \t]*\t[ \t]*\r\n",
    "HPE_INVALID_TRANSFER_ENCODING": rb"(?i)chunked[ \t]*\t[ \t]*\r\n",
    "HPE_STRICT": rb"[0-9a-fA-F];",
}

METHODS = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "get", "G ET", "GET\t", "", "PRI", "M-SEARCH", "SOURCE"]
TARGETS = ["/", "/a?b=c", "*", "http://h/a", "http://h:80", "//x", "/%00", "/\x80", "/ x", "", "a", "/a#b", "/\x7f", "/\t", "h:443", "http:///x", "/\\", "/\"<>"]
VERSIONS = ["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", "HTTP/11", "", "HTTP/1.", "HTTP/1.1\t", "ICE/1.1"]
NAMES = ["Host", "host", "Content-Length", "content-length", "Transfer-Encoding", "Connection", "X", "X-A", "Expect", "Upgrade", "Cookie",
         "Content-Length ", " X", "X Y", "", "X\0", "X:", "\x80", "Host\t", "Proxy-Connection", "Transfer_Encoding", "Keep-Alive", "(X)"]
VALUES = ["a", "h", "", " ", "\t x \t", "chunked", "Chunked", "gzip, chunked", "chunked, gzip", "identity", "chunked ", ", chunked", "xchunked", "\x0bchunked",
          "0", "3", "5", "03", "+3", "-1", "3, 3", "3 3", "0x3", "99999999999999999999", "18446744073709551616", "keep-alive", "close", "upgrade", "close, keep-alive",
          "100-continue", "h2c", "a\0b", "a\x01b", "a\x7f", "\x80\xff", "a\rb", "a\nb", "a\r\n b", "\"q\"", "x" * 300]
ENDS = ["\r\n"] * 12 + ["\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\r\n\t", ""]
BODIES = ["", "abc", "abcde", "3\r\nabc\r\n0\r\n\r\n", "3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n", "3\nabc\n0\n\n", "3\r\nabcd\r\n0\r\n\r\n", "0\r\n\r\n", "00003\r\nabc\r\n0\r\n\r\n",
          "g\r\n", "3 \r\nabc\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "10000000000000003\r\nabc\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n", "3;\r\nabc\r\n0\r\n\r\n", "3;a=\"b\r\nabc\r\n0\r\n\r\n",
          "0\r\nT\r\n\r\n", "0\r\nContent-Length: 9\r\n\r\n", "0\r\n\r\nGET /smug HTTP/1.1\r\nHost: b\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "-1\r\n", "\r\n0\r\n\r\n"]


def request(r):
    """Mostly a good one, with a few things that are odd."""
    odd = r.random() < 0.7
    pick = lambda good, all_: r.choice(all_) if odd and r.random() < 0.15 else r.choice(good)
    end = lambda: pick(["\r\n"], ENDS)
    body = r.choice(BODIES)
    text = pick(["", "", "", "\r\n"], ["\n", "\r\n\r\n", " ", "\0"]) + pick(METHODS[:7], METHODS) + pick([" "], ["  ", "\t", ""]) + pick(TARGETS[:4], TARGETS)
    text += pick([" "], ["  ", "\t", ""]) + pick(["HTTP/1.1"], VERSIONS) + end()
    headers = [(pick(["Host"], NAMES), pick(["a"], VALUES))]
    if body and r.random() < 0.8:
        if r.random() < 0.5:
            headers.append((pick(["Content-Length"], NAMES), pick([str(len(body)), "3"], VALUES)))
        else:
            headers.append((pick(["Transfer-Encoding"], NAMES), pick(["chunked"], VALUES)))
    for _ in range(r.choice([0, 0, 1, 2])):
        headers.append((pick(["X", "Connection"], NAMES), pick(["a", "keep-alive"], VALUES)))
    r.shuffle(headers)
    for name, value in headers:
        text += name + pick([": "], [":", " : ", ":\t", "", ": \r\n "]) + value + end()
    return (text + end() + body).encode("latin-1")


def mutated(r, text):
    text = bytearray(text)
    for _ in range(r.randint(1, 4)):
        at = r.randrange(len(text) + 1)
        match r.randrange(4):
            case 0:
                text[at:at] = bytes([r.choice(b"\r\n \t\0:;,0123456789abcxyzHTP/\x7f\x80\xff\x0b\x0c")])
            case 1:
                del text[at:at + r.randint(1, 8)]
            case 2:
                text[at:at] = text[r.randrange(len(text) + 1):][:r.randint(1, 40)]
            case 3:
                text[at:at + 1] = bytes([r.randrange(256)])
    return bytes(text)


def connections(count, seed):
    r = random.Random(seed)
    seeds = [open(name, "rb").read()[1:] for name in sorted(glob.glob(os.path.join(HERE, "../fuzz/seeds/http1/*")))]
    yield from seeds
    for _ in range(count - len(seeds)):
        text = b"".join(request(r) for _ in range(r.choice([1, 1, 2, 3]))) if r.random() < 0.9 else r.choice(seeds)
        yield mutated(r, text) if r.random() < 0.3 else text


def look(command, cases):
    records = b"".join(struct.pack("<I", len(case)) + case for case in cases)
    done = subprocess.run(command, input=records, capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(cases), done.stderr[-2000:]
    return lines


def disagreement(ours, theirs):
    """None, or what it is in a few words."""
    *our_messages, our_end = ours.split("; ")
    *their_messages, their_end = theirs.split("; ")
    for k, message in enumerate(our_messages):
        if k >= len(their_messages):
            return None if their_end in ("upgrade", "refused HPE_CLOSED_CONNECTION") else "taken: " + their_end
        if message == their_messages[k]:
            continue
        if message.endswith("...]") and their_messages[k].startswith(message[:-4]):
            if our_end == "refused" or k == len(their_messages) - 1 and their_messages[k].endswith("...]"):
                return None  # we stop earlier in a body that is not whole
        if their_messages[k].endswith("...]") and their_end.startswith("refused"):
            return "body: " + their_end
        return "different"
    if our_end == "refused" or len(their_messages) <= len(our_messages) or our_end == "more" and not their_messages[len(our_messages)].endswith("]"):
        return None
    return "missed"


def explained(what, case):
    pattern = EXPLAINED.get(what.split()[-1])
    return pattern is not None and re.search(pattern, case) is not None


def test_the_same_requests_or_none():
    ours = os.path.join(server.OBJ, "test/differential/requests")
    subprocess.run(["make", "-s", "-C", server.OBJ, "test/differential/requests"], check=True, capture_output=True)
    rounds = 100 if os.environ.get("DAVIT_TEST_LONG") else 1
    found, example, both, refused = collections.Counter(), {}, 0, 0
    for round_ in range(rounds):
        cases = list(connections(CASES, round_))
        for case, a, b in zip(cases, look([ours], cases), look(["node", os.path.join(HERE, "../differential/llhttp.js")], cases)):
            what = disagreement(a, b)
            both += what is None and "]; " in a
            refused += a.endswith("refused")
            if what and not explained(what, case):
                found[what] += 1
                example.setdefault(what, (case, a, b))
    assert both > CASES // 10 and refused > CASES // 10, "the cases are of some use"
    assert not found, "\n".join(f"{count} x {what}\n  {example[what][0]!r}\n  ours  {example[what][1]}\n  llhttp {example[what][2]}"
                                      for what, count in found.items())
