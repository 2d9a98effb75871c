"""git over HTTP, as forges serve it: git-http-backend behind nginx, with and without a password."""

import base64
import os
import shutil
import subprocess

import pytest

import forge
from server import IMAGE

CONF = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location /private/ {{
            if ($http_authorization != "Basic {basic}") {{ add_header WWW-Authenticate 'Basic realm="git"' always; return 401; }}
            rewrite ^/private/(.*)$ /$1 last;
        }}
        location / {{
            internal;
            fastcgi_pass unix:{folder}/cgi.sock;
            fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param GIT_PROJECT_ROOT {root};
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param REMOTE_USER git;
        }}
        location /public/ {{ rewrite ^/public/(.*)$ /$1 last; }}
    }}
}}
user root;
"""


class Server(str):
    """Its address; tls: the same with a certificate that nobody knows."""

    def __new__(cls, url, tls, ca, context):
        made = str.__new__(cls, url)
        made.tls, made.ca, made.context = tls, str(ca), context
        return made


@pytest.fixture
def git_server(tmp_path, repo):
    port, tls_port = forge.free_port(), forge.free_port()
    folder = tmp_path / "git-server"
    folder.mkdir()
    context = forge.certificate(folder)
    basic = base64.b64encode(b"git:t0ken").decode()
    (folder / "nginx.conf").write_text(CONF.format(folder=folder, port=port, tls_port=tls_port, basic=basic, root=tmp_path))
    cgi = subprocess.Popen([shutil.which("fcgiwrap") or "/usr/sbin/fcgiwrap", "-s", f"unix:{folder}/cgi.sock"],
                           env={**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"})
    nginx = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        probe = subprocess.run(["git", "ls-remote", f"{url}/public/app.git"], capture_output=True, env=forge.ENV)
        if probe.returncode == 0:
            break
    else:
        raise AssertionError(probe.stderr)
    yield Server(url, f"https://127.0.0.1:{tls_port}", folder / "cert.pem", context)
    nginx.terminate()
    cgi.terminate()
    nginx.wait()
    cgi.wait()


PIPELINE = {"daocloud.yml": f"image: {IMAGE}\nscript:\n  - echo over http\n"}


def test_fetch_over_http(davit, repo, git_server):
    repo.url = f"{git_server}/public/app.git"
    davit.add_repo(repo)
    answer = forge.deliver(davit, forge.push_payload(repo.push(PIPELINE)))
    build = davit.wait_build(answer.json["build"])
    assert build["state"] == "passed", build


def test_private_repository_with_token(davit, repo, git_server):
    repo.url = f"{git_server}/private/app.git"
    davit.add_repo(repo, token="t0ken")
    answer = forge.deliver(davit, forge.push_payload(repo.push(PIPELINE)))
    build = davit.wait_build(answer.json["build"])
    assert build["state"] == "passed", build
    with open(f"{davit.folder}/davitd.log") as log:
        assert "t0ken" not in log.read()


def test_wrong_token_is_an_error_that_says_so(davit, repo, git_server):
    repo.url = f"{git_server}/private/app.git"
    davit.add_repo(repo, token="wr0ng")
    answer = forge.deliver(davit, forge.push_payload(repo.push(PIPELINE)))
    build = davit.wait_build(answer.json["build"])
    assert build["state"] == "error"
    assert "wr0ng" not in build["reason"] and build["reason"]


def test_a_forge_with_an_authority_of_its_own(make_davit, repo, git_server):
    receiver = forge.Receiver(tls=git_server.context)
    try:
        repo.url = f"{git_server.tls}/private/app.git"
        commit = repo.push(PIPELINE)
        davit = make_davit(forge={"ca": git_server.ca})
        davit.add_repo(repo, token="t0ken", api=receiver.url, statuses=True)
        build = davit.wait_build(forge.deliver(davit, forge.push_payload(commit)).json["build"])
        assert build["state"] == "passed", build
        receiver.wait(lambda requests: any(b"success" in r["body"] for r in requests))
        davit.stop()
    finally:
        receiver.close()


def test_an_unknown_authority_is_not_trusted(davit, repo, git_server):
    repo.url = f"{git_server.tls}/private/app.git"
    davit.add_repo(repo, token="t0ken")
    build = davit.wait_build(forge.deliver(davit, forge.push_payload(repo.push(PIPELINE))).json["build"])
    assert build["state"] == "error" and "certificate" in build["reason"], build
