"""Daemons on one Redis, of which one is killed and one freezes past its lease: their jobs are found and run elsewhere, and who
comes back has no say in them any more."""

import signal

import forge
from server import ENGINE, IMAGE

# Its first attempt is cut off from its daemon, and ends badly meanwhile.
ONCE_MORE = f"""\
image: {IMAGE}
script:
  - if [ $DAVIT_ATTEMPT = 1 ]; then sleep 20; echo too late; exit 3; fi
  - echo the second attempt
"""


def test_a_dead_and_a_frozen_node(make_davit, repo, external, docker):
    redis = {"url": f"unix://{external()}"}
    nodes = {}

    def start(name, slots):
        nodes[name] = make_davit(node=name, redis=redis, engines=[{"url": ENGINE, "slots": slots}], builder={"warm_images": 0},
                                 seal_key_of=next(iter(nodes.values()), None))
        return nodes[name]

    def push():
        """A build whose job runs on the newest node, the only one with a free slot."""
        davit, name = list(nodes.values())[-1], list(nodes)[-1]
        number = forge.push(davit, repo, ONCE_MORE)
        davit.wait_build(number, {"running"})
        davit.wait_log(f"{number}.1", "sleep 20")
        assert davit.api("GET", f"/builds/{number}")["jobs"][0]["node"] == name
        return number

    start("dead", 1).add_repo(repo)
    of_dead = push()
    frozen = start("frozen", 1)
    of_frozen = push()
    alive = start("alive", 2)
    nodes["dead"].kill()
    frozen.process.send_signal(signal.SIGSTOP)
    for number in (of_dead, of_frozen):
        job = alive.wait_build(number, timeout=60)["jobs"][0]
        assert (job["state"], job["node"], job["attempt"]) == ("passed", "alive", 2), job
    # Both come back.
    since = len(frozen.log.lines)
    frozen.process.send_signal(signal.SIGCONT)
    frozen.log.wait(f"job {of_frozen}.1: given up, its lease is lost", since)
    nodes["dead"].start()
    for number in (of_dead, of_frozen):
        job = alive.api("GET", f"/builds/{number}")["jobs"][0]
        assert (job["state"], job["node"], job["attempt"]) == ("passed", "alive", 2), job
        text = alive.job_log(f"{number}.1")
        assert text.endswith(b"\nthe second attempt\n") and b"\ntoo late" not in text
    alive.stop()
    frozen.wait_build(forge.push(frozen, repo, f"image: {IMAGE}\nscript: [echo fine]\n"), {"passed"})
    frozen.stop()
    nodes["dead"].stop()
    for node in nodes:
        assert docker("ps", "-aq", "--filter", f"label=davit.node={node}") == ""
