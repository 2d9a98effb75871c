"""The mirror beside nginx's proxy_cache, in front of the same origin: replies from the store, large and small, and a cold
object that many clients want at once. Each server has one core, the clients the other."""

import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time

import forge
from origin import Origin, Reply

SMALL, LARGE, COLD = 4096, 256 << 20, 8 << 20
NGINX = """\
user root; daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    proxy_cache_path {folder}/cache keys_zone=z:10m max_size=2g inactive=1h; open_file_cache max=100;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{origin}; proxy_cache z; proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_cache_lock_age 60s;
        }}
    }}
}}
"""


def start_nginx(folder, port, origin):
    os.makedirs(folder)
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(NGINX.format(folder=folder, port=port, origin=origin))
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    return subprocess.Popen(["taskset", "-c", "0", binary, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"])


def wrk(url, connections, seconds, what):
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url], capture_output=True, text=True, check=True)
    number, unit = re.search(what + r":\s+([\d.]+)(\w*)", done.stdout).groups()
    return float(number) * {"": 1, "KB": 1 / 1024, "MB": 1, "GB": 1024}[unit]


def get(url, times):
    """Until the last byte; the time to the first goes to times."""
    host, path = re.match(r"http://([^/]+)(/.*)", url).groups()
    connection = http.client.HTTPConnection(host, timeout=120)
    start = time.monotonic()
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read(1)
    times.append((time.monotonic() - start) * 1000)
    body += reply.read()
    connection.close()
    return len(body)


def wait_port(port):
    deadline = time.monotonic() + 30
    while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def cold(origin, url, path, clients=50):
    """So many clients at once; half of the object comes at once, the rest when all have a first byte or have waited 2 s."""
    origin.held.clear()
    origin.released.clear()
    origin.serve(path, Reply(os.urandom(COLD), hold=COLD // 2, Cache_Control="max-age=3600"))
    times = []
    threads = [threading.Thread(target=get, args=(url + path, times)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2
    while len(times) < clients and time.monotonic() < deadline:
        time.sleep(0.01)
    early = len(times)
    origin.released.set()
    for thread in threads:
        thread.join()
    return early, max(times), origin.count(path)


def bench_mirror(bench):
    origin = Origin()
    rules = [{"host": f"127.0.0.1:{origin.port}", "private": True, "clear": True}]
    davit = bench.davit(mirror={"listen": ["127.0.0.1:0"], "upstreams": rules})
    port = davit.log.wait(r"mirror on 127\.0\.0\.1:(\d+)").group(1)
    subprocess.run(["taskset", "-a", "-p", "-c", "0", str(davit.process.pid)], check=True, stdout=subprocess.DEVNULL)
    ours = f"http://127.0.0.1:{port}/generic/127.0.0.1:{origin.port}"
    nginx_port = forge.free_port()
    nginx = start_nginx(f"{bench.folder}/nginx", nginx_port, origin.port)
    theirs = f"http://127.0.0.1:{nginx_port}"
    origin.serve("/small", Reply(b"x" * SMALL, Cache_Control="max-age=3600"))
    origin.serve("/large", Reply(os.urandom(LARGE), Cache_Control="max-age=3600"))
    wait_port(nginx_port)
    for base in (ours, theirs):
        for path in ("/small", "/large"):
            get(base + path, [])
    time.sleep(1)
    for path, connections, what, unit in [("/small", 32, "Requests/sec", "a second"), ("/large", 4, "Transfer/sec", "MiB/s")]:
        rounds = [(wrk(ours + path, connections, 3, what), wrk(theirs + path, connections, 3, what)) for _ in range(5)]
        mine, peer = (statistics.median(column) for column in zip(*rounds))
        ratios = sorted(a / b for a, b in rounds)
        print(f"{path}: Davit {mine:,.0f} {unit}, nginx {peer:,.0f}; ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
    for name, base in [("Davit", ours), ("nginx", theirs)]:
        early, last, requests = cold(origin, base, f"/cold-{name}")
        print(f"50 clients, one cold object: {name}: {early} have a first byte while it comes, the last after {last:.0f} ms, {requests} requests upstream", flush=True)
    nginx.terminate()
    nginx.wait()
    origin.stop()
    davit.end()
