"""davitd dies at crash points: with nothing else to do, while it recovers from the death before, and with other builds
under way. Then it is started again, and the checker of test/torture looks at what became of it all."""

import os
import queue
import subprocess
import threading

import pytest

import crashes
import server
from witness import Effects

pytestmark = pytest.mark.xdist_group("crash points")

POINTS = crashes.points()
WORLDS = int(os.environ.get("DAVIT_TEST_WORLDS", "3"))
CONTEXTS = ["idle", "recovering", "busy"]
# DAVIT_TEST_LONG: every point in every context, which takes long. Else some that are far from each other.
SHORT = [("node_registered", "busy"), ("left_known", "busy"), ("change_accepted", "recovering"), ("plan_claimed", "recovering"),
         ("network_made", "idle"), ("job_fed", "busy"), ("run_ended", "idle"), ("result_recorded", "recovering"),
         ("status_sent", "busy"), ("stop_ending", "busy")]
LONG = [(point, context) for point in crashes.SCENARIOS for context in CONTEXTS]
DEATHS = LONG if "DAVIT_TEST_LONG" in os.environ else SHORT


def make_images():
    """An image beside the usual one, and one whose command listens on a port."""
    docker = ["/usr/bin/docker", "-H", server.ENGINE]
    subprocess.run([*docker, "tag", server.IMAGE, crashes.OTHER], check=True)
    text = f'FROM {server.IMAGE}\nEXPOSE 8000\nCMD ["busybox", "nc", "-ll", "-p", "8000", "-e", "/bin/true"]\n'
    subprocess.run([*docker, "build", "-q", "-t", crashes.HTTPD, "-"], check=True, capture_output=True, input=text.encode(),
                   env={"DOCKER_BUILDKIT": "0", "HOME": "/nonexistent"})


def work(number, folder, effects, todo, results):
    """One daemon as long as there is something to go through; where something went wrong it is not used again."""
    world = None
    while True:
        try:
            deaths = todo.get_nowait()
        except queue.Empty:
            break
        error = None
        try:
            warm = crashes.SCENARIOS[deaths[0][0]].warm
            if world is not None and world.warm != warm:
                world.end()
                world = None
            if world is None:
                name = f"crash-{number}-{len(results)}"
                world = crashes.World(folder / name, POINTS, effects, name, warm).set_up()
            crashes.go_through(world, deaths)
        except BaseException as caught:  # told by the tests of these points
            error = caught
        results.update((death, error) for death in deaths)
        with open(folder / "deaths", "a") as file:
            file.write(f"{deaths}: {error}\n")
        if error is not None and world is not None:
            world.end()
            world = None
    if world is not None:
        world.end()


@pytest.fixture(scope="module")
def sweep(request, tmp_path_factory):
    """What went wrong at each point in each context that is asked for, several daemons at a time."""
    wanted = [(item.callspec.params["point"], item.callspec.params["context"]) for item in request.session.items
              if getattr(item, "function", None) is test_death]
    make_images()
    folder = tmp_path_factory.mktemp("crash")
    effects = Effects(str(folder))
    todo, results = queue.Queue(), {}
    for one in crashes.rounds(wanted):
        todo.put(one)
    threads = [threading.Thread(target=work, args=(i, folder, effects, todo, results)) for i in range(WORLDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    effects.close()
    return results


def test_every_point_has_a_scenario():
    assert len(POINTS) >= 60, "davitd --crash-points: a build with --enable-crash-points is wanted"
    assert set(POINTS) == set(crashes.SCENARIOS), "a point that no test hits, or a scenario for none"


@pytest.mark.parametrize("point,context", DEATHS)
def test_death(sweep, point, context):
    if sweep[point, context] is not None:
        raise sweep[point, context]
