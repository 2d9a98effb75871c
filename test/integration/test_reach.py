"""Who may say what about whom, and what jobs may reach."""

import socket

import pytest

import forge
from server import IMAGE


def peer_of(davit, forwarded):
    since = len(davit.log.lines)
    davit.ask("GET", "/healthz", headers={"X-Forwarded-For": forwarded})
    return davit.log.wait(r"debug (\S+) GET /healthz", since=since).group(1)


def test_a_proxys_word_counts_where_it_is_one(davit, make_davit):
    assert peer_of(davit, "203.0.113.9") == "203.0.113.9"
    other = make_davit(trusted_proxies=["10.0.0.2"])
    assert peer_of(other, "203.0.113.9") == "127.0.0.1"
    assert peer_of(make_davit(trusted_proxies=[]), "203.0.113.9") == "127.0.0.1"


def test_blocked_networks_are_out_of_reach(make_davit, repo):
    davit = make_davit(builder={"blocked": ["198.51.100.0/24", "203.0.113.7"]})
    davit.add_repo(repo)
    commit = repo.push({"daocloud.yml": f"""\
image: {IMAGE}
script:
  - ip route | grep '^blackhole 198.51.100.0/24'
  - ip route | grep '^blackhole 203.0.113.7'
  - ip route get 198.51.100.9 && exit 9; echo no way
"""})
    number = forge.deliver(davit, forge.push_payload(commit)).json["build"]
    build = davit.wait_build(number)
    assert build["state"] == "passed", davit.job_log(f"{number}.1")
    davit.stop()


def test_a_fork_elsewhere_is_not_fetched(davit, repo):
    """Whoever sends the change chooses the fork's address; it must not lead into our network."""
    inside = socket.create_server(("127.0.0.1", 0))
    davit.add_repo(repo, forge="generic")
    payload = {"event": "pull_request", "repository": "acme/app", "ref": "refs/pull/7/head", "commit": "1" * 40, "number": 7,
               "target": "main", "title": "x", "fork": "eve/app", "fetch_url": f"http://127.0.0.1:{inside.getsockname()[1]}/eve/app.git"}
    answer = forge.deliver(davit, payload, forge="generic")
    assert answer.status == 202, answer
    number = answer.json["build"]
    if davit.wait_build(number, {"waiting", "error", "failed"})["state"] == "waiting":
        davit.api("POST", f"/builds/{number}/approve")
    build = davit.wait_build(number)
    assert build["state"] == "error" and "another server" in build["reason"], build
    inside.setblocking(False)
    with pytest.raises(BlockingIOError):
        inside.accept()
    inside.close()
