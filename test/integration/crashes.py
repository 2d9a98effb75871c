"""How davitd dies at each crash point, in three contexts: idle, with nothing else to do; recovering, while it takes up what the
death before has left; busy, with a job of another build that goes on through all deaths."""

import crash_work as work

CONTEXTS = ("idle", "recovering", "busy")
TOGETHER = 12  # deaths of one daemon, after which the checker looks at what became of it all
PLANNINGS = 3  # MAX_PLANNING_ATTEMPTS of scripts/redis: a build is given up behind so many


class Scenario:
    """drive: the work that passes the point. plans: it dies in its planning. fresh: nothing must be kept ready on the
    engine. warm: of how many images containers are started in advance."""

    def __init__(self, drive, plans=False, fresh=False, warm=0):
        self.drive, self.plans, self.fresh, self.warm = drive, plans, fresh, warm

    def idle(self, w, point):
        w.rest()
        self._die(w, point)

    def recovering(self, w, point):
        """The points of one scenario stand in the order in which the work passes them: what the death at one has left
        passes the next."""
        if not w.is_dead or w.fell is not self.drive or self.plans and w.in_a_row == PLANNINGS - 1:
            self.idle(w, point)
        w.page.arm(point)
        w.start()
        w.work_until_death(self.drive, again=True)

    def busy(self, w, point):
        w.keep_busy(work.endless())
        self._die(w, point)

    def _die(self, w, point):
        if self.fresh:
            w.settle()
            w.kill()
            w.start()
        w.page.arm(point)
        w.work_until_death(self.drive)


def await_death(w):
    w.until("its death", lambda: False)


def leave(point, w):
    """A death that leaves a job as it stands there."""
    w.settle()
    w.page.arm(point)
    w.work_until_death(work.push_quick)


class Start(Scenario):
    """A point that the start itself passes. before: what is done before that; lose: what is gone besides."""

    def __init__(self, before=None, lose=lambda w: None):
        super().__init__(await_death)
        self.before, self.lose = before, lose

    def idle(self, w, point):
        w.rest()
        self._die(w, point)

    def recovering(self, w, point):
        if not w.is_dead or not w.why_not_settled():
            leave("job_begun", w)
        self._die(w, point)

    def busy(self, w, point):
        if w.fell is not await_death or not w.endless:
            w.keep_busy(work.endless())
        self._die(w, point)

    def _die(self, w, point):
        if self.before:
            w.settle()
            self.before(w)
        if not w.is_dead:
            w.kill()
        self.lose(w)
        w.die_at(point, self.drive)


class Left(Start):
    """A point at which a start does something with what a death at another has left."""

    def __init__(self, left_at):
        super().__init__(before=lambda w: leave(left_at, w))

    def recovering(self, w, point):
        """The death before this has met a recovery, too."""
        self.before(w)
        w.die_at("node_registered", self.drive)
        w.die_at(point, self.drive)


class Stop(Scenario):
    """A point on the way to an orderly end."""

    def __init__(self):
        super().__init__(work.stop)

    def recovering(self, w, point):
        leave("job_begun", w)
        w.die_at(point, self.drive)


HOLLOW, RICH, FRESH = Scenario(work.push_hollow, plans=True), Scenario(work.push_rich), Scenario(work.push_rich, fresh=True)
START, STOP = Start(), Stop()

