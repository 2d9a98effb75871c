"""davitd dies at every crash point: with nothing else to do, while it recovers from the death before, or with another build
under way. Then it is started again, and the checker of test/torture looks at what became of it all."""

import os
import queue
import threading

import pytest

import crash_work
import crash_world
import crashes
from witness import Effects

pytestmark = pytest.mark.xdist_group("crash points")

POINTS = crash_world.points()
WORLDS = int(os.environ.get("DAVIT_TEST_WORLDS", "3"))


def work(number, folder, effects, todo, results):
    """One daemon as long as there is something to go through; where something went wrong it is not used again."""
    world = None
    while True:
        try:
            chain = todo.get_nowait()
        except queue.Empty:
            break
        error = None
        try:
            if world is None:
                name = f"crash-{number}-{len(results)}"
                world = crash_world.World(folder / name, POINTS, effects, name).set_up()
            crashes.go_through(world, chain)
        except BaseException as caught:  # told by the tests of these points
            error = caught
        results.update((death, error) for death in chain)
        with open(folder / "deaths", "a") as file:
            file.write(f"{chain}: {error}\n")
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
    crash_work.make_images()
    folder = tmp_path_factory.mktemp("crash")
    effects = Effects(str(folder))
    todo, results = queue.Queue(), {}
    for one in crashes.chains(wanted):
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


@pytest.mark.parametrize("point,context", crashes.DEATHS)
def test_death(sweep, point, context):
    if sweep[point, context] is not None:
        raise sweep[point, context]
