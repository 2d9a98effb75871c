"""davitd upgraded in place: SIGUSR2 gives the listening sockets, and then the node, to a new process of the binary."""

import http.client
import os
import shutil
import signal
import threading
import time

import forge
from server import IMAGE, OBJ, Davit, Successor

PASSING = f"image: {IMAGE}\nscript:\n  - echo fine\n"
RELOADS = int(os.environ.get("DAVIT_TEST_RELOADS", "20" if "DAVIT_TEST_LONG" in os.environ else "6"))


class Hammer:
    """Clients that ask all the time; what goes wrong is kept. One connection a request, or the same for all."""

    def __init__(self, davit, ask, keeps=False, pause=0.01):
        self.davit = davit
        self.ask = ask
        self.pause = pause
        self.keeps = keeps
        self.answers = 0
        self.wrong = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def _run(self):
        connection = None
        while not self.ended.is_set():
            connection = connection or http.client.HTTPConnection("127.0.0.1", self.davit.port, timeout=60)
            try:
                self.ask(connection)
                self.answers += 1
            except Exception as error:  # whatever it is: the test shows it
                self.wrong.append(repr(error))
            time.sleep(self.pause)  # a rate, not a wait
            if not self.keeps or connection.sock is None:
                connection.close()
                connection = None


def get_repos(davit):
    def ask(connection):
        connection.request("GET", "/api/v1/repos", headers={"Authorization": f"Bearer {davit.token}"})
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200 and b"acme/app" in body, (reply.status, body)

    return ask


class Pusher:
    """Delivers so many pushes, each with an id of its own, and keeps what was answered."""

    def __init__(self, davit, commit, most):
        self.davit = davit
        self.commit = commit
        self.left = most
        self.builds = []

    def __call__(self, connection):
        if self.left == 0:
            return
        self.left -= 1
        payload = forge.push_payload(self.commit, ref=f"refs/heads/b{len(self.builds)}")
        answer = forge.deliver(self.davit, payload)
        assert answer.status == 202, answer
        self.builds.append(answer.json["build"])


def test_nobody_is_refused(make_davit, repo):
    davit = make_davit()
    davit.add_repo(repo)
    redis = davit.redis_pid()
    pushes = Pusher(davit, repo.push({"daocloud.yml": PASSING}), min(RELOADS, 100))
    with Hammer(davit, get_repos(davit)) as single, Hammer(davit, get_repos(davit), keeps=True) as kept, \
            Hammer(davit, pushes, pause=0.5) as hooks:
        for _ in range(RELOADS):
            davit.reload()
    assert (single.wrong, kept.wrong, hooks.wrong) == ([], [], [])
    assert single.answers > RELOADS and kept.answers > RELOADS and len(pushes.builds) > RELOADS / 2
    assert len(set(pushes.builds)) == len(pushes.builds), "each push is one build"
    for number in pushes.builds:
        assert davit.wait_build(number)["state"] == "passed"
    assert len(davit.api("GET", "/builds?limit=100")["builds"]) == len(pushes.builds)
    assert davit.redis_pid() == redis, "Redis is the one that the first process has started"
    davit.stop()
    assert davit.redis_pid() is None, "and the last one ends it"


def test_the_running_one_goes_on_when_the_new_one_cannot_start(make_davit, repo):
    davit = make_davit()
    davit.add_repo(repo)
    conf = os.path.join(davit.folder, "davit.yml")
    with open(conf) as file:
        good = file.read()
    with open(conf, "w") as file:
        file.write("listen: nonsense\n")
    davit.process.send_signal(signal.SIGUSR2)
    davit.log.wait(r"error +handover: the new davitd \(pid \d+\) ended with exit code 1; this one goes on")
    number = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": PASSING}))).json["build"]
    assert davit.wait_build(number)["state"] == "passed"
    with open(conf, "w") as file:
        file.write(good)
    davit.reload()
    assert davit.api("GET", f"/builds/{number}")["state"] == "passed"
    davit.stop()


def test_another_state_folder_is_refused(make_davit, tmp_path):
    davit = make_davit()
    conf = os.path.join(davit.folder, "davit.yml")
    with open(conf) as file:
        text = file.read()
    with open(conf, "w") as file:
        file.write(text.replace(davit.state, str(tmp_path / "other")))
    davit.process.send_signal(signal.SIGUSR2)
    davit.log.wait(r"state_dir: .*/other is not that of the davitd that runs")
    davit.log.wait(r"handover: .* this one goes on")
    davit.stop()


def test_the_binary_that_lies_there_now_is_started(request, tmp_path):
    own = str(tmp_path / "davitd")
    shutil.copy(os.path.join(OBJ, "server/davitd"), own)
    folder = tmp_path / "own"
    folder.mkdir()
    davit = Davit(folder)
    davit.program = own
    request.addfinalizer(davit.end)
    davit.start()
    shutil.copy(own, own + ".new")
    os.rename(own + ".new", own)  # as a package manager replaces it
    assert os.readlink(f"/proc/{davit.process.pid}/exe") == own + " (deleted)"
    davit.reload()
    assert os.readlink(f"/proc/{davit.process.pid}/exe") == own
    davit.stop()


def test_a_stop_during_it(make_davit, repo):
    """The new one waits for the older one's end, and then stops itself."""
    davit = make_davit()
    davit.process.send_signal(signal.SIGUSR2)
    newer = Successor(int(davit.log.wait(r"handover: davitd with pid (\d+) takes the place").group(1)))
    newer.send_signal(signal.SIGINT)
    assert davit.process.wait(60) == 0
    davit.process = newer
    davit.stop()
    assert davit.redis_pid() is None


def test_a_job_that_runs_comes_to_its_end(make_davit, repo, docker):
    davit = make_davit()
    davit.add_repo(repo)
    slow = f"image: {IMAGE}\nscript:\n  - echo begun; until [ -e /tmp/go ]; do sleep 0.1; done; echo ended\n"
    number = forge.deliver(davit, forge.push_payload(repo.push({"daocloud.yml": slow}))).json["build"]
    job = f"{number}.1"
    davit.wait_build(number, {"running"})
    with davit.follow(job) as events:
        assert any("begun" in event["data"] for event in events)
        davit.reload()
        davit.reload()
    docker("exec", davit.redis("HGET", f"davit:job:{job}", "container"), "touch", "/tmp/go")
    assert davit.wait_build(number)["state"] == "passed"
    assert davit.job_log(job).count(b"begun\n") == 1 and davit.job_log(job).endswith(b"ended\n")
    assert davit.api("GET", f"/jobs/{job}")["attempt"] == 1
    davit.stop()