# Of each scenario in the order of the passes.
SCENARIOS = {
    "key_written": Start(lose=work.lose_token),
    **dict.fromkeys("""state_locked redis_up node_registering node_registered left_known promoting promoted engine_listed
        engine_swept engine_up pruning pruned lease_renewing lease_renewed""".split(), START),
    **dict.fromkeys("redis_launching redis_launched".split(), Start(lose=work.lose_redis)),
    **dict.fromkeys("job_left job_requeueing job_requeued".split(), Left("job_begun")),
    "engine_removed": Left("container_made"),
    **dict.fromkeys("stop_beginning stop_jobs_gone stop_engines_gone stop_ending".split(), STOP),
    **dict.fromkeys("""hook_verified change_accepted change_answered plan_claiming plan_claimed fetch_beginning fetch_ended
        plan_made plan_recording plan_recorded outbox_claiming notice_claimed fanout_recording fanout_recorded status_sending
        status_sent status_acking status_acked""".split(), HOLLOW),
    "status_dropping": Scenario(work.push_deaf, plans=True),
    **dict.fromkeys("status_putting_off status_put_off".split(), Scenario(work.push_refused, plans=True)),
    "mirror_making": Scenario(work.push_to_new_repo, plans=True),
    **dict.fromkeys("submit_accepted commit_recording commit_recorded".split(), Scenario(work.start_by_hand, plans=True)),
    **dict.fromkeys("schedule_firing schedule_fired".split(), Scenario(work.let_schedule_be_due, plans=True)),
    **dict.fromkeys("rerun_asking rerun_recorded".split(), Scenario(work.push_and_rerun, plans=True)),
    "decision_recorded": Scenario(work.push_from_fork, plans=True),
    **dict.fromkeys("key_changing key_kept key_changed key_resealing key_resealed key_forgotten".split(),
                    Scenario(work.rotate_key)),
    **dict.fromkeys("""workspace_packed job_claiming job_claimed job_begun secrets_found workspace_ready
        files_gathered""".split(), RICH),
    **dict.fromkeys("""network_making network_made sandbox_ready container_making container_made container_starting
        container_started""".split(), FRESH),
    **dict.fromkeys("""start_recording start_recorded job_feeding job_fed log_text_written log_text_indexed segment_marked
        exit_seen output_drained collect_beginning report_recording report_recorded file_written file_named
        artifact_recording artifact_recorded cache_recording cache_recorded files_collected run_ended log_finishing
        log_synced result_recording result_recorded job_ended container_removing container_removed""".split(), RICH),
    **dict.fromkeys("artifacts_expired caches_pruned".split(), Scenario(work.expire_and_push)),
    "artifacts_removed": Start(before=work.push_and_delete_repo),
    "warm_taken": Scenario(work.push_two, warm=1),
    **dict.fromkeys("timeout_passed verdict_recording verdict_recorded".split(), Scenario(work.push_overdue)),
    **dict.fromkeys("script_ended job_held".split(), Scenario(work.push_failing_held)),
    **dict.fromkeys("cancel_asking cancel_recorded cancel_heard".split(), Scenario(work.push_and_cancel)),
    **dict.fromkeys("volume_making volume_made volume_removed".split(), Scenario(work.push_parts)),
    **dict.fromkeys("services_starting services_ready".split(), Scenario(work.push_service)),
    **dict.fromkeys("pull_beginning pull_ended".split(), Scenario(work.push_unknown_image)),
    **dict.fromkeys("""rollout_ready rollout_creating rollout_starting rollout_started rollout_gating rollout_stopping
        rollout_removing rollout_ended""".split(), Scenario(work.push_application)),
    "rollout_decided": Scenario(work.push_bad_application),
    **dict.fromkeys("image_building image_built image_recorded image_pushed".split(), Scenario(work.push_image)),
}


# (point, context), each point in each context: mixed, so that one daemon meets all contexts.
DEATHS = [(point, CONTEXTS[(i + turn) % len(CONTEXTS)]) for turn in range(len(CONTEXTS)) for i, point in enumerate(SCENARIOS)]


def chains(wanted):
    """Lists of deaths, each to be gone through by one daemon and checked at its end; with others under way at last."""
    wanted = [death for death in DEATHS if death in wanted]
    parts = [wanted[i:i + TOGETHER] for i in range(0, len(wanted), TOGETHER)]
    return [sorted(part, key=lambda death: death[1] == "busy") for part in parts]


def go_through(w, chain):
    """After that it comes to rest, and everything is as it should be."""
    for point, context in chain:
        scenario = SCENARIOS[point]
        w.keep_warm(scenario.warm)
        try:
            getattr(scenario, context)(w, point)
        except AssertionError as error:
            raise AssertionError(f"{point}, {context}: {error}") from error
    wrong = w.check()
    assert not wrong, f"after {chain}:\n" + "\n".join(map(str, wrong))
