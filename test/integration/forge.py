"""What stands around Davit: a git repository, a forge's webhooks and status API, a mail server."""

import contextlib
import hashlib
import hmac
import http.server
import itertools
import json
import os
import secrets
import socket
import ssl
import subprocess
import threading
import time

import server

ENV = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ada Example",
       "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada Example", "GIT_COMMITTER_EMAIL": "ada@example.org"}


class Repo:
    """A bare repository, as a forge has it, and a work tree to push from."""

    def __init__(self, folder, url=None):
        self.bare = os.path.join(folder, "app.git")
        self.tree = os.path.join(folder, "app")
        self.url = url or "file://" + self.bare
        self.tip = None
        subprocess.run(["git", "init", "-q", "-b", "main", "--bare", self.bare], check=True, env=ENV)
        subprocess.run(["git", "init", "-q", "-b", "main", self.tree], check=True, env=ENV)

    def git(self, *args):
        done = subprocess.run(["git", *args], cwd=self.tree, env=ENV, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, files):
        for name, text in files.items():
            path = os.path.join(self.tree, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)

    def push(self, files, message="A change", ref="refs/heads/main"):
        """Commits the files and pushes them to ref; gives the commit's id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.git("push", "-q", "--force", self.bare, f"HEAD:{ref}")
        return self.git("rev-parse", "HEAD")

    def commit(self, files, ref="refs/heads/main"):
        """As push, but straight into the bare repository, for a tenth of the time; the work tree knows nothing of it. On
        top of the last commit of this kind."""
        text = [f"commit {ref}", "mark :1", f"committer Ada Example <ada@example.org> {int(time.time())} +0000", "data 0"]
        text += [f"from {self.tip}"] if self.tip else []
        for name, content in files.items():
            text += [f"M 100644 inline {name}", f"data {len(content.encode())}", content]
        done = subprocess.run(["git", "-C", self.bare, "fast-import", "--quiet", "--force"], env=ENV, check=True,
                              input="\n".join([*text, "get-mark :1", ""]), capture_output=True, text=True)
        self.tip = done.stdout.strip()
        return self.tip


def push_payload(commit, ref="refs/heads/main", message="A change", repo="acme/app"):
    """A push as GitHub and Gitea tell it (GitLab's is close)."""
    return {
        "ref": ref, "before": "0" * 40, "after": commit, "created": False, "deleted": False, "forced": False,
        "repository": {"id": 1, "name": repo.split("/")[1], "full_name": repo, "html_url": f"https://forge.test/{repo}",
                       "clone_url": f"https://forge.test/{repo}.git", "private": False},
        "pusher": {"name": "ada", "email": "ada@example.org"}, "sender": {"login": "ada"},
        "head_commit": {"id": commit, "message": message, "url": f"https://forge.test/{repo}/commit/{commit}",
                        "author": {"name": "Ada Example", "email": "ada@example.org"}},
        "commits": [{"id": commit, "message": message, "author": {"name": "Ada Example", "email": "ada@example.org"}}],
    }


def gitlab_payload(commit, ref="refs/heads/main", message="A change", repo="acme/app"):
    return {
        "object_kind": "push", "event_name": "push", "ref": ref, "before": "0" * 40, "after": commit,
        "checkout_sha": commit, "user_name": "Ada Example", "user_username": "ada", "user_email": "ada@example.org",
        "project_id": 1, "project": {"name": repo.split("/")[1], "path_with_namespace": repo,
                                     "git_http_url": f"https://forge.test/{repo}.git", "web_url": f"https://forge.test/{repo}"},
        "commits": [{"id": commit, "message": message, "title": message, "url": f"https://forge.test/{repo}/-/commit/{commit}",
                     "author": {"name": "Ada Example", "email": "ada@example.org"}}],
        "total_commits_count": 1,
    }


def hook_headers(forge, body, secret="s3cret", event="push", delivery=None):
    delivery = delivery or secrets.token_hex(16)
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if forge == "github":
        return {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": "sha256=" + digest}
    if forge == "gitea":
        return {"X-Gitea-Event": event, "X-Gitea-Delivery": delivery, "X-Gitea-Signature": digest,
                "X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": "sha256=" + digest}
    if forge == "gitlab":
        return {"X-Gitlab-Event": {"push": "Push Hook", "tag": "Tag Push Hook", "merge": "Merge Request Hook"}[event],
                "X-Gitlab-Event-UUID": delivery, "X-Gitlab-Token": secret}
    return {"X-Davit-Signature": "sha256=" + digest, "X-Davit-Delivery": delivery}


def deliver(davit, payload, repo="app", forge="github", **more):
    """Delivers a webhook as the forge would; more: secret, event, delivery."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json", **hook_headers(forge, body, **more)}
    return davit.ask("POST", f"/hook/{repo}", body, headers, token=False)


def redeliver(davit, payload, delivery, patience=120):
    """As a forge that tries again: the same delivery until it is taken. Gives its build."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError):
            answer = deliver(davit, payload, delivery=delivery)
            if answer.status < 300:
                return answer.json["build"]
            assert answer.status == 503, answer
        assert time.monotonic() < deadline, f"not taken in {patience} s"
        time.sleep(0.2)


def push(davit, repo, pipeline, files=None):
    """A commit with this pipeline, pushed and told. Gives its build."""
    commit = repo.push({"daocloud.yml": pipeline, **(files or {})})
    return deliver(davit, push_payload(commit)).json["build"]


def certificate(folder):
    """For 127.0.0.1, signed by itself: cert.pem and key.pem. Gives a server's context."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
    return context


class Receiver:
    """A forge's API: takes what is posted, answers as told."""

    def __init__(self, answer=lambda request: (201, {}, b"{}"), tls=None):
        self.requests = []
        self.more = threading.Condition()
        self.answer = answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # cut off: no request
                request = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
                with outer.more:
                    outer.requests.append(request)
                    outer.more.notify_all()
                status, headers, text = outer.answer(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, enough, timeout=60):
        """Until enough(requests) says so; gives them."""
        with self.more:
            assert self.more.wait_for(lambda: enough(self.requests), timeout), f"only {self.requests}"
            return list(self.requests)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class MailServer:
    """aiosmtpd with STARTTLS and AUTH."""

    def __init__(self, tls_context=None, users=None):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult

        self.mails = []
        self.more = threading.Condition()
        outer = self

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                with outer.more:
                    outer.mails.append({"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": envelope.content,
                                        "tls": session.ssl is not None, "authenticated": session.authenticated})
                    outer.more.notify_all()
                return "250 taken"

        def authenticate(server, session, envelope, mechanism, data):
            return AuthResult(success=(users or {}).get(data.login.decode()) == data.password.decode())

        more = {}
        if tls_context:
            more = {"tls_context": tls_context, "require_starttls": True}
        if users:
            more.update(authenticator=authenticate, auth_required=True)
        self.controller = Controller(Handler(), hostname="127.0.0.1", port=free_port(), **more)
        self.controller.start()
        self.port = self.controller.port

    def wait(self, count=1, timeout=60):
        with self.more:
            assert self.more.wait_for(lambda: len(self.mails) >= count, timeout), self.mails
            return list(self.mails)

    def close(self):
        self.controller.stop()


PORTS = itertools.cycle(10000 + 1000 * server.WORKER + (os.getpid() + i) % 1000 for i in range(1000))


def free_port():
    """Below those that the system gives to connections, and apart from those of other test processes: still free when used."""
    for port in itertools.islice(PORTS, 1000):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
