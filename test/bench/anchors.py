"""The mirrors that Davit's is measured beside: Debian's nginx, squid, apt-cacher-ng and docker-registry, each in a folder of
its own, on a port of its own, in front of the same origin. They ask it for the same paths, but for the registry, whose
protocol is its own: an object is a blob there."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time

import forge

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
            proxy_pass http://127.0.0.1:{origin}; proxy_cache z; proxy_cache_lock on; proxy_cache_lock_timeout 60s;
            proxy_cache_lock_age 60s; proxy_cache_use_stale error timeout http_500 http_502 http_503 http_504;
        }}
    }}
}}
"""
SQUID = """\
http_port 127.0.0.1:{port} accel no-vhost defaultsite=127.0.0.1
cache_peer 127.0.0.1 parent {origin} 0 no-query originserver no-digest
http_access allow all
collapsed_forwarding on
range_offset_limit none
cache_effective_user {user}
cache_dir ufs {folder}/cache 4096 16 16
maximum_object_size 2 GB
pid_filename {folder}/pid
access_log none
cache_log {folder}/cache.log
cache_store_log none
coredump_dir {folder}
shutdown_lifetime 0 seconds
pinger_enable off
"""
ACNG = """\
CacheDir: {folder}/cache
LogDir: {folder}/log
SocketPath: {folder}/socket
Port: {port}
BindAddress: 127.0.0.1
Remap-bench: http://bench.example ; http://127.0.0.1:{origin}
ExThreshold: 4
ForeGround: 1
"""
REGISTRY = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{folder}/data"}}}}
http: {{addr: "127.0.0.1:{port}"}}
proxy: {{remoteurl: "http://127.0.0.1:{origin}"}}
"""


def wait_port(port, process=None):
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline and (process is None or process.poll() is None), f"nothing listens on port {port}"
        time.sleep(0.02)


class Anchor:
    """One of them as a child process, in a session of its own, so that it ends with all that it has started."""

    name = ""
    conf = ""
    file = "conf"

    def __init__(self, folder, origin, core=None):
        self.folder, self.origin, self.core = f"{folder}/{self.name}", origin, core
        self.port = forge.free_port()
        self.process = None
        os.makedirs(self.folder)
        with open(self.path_of_conf, "w") as file:
            file.write(self.conf.format(folder=self.folder, port=self.port, origin=origin, user="proxy"))
        self.prepare()

    @property
    def path_of_conf(self):
        return f"{self.folder}/{self.file}"

    def prepare(self):
        pass

    def command(self):
        raise NotImplementedError

    def start(self):
        under = ["taskset", "-c", str(self.core)] if self.core is not None else []
        with open(f"{self.folder}/output", "ab") as output:
            self.process = subprocess.Popen([*under, *self.command()], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                            start_new_session=True, env={**os.environ, **self.environment()})
        wait_port(self.port, self.process)
        return self

    def environment(self):
        return {}

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    stop = kill  # what is on its disk goes with the folder

    def path(self, name, body):
        """What the origin is asked for, and the mirror for the most part, too."""
        return f"/{self.name}/{name}.deb"

    def index_path(self):
        """Of what changes, and is stale after a second."""
        return f"/{self.name}/dists/stable/Release"

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


class Nginx(Anchor):
    name, conf = "nginx", NGINX

    def command(self):
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", self.path_of_conf, "-e", f"{self.folder}/error.log"]


class Squid(Anchor):
    name, conf = "squid", SQUID

    def command(self):
        return [shutil.which("squid") or "/usr/sbin/squid", "-N", "-n", f"bench{self.port}", "-f", self.path_of_conf]

    def prepare(self):
        for folder, _, _ in os.walk(self.folder):
            shutil.chown(folder, "proxy", "proxy")
        for above in (self.folder, os.path.dirname(self.folder)):
            os.chmod(above, 0o755)
        done = subprocess.run([*self.command(), "-z"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


class AptCacherNg(Anchor):
    name, conf, file = "apt-cacher-ng", ACNG, "acng.conf"

    def prepare(self):
        for name in ("cache", "log"):
            os.makedirs(f"{self.folder}/{name}")

    def command(self):
        return [shutil.which("apt-cacher-ng") or "/usr/sbin/apt-cacher-ng", "-c", self.folder]

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/bench.example{path}"


class Registry(Anchor):
    name, conf = "docker-registry", REGISTRY

    def command(self):
        return ["docker-registry", "serve", self.path_of_conf]

    def environment(self):
        return {"GOMAXPROCS": "1"} if self.core is not None else {}

    def path(self, name, body):
        return f"/v2/race/blobs/sha256:{hashlib.sha256(body).hexdigest()}"

    def index_path(self):
        return "/v2/race/manifests/latest"


ANCHORS = [Nginx, Squid, AptCacherNg, Registry]


class Davit:
    """The same of ours."""

    name = "Davit"

    def __init__(self, bench, origin, core=None, upstreams=None, **options):
        self.bench, self.origin, self.core, self.options = bench, origin, core, options
        self.upstreams = upstreams or [{"host": f"127.0.0.1:{origin}", "private": True, "clear": True}]
        self.davit = None

    def start(self):
        if self.davit is None:
            mirror = {"listen": ["127.0.0.1:0"], "upstreams": self.upstreams, "registry": f"http://127.0.0.1:{self.origin}"}
            self.davit = self.bench.davit(mirror=mirror, **self.options)
        else:
            self.davit.start()
        self.port = int(self.davit.log.wait(r"mirror on 127\.0\.0\.1:(\d+)").group(1))
        if self.core is not None:
            subprocess.run(["taskset", "-a", "-p", "-c", str(self.core), str(self.davit.process.pid)], check=True,
                           stdout=subprocess.DEVNULL)
        return self

    def kill(self):
        self.davit.kill()

    def stop(self):
        self.davit.end()

    def path(self, name, body):
        return f"/{name}.deb"

    def index_path(self):
        return "/dists/stable/Release"

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/generic/127.0.0.1:{self.origin}{path}"


class DavitRegistry(Davit):
    """A blob by its digest, which is verified as it comes."""

    name = "Davit, a blob"
    path = Registry.path
    index_path = Registry.index_path

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"
