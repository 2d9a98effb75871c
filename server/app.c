#include "server/app.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/recovery.h"
#include "server/app_conf.h"
#include "server/app_files.h"
#include "server/app_jobs.h"
#include "server/app_mirror.h"
#include "server/app_prune.h"
#include "server/app_rotate.h"
#include "server/app_sweep.h"
#include "server/app_watch.h"
#include "server/builder/builder.h"
#include "server/conf.h"
#include "server/controller/controller.h"
#include "server/core/child.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/core/reserve.h"
#include "server/core/systemd.h"
#include "server/core/zones.h"
#include "server/delivery/destinations.h"
#include "server/delivery/watch.h"
#include "server/handover.h"
#include "server/hook/hook.h"
#include "server/hook/polling.h"
#include "server/io/git.h"
#include "server/io/listening.h"
#include "server/io/redis.h"
#include "server/io/redis_server.h"
#include "server/mirror/mirror.h"
#include "server/notify/notify.h"
#include "server/scheduler/planner.h"
#include "server/scheduler/scheduler.h"
#include "server/scheduler/schedules.h"
#include "server/state_dir.h"
#include "server/store/file_store.h"
#include "server/store/log_store.h"
#include "server/store/store.h"
#include "server/takeover.h"

#define LEASE_MS 30000
#define LABELS_MAX 65536 /* of all engines */
#define PLANNING_MAX 4
#define BACKLOG_MAX 100000 /* accepted and not planned: about 100 MB in Redis; then forges get 503 */
#define STOP_MS 45000      /* below what systemd grants: TimeoutStopSec in conf/davit.service */

#define FDS_MAX 60 /* listening sockets and the lock, which a newer davitd inherits */

/* What STOP_JOBS waits for. */
enum { WAIT_JOBS = 1, WAIT_REQUESTS = 2, WAIT_OLDER = 4, WAIT_MIRROR = 8 };

/* How far a stop has come; what each state waits for stands beside its enter function. */
enum stop_state { STOP_NOT, STOP_JOBS, STOP_POOLS, STOP_REDIS, STOP_END };

struct app {
	const struct conf *conf;
	const struct app_start *start;
	struct takeover *takeover; /* of the place of an older davitd, until that has ended; NULL: the place is ours */
	struct handover *handover; /* to a newer one, from SIGUSR2 on */
	struct state_dir state_dir;
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	struct reserve *reserve;
	struct zones *zones;
	struct redis_server_conf redis_server_conf;
	struct redis_server *redis_server; /* NULL: an external Redis */
	struct redis *redis;
	struct store *store;
	struct log_store *logs;
	struct file_store *files;
	struct app_sweep *sweep;
	struct app_files_deps files_deps;
	struct git_conf git_conf;
	struct git *git;
	struct app_builder_conf builder_conf;
	struct builder *builder;
	struct destination_conf *destination_confs;
	struct destinations *destinations; /* of applications */
	struct buf labels;                 /* of all engines */
	struct planner *planner;
	struct app_jobs *jobs;
	struct scheduler *scheduler;
	struct schedules *schedules;
	struct notify *notify;
	struct hook *hook;
	struct polling *polling; /* NULL: never */
	struct app_watch_deps watch_deps;
	struct watch *watch; /* likewise */
	struct upstream_rule *upstreams;
	char engine_token[65]; /* that engines show to the mirror */
	struct mirror *mirror; /* NULL: none is configured */
	struct controller *controller;
	struct app_prune *prune;
	struct app_rotate *rotate;
	struct loop_signal *term;
	struct loop_signal *interrupt;
	struct loop_signal *upgrade;
	enum stop_state stop;
	unsigned stop_waits;
	bool stops_all; /* SIGINT: running jobs and our Redis end too */
	bool ready;
	bool is_recovered; /* every job of an earlier process is known */
	bool is_begun;     /* the builder is */
	struct timer *stop_timer;
};

static void stop_step(struct app *app, enum stop_state next);
static void stop_arrived(struct app *app, unsigned what);

/* --- what one component hands to the next --- */

static size_t
offers(void *arg, const char **ret, size_t max)
{
	struct app *app = arg;

	return builder_offers(app->builder, ret, max);
}

/* What an engine says of itself is known when it has been up. */
static const char *
labels(void *arg)
{
	struct app *app = arg;

	buf_reset(&app->labels);
	builder_labels(app->builder, &app->labels);
	return app->labels.data;
}

static void
on_claimed(void *arg, struct job *job, struct build *build)
{
	struct app *app = arg;
	bool stopping = app->stop != STOP_NOT; /* the claim was on its way then */
	struct engine *slot = stopping ? NULL : builder_take(app->builder, job->labels);

	if (slot != NULL) {
		app_jobs_start(app->jobs, job, build, slot);
		return;
	}
	scheduler_release(app->scheduler, job->id);
	scheduler_requeue(
	    app->scheduler, &job, stopping ? "davitd was stopped" : "its engine went away before it began");
	build_free(&build);
}

static void
on_stop_job(void *arg, const char *job, enum scheduler_stop why)
{
	struct app *app = arg;

	app_jobs_stop(app->jobs, job, why);
}

/* What has no container goes back into the queue; so does what comes to light when the engines are in use, whose sweep
 * has removed the container. The next attempt's has a name of its own. */
static void
on_left_job(void *arg, struct job *job)
{
	struct app *app = arg;
	bool is_own = strcmp(job->node, app->conf->node) == 0;

	if (app->stop != STOP_NOT || app_jobs_has(app->jobs, job->id)) {
		job_free(&job); /* it is who comes after us that looks at it; or ours, renewed too late, not lost */
		return;
	}
	if (is_own && !app->is_begun && job->container[0] != '\0') {
		scheduler_adopt(app->scheduler, &job);
		return;
	}
	scheduler_requeue(
	    app->scheduler, &job, is_own ? recovery_find(RECOVERY_UNSTARTED)->reason : "its node went away");
}

static void
on_adopted(void *arg, struct job *job, struct build *build)
{
	struct app *app = arg;

	if (app->stop == STOP_NOT) {
		app_jobs_adopt(app->jobs, job, build);
		return;
	}
	job_free(&job); /* whoever comes after us adopts it */
	build_free(&build);
}

/* The builder removes what it does not know, so it begins when it knows all that goes on. */
static void
begin_builder(void *arg)
{
	struct app *app = arg;

	if (app->stop != STOP_NOT || app->is_begun || !app->is_recovered || !app_jobs_are_placed(app->jobs))
		return;
	app->is_begun = true;
	builder_begin(app->builder);
}

static void
on_recovered(void *arg)
{
	struct app *app = arg;

	app->is_recovered = true;
	begin_builder(app);
}

static void
on_job_end(void *arg, const char *job, bool is_left)
{
	struct app *app = arg;

	if (!is_left) /* else its lease is held until the end, so that no other node takes it for lost */
		scheduler_release(app->scheduler, job);
	if (app->stop == STOP_JOBS && app_jobs_count(app->jobs) == 0)
		stop_arrived(app, WAIT_JOBS);
}

static void
on_slot(void *arg)
{
	struct app *app = arg;

	if (app->scheduler != NULL)
		scheduler_slots_changed(app->scheduler);
}

static bool
on_rotate_key(void *arg, struct err *err)
{
	struct app *app = arg;

	if (app->handover != NULL || app->takeover != NULL)
		return err_set(
		    err, ERR_CONFLICT, 0, "a newer davitd is about to take this one's place: try again then");
	return app_rotate_begin(app->rotate, err);
}

/* What it would do now, the newer one does: nothing of it is worth keeping, and an orderly end would touch what is not
 * ours any more. */
static void
end_fenced(const struct app *app)
{
	log_error(
	    "another davitd of the name %s has started on this Redis: this one ends (node: gives each its own name)",
	    app->conf->node);
	_exit(1);
}

static void
come_up(struct app *app)
{
	if (app->takeover != NULL) {
		takeover_ready(app->takeover);
	} else if (!app->ready) {
		app->ready = true;
		log_info("ready");
		app_rotate_resume(app->rotate);
		app_prune_start(app->prune);
		app_sweep_soon(app->sweep);
	}
}

/* While an older davitd still has the node, its scheduler and its notifier are those that hear. */
static void
on_wake(void *arg, const char *line)
{
	struct app *app = arg;

	if (strcmp(line, "fenced") == 0)
		end_fenced(app);
	if (strcmp(line, "up") == 0)
		come_up(app);
	if (app->stop > STOP_JOBS)
		return; /* they are going, in their turn */
	if (app->takeover == NULL) {
		scheduler_wake(app->scheduler, line);
		schedules_wake(app->schedules, line);
		polling_wake(app->polling, line);
		watch_wake(app->watch, line);
		notify_wake(app->notify, line);
	}
	controller_wake(app->controller, line);
}

/* --- stop --- */

static void
on_requests_answered(void *arg)
{
	stop_arrived(arg, WAIT_REQUESTS);
}

static void
on_mirror_left(void *arg)
{
	stop_arrived(arg, WAIT_MIRROR);
}

/* First ours stops to accept, then the newer one begins to: whoever comes in between waits in the kernel. The mirror's
 * clients wait until this process has ended, as its folder is one process' alone. */
static void
leave_place(struct app *app)
{
	app->stop_waits |= WAIT_REQUESTS | (app->mirror != NULL ? WAIT_MIRROR : 0);
	controller_leave(app->controller, on_requests_answered, app);
	if (app->mirror != NULL)
		mirror_leave(app->mirror, on_mirror_left, app);
	handover_go(app->handover);
}

static void
end_jobs(struct app *app)
{
	if (app->stops_all) {
		app_jobs_suspend(app->jobs);
	} else {
		builder_drain(app->builder);
		app_jobs_detach(app->jobs);
	}
	if (app_jobs_count(app->jobs) > 0)
		log_info("stopping: %u jobs end or are put back into the queue", app_jobs_count(app->jobs));
	else
		stop_arrived(app, WAIT_JOBS);
}

static void
enter_jobs(struct app *app)
{
	CRASH_POINT(stop_beginning);
	log_info("stopping: %u jobs are here", app_jobs_count(app->jobs));
	timer_start(app->stop_timer, STOP_MS);
	app->stop_waits = WAIT_JOBS | (app->takeover != NULL ? WAIT_OLDER : 0);
	scheduler_drain(app->scheduler);
	schedules_drain(app->schedules);
	polling_drain(app->polling);
	watch_drain(app->watch);
	if (app->handover != NULL) {
		leave_place(app);
	} else {
		systemd_notify("STOPPING=1");
		controller_drain(app->controller);
	}
	end_jobs(app);
}

static void
stop_arrived(struct app *app, unsigned what)
{
	bool waited = (app->stop_waits & what) != 0;

	app->stop_waits &= ~what;
	if (waited && app->stop_waits == 0)
		stop_step(app, STOP_POOLS);
}

static void
on_pools_gone(void *arg)
{
	stop_step(arg, STOP_REDIS);
}

static void
enter_pools(struct app *app)
{
	CRASH_POINT(stop_jobs_gone);
	controller_free(&app->controller); /* shows the builder's engines, and the mirror's figures */
	mirror_free(&app->mirror);
	builder_stop(app->builder, on_pools_gone, app);
}

static void
on_redis_gone(void *arg)
{
	stop_step(arg, STOP_END);
}

/* Components that talk to Redis go first, so that its end disturbs nobody. */
static void
enter_redis(struct app *app)
{
	CRASH_POINT(stop_engines_gone);
	app_prune_free(&app->prune);
	app_sweep_free(&app->sweep);
	app_rotate_free(&app->rotate);
	scheduler_free(&app->scheduler);
	schedules_free(&app->schedules);
	polling_free(&app->polling);
	watch_free(&app->watch);
	notify_free(&app->notify);
	if (app->redis_server != NULL && app->stops_all)
		redis_server_stop(app->redis_server, on_redis_gone, app);
	else
		stop_step(app, STOP_END);
}

static void
enter_end(struct app *app)
{
	CRASH_POINT(stop_ending);
	loop_stop(app->loop);
}

static void
enter_not(struct app *app)
{
	(void)app;
	assert(!"a stop has no way back");
}

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app *app);
} stop_states[] = {
	[STOP_NOT]   = { "running",             enter_not },
	[STOP_JOBS]  = { "jobs",                enter_jobs },
	[STOP_POOLS] = { "containers in stock", enter_pools },
	[STOP_REDIS] = { "redis",               enter_redis },
	[STOP_END]   = { "end",                 enter_end },
};
/* clang-format on */

static void
stop_step(struct app *app, enum stop_state next)
{
	log_debug("stop: %s -> %s", stop_states[app->stop].name, stop_states[next].name);
	app->stop = next;
	stop_states[next].enter(app);
}

/* What hangs (an engine, say) must not hold up a stop for ever. Nothing is lost: leases and the sweep find it again. */
static void
on_stop_timeout(void *arg)
{
	struct app *app = arg;

	log_error("stop: still waiting for %s after %d s: leaving it", stop_states[app->stop].name, STOP_MS / 1000);
	_exit(1);
}

static void
on_term(void *arg)
{
	struct app *app = arg;

	if (app->stop != STOP_NOT)
		return;
	handover_free(&app->handover); /* whom we have started and not let in */
	stop_step(app, STOP_JOBS);
}

static void
on_interrupt(void *arg)
{
	struct app *app = arg;

	app->stops_all = true;
	on_term(arg);
}

/* --- to a newer davitd --- */

static void
on_newer_ready(void *arg, const struct err *err)
{
	struct app *app = arg;

	if (err != NULL) {
		app->handover = NULL;
		log_error("handover: %s; this one goes on", err->text);
		systemd_notify("READY=1");
		return;
	}
	log_info("handover: davitd with pid %ld takes the place", (long)handover_pid(app->handover));
	systemd_notify("MAINPID=%ld", (long)handover_pid(app->handover));
	stop_step(app, STOP_JOBS);
}

static bool
may_hand_over(const struct app *app, struct err *err)
{
	if (app->stop != STOP_NOT || app->handover != NULL || app->takeover != NULL)
		return err_set(err, ERR_CONFLICT, 0, "one is under way, or a stop");
	if (app_rotate_is_active(app->rotate))
		return err_set(err, ERR_CONFLICT, 0, "the seal key is being changed; try again in a while");
	if (getpid() == 1)
		return err_set(
		    err, ERR_CONFLICT, 0, "the end of process 1 is that of its container; start another container");
	if (app->start->program == NULL)
		return err_set(err, ERR_NOT_FOUND, 0, "the path of the program is not known; restart it");
	return app->conf->listen.count + app->conf->mirror.listen.count < FDS_MAX ||
	       err_set(err, ERR_LIMIT, 0, "listen: and mirror.listen: have more than %d addresses; restart it",
		   FDS_MAX - 1);
}

/* In the order in which start() takes them: any socket fits port 0. */
static size_t
list_fds(const struct app *app, struct handover_fd ret[FDS_MAX])
{
	const struct listening *socket;
	size_t count = 0;

	ret[count++] = (struct handover_fd){ STATE_DIR_LOCK, app->state_dir.lock };
	for (size_t i = 0; app->mirror != NULL && (socket = mirror_socket(app->mirror, i)) != NULL; i++)
		ret[count++] = (struct handover_fd){ listening_name(socket), socket->fd };
	for (size_t i = 0; (socket = controller_socket(app->controller, i)) != NULL; i++)
		ret[count++] = (struct handover_fd){ listening_name(socket), socket->fd };
	return count;
}

static void
on_upgrade(void *arg)
{
	struct app *app = arg;
	const struct handover_conf conf = { .program = app->start->program, .argv = app->start->argv };
	struct handover_fd fds[FDS_MAX];
	struct err err;

	if (!may_hand_over(app, &err)) {
		log_error("no handover: %s", err.text);
		return;
	}
	log_info("handover: starting %s", conf.program);
	systemd_notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)loop_mono_ms() * 1000);
	app->handover = handover_start(app->loop, &conf, fds, list_fds(app, fds), on_newer_ready, app);
}

/* --- from an older davitd --- */

/* No other process has this node's name and state folder: what is left of older ones may go. */
static void
take_place(struct app *app)
{
	git_sweep(app->git);
	file_store_sweep(app->files);
	if (app->mirror != NULL)
		mirror_open(app->mirror);
}

static void
on_go(void *arg)
{
	struct app *app = arg;

	log_info("serving in the place of the older davitd");
	controller_accept(app->controller);
	systemd_notify("READY=1");
}

static void
on_older_ended(void *arg)
{
	struct app *app = arg;

	takeover_free(&app->takeover);
	if (app->stop != STOP_NOT) {
		stop_arrived(app, WAIT_OLDER);
		return;
	}
	take_place(app);
	if (store_is_up(app->store))
		on_wake(app, "up");
}

static void
on_older_lost(void *arg)
{
	struct app *app = arg;

	log_error("the older davitd has ended before it handed over: start davitd again");
	takeover_free(&app->takeover);
	if (app->stop != STOP_NOT)
		stop_arrived(app, WAIT_OLDER);
	else
		stop_step(app, STOP_JOBS);
}

static const struct takeover_events takeover_events = { on_go, on_older_ended, on_older_lost };

/* --- start --- */

/* What runs goes on as far as the room suffices. What has not begun loses nothing by waiting, and a forge delivers
 * again. */
static void
on_reserve(void *arg, bool is_full)
{
	struct app *app = arg;

	if (is_full)
		log_warn("the disk of %s is full: pushes are refused and no job is begun until there is room",
		    app->conf->state_dir);
	else
		log_info("the disk of %s has room again", app->conf->state_dir);
	store_refuse(app->store, is_full ? "the server's disk is full; see its log" : NULL);
	if (app->scheduler != NULL)
		scheduler_hold(app->scheduler, is_full);
}

/* With every write on disk before it is answered, Redis ends when it cannot write. */
static void
on_redis_end(void *arg)
{
	struct app *app = arg;

	if (app->reserve != NULL)
		reserve_look(app->reserve);
}

static bool
start_redis(struct app *app, struct err *err)
{
	const struct conf *conf = app->conf;
	struct app_redis_conf external;
	bool ok = true;

	if (conf->redis.url[0] == '\0') {
		app->redis_server_conf = (struct redis_server_conf){
			.state_dir = conf->state_dir,
			.binary = conf->redis.private_binary,
			.on_end = on_redis_end,
			.arg = app,
		};
		app->redis_server = redis_server_new(app->loop, &app->redis_server_conf, err);
		if (app->redis_server == NULL)
			return false;
		app->redis = redis_new(app->loop, redis_server_client(app->redis_server));
	} else if ((ok = app_conf_redis(conf, &external, err))) {
		app->redis = redis_new(app->loop, &external.conf);
		app_conf_redis_fini(&external);
	}
	return ok;
}

static bool
start_store(struct app *app, struct err *err)
{
	struct store_conf conf = { .node = app->conf->node, .lease_ms = LEASE_MS, .max_planning = BACKLOG_MAX };

	memcpy(conf.seal_key, app->state_dir.seal_key, sizeof(conf.seal_key));
	memcpy(conf.old_seal_key, app->state_dir.old_seal_key, sizeof(conf.old_seal_key));
	conf.has_old_seal_key = app->state_dir.has_old_seal_key;
	app->store = store_new(app->loop, app->redis, &conf);
	explicit_bzero(&conf, sizeof(conf));
	app->logs = log_store_new(app->loop, app->disk, app->conf->state_dir);
	app->files = file_store_new(app->disk, app->conf->state_dir, err);
	if (app->files == NULL)
		return false;
	app->prune = app_prune_new(app->loop, app->store, app->logs, app->files, app->conf->keep.builds);
	app->sweep =
	    app_sweep_new(app->loop, app->store, app->files, app->conf->caches.total_size, app->conf->caches.max_age_s);
	app->rotate = app_rotate_new(app->loop, app->disk, app->store, &app->state_dir);
	return true;
}

static bool
start_git(struct app *app, struct err *err)
{
	struct planner_conf planner_conf;

	app->git_conf = (struct git_conf){
		.state_dir = app->conf->state_dir,
		.ca_file = app_conf_file(app->conf->forge.ca),
		.allow_local = app->conf->git.allow_local,
		.fetch_timeout_ms = (int64_t)app->conf->git.timeout_s * 1000,
	};
	app->git = git_new(app->loop, app->children, app->disk, &app->git_conf, err);
	planner_conf = (struct planner_conf){ .full_clone = app->conf->git.full, .templates = app->conf->templates };
	if (app->git != NULL)
		app->planner = planner_new(app->loop, app->git, app->disk, &planner_conf);
	return app->git != NULL;
}

static void
on_cache(void *arg)
{
	struct app *app = arg;

	if (app->sweep != NULL)
		app_sweep_soon(app->sweep);
}

static void
set_files_deps(struct app *app)
{
	app->files_deps = (struct app_files_deps){
		.loop = app->loop,
		.store = app->store,
		.git = app->git,
		.files = app->files,
		.artifact_max = app->conf->artifacts.size,
		.artifact_job_max = app->conf->artifacts.job_size,
		.artifact_repo_max = app->conf->artifacts.repo_size,
		.artifact_expire_s = app->conf->artifacts.expire_s,
		.cache_max = app->conf->caches.size,
		.on_cache = on_cache,
		.arg = app,
	};
}

static void
start_builder(struct app *app)
{
	struct app_jobs_deps deps = { .on_end = on_job_end, .on_placed = begin_builder, .arg = app };

	set_files_deps(app);
	random_hex(app->engine_token, (sizeof(app->engine_token) - 1) / 2);
	app_conf_builder(app->conf, app->engine_token, &app->builder_conf);
	app->builder_conf.conf.disk = app->disk;
	app->builder_conf.conf.children = app->children;
	app->builder_conf.conf.waits = true;
	app->builder = builder_new(app->loop, &app->builder_conf.conf, on_slot, app);
	app->destination_confs = app_conf_destinations(&app->builder_conf);
	app->destinations = destinations_new(app->loop, app->destination_confs, app->builder_conf.conf.engine_count);
	deps.job = (struct app_job_deps){
		.loop = app->loop,
		.disk = app->disk,
		.store = app->store,
		.logs = app->logs,
		.git = app->git,
		.builder = app->builder,
		.destinations = app->destinations,
		.files = &app->files_deps,
		.url = app->conf->url,
		.timeout_s = app->conf->builder.timeout_s,
		.full_clone = app->conf->git.full,
		.pull_always = app->conf->builder.pull == CONF_PULL_ALWAYS,
	};
	app->jobs = app_jobs_new(&deps);
}

static void
start_scheduler(struct app *app)
{
	struct scheduler_deps deps = {
		.loop = app->loop,
		.store = app->store,
		.planner = app->planner,
		.node = { .url = app->conf->url, .version = PACKAGE_VERSION, .engines = app->conf->engines[0].url },
		.node_name = app->conf->node,
		.lease_ms = LEASE_MS,
		.planning_max = PLANNING_MAX,
		.labels = labels,
		.offers = offers,
		.on_claimed = on_claimed,
		.on_stop = on_stop_job,
		.on_left = on_left_job,
		.on_adopted = on_adopted,
		.on_recovered = on_recovered,
		.arg = app,
	};

	app->scheduler = scheduler_new(&deps);
	app->schedules = schedules_new(app->loop, app->store, app->zones);
}

static void
start_hook(struct app *app)
{
	const struct look_means means = {
		.loop = app->loop,
		.store = app->store,
		.git = app->git,
		.interval_ms = (int64_t)app->conf->hook.poll_s * 1000,
		.redelivery = { .url = app->conf->url, .ca_file = app_conf_file(app->conf->forge.ca) },
	};

	app->hook = hook_new(app->loop, app->disk, app->store);
	if (app->conf->hook.poll_s > 0)
		app->polling = polling_new(&means);
}

static void
start_watch(struct app *app)
{
	const struct watch_means means = {
		.loop = app->loop,
		.store = app->store,
		.destinations = app->destinations,
		.interval_ms = (int64_t)app->conf->hook.watch_s * 1000,
		.login = app_watch_login,
		.login_cancel = app_watch_login_cancel,
		.arg = &app->watch_deps,
	};

	app->watch_deps = (struct app_watch_deps){ .loop = app->loop, .disk = app->disk, .store = app->store };
	if (app->conf->hook.watch_s > 0)
		app->watch = watch_new(&means);
}

static bool
start_notify(struct app *app, struct err *err)
{
	struct notify_conf conf = {
		.url = app->conf->url, .mail_from = app->conf->smtp.from, .forge_ca = app_conf_file(app->conf->forge.ca)
	};
	struct app_smtp_conf smtp = { 0 };

	if (app->conf->smtp.url[0] != '\0') {
		if (!app_conf_smtp(app->conf, &smtp, err))
			return false;
		conf.smtp = &smtp.conf;
	}
	app->notify = notify_new(app->loop, app->store, app->logs, &conf, err);
	app_conf_smtp_fini(&smtp);
	return app->notify != NULL;
}

static const char *
on_token_name(void *arg, struct str token, bool *is_early)
{
	struct app *app = arg;

	*is_early = true;
	return app->controller != NULL ? controller_token_name(app->controller, token, is_early) : NULL;
}

static bool
start_mirror(struct app *app, struct err *err)
{
	const struct conf *conf = app->conf;
	struct mirror_conf mirror = {
		.loop = app->loop,
		.disk = app->disk,
		.state_dir = conf->state_dir,
		.listen = (const char *const *)conf->mirror.listen.items,
		.listen_count = conf->mirror.listen.count,
		.inherited = app->start->inherited,
		.rule_count = conf->mirror.upstream_count,
		.size = conf->mirror.size,
		.age_s = conf->mirror.max_age_s,
		.connects = conf->mirror.connect,
		.ca_file = app_conf_file(conf->mirror.ca),
		.registry = conf->mirror.registry,
		.access_log = app_conf_file(conf->mirror.access_log),
		.access_log_size = conf->mirror.access_log_size,
		.visitors = { on_token_name, app, app->engine_token },
	};
	const struct listening *socket;

	if (conf->mirror.listen.count == 0)
		return true;
	mirror.rules = app->upstreams = app_mirror_upstreams(conf, err);
	if (app->upstreams == NULL)
		return false;
	app->mirror = mirror_new(&mirror, err);
	for (size_t i = 0; app->mirror != NULL && (socket = mirror_socket(app->mirror, i)) != NULL; i++)
		log_info("mirror on %s", socket->address);
	return app->mirror != NULL;
}

static bool
start_controller(struct app *app, struct err *err)
{
	struct controller_deps deps = {
		.loop = app->loop,
		.store = app->store,
		.logs = app->logs,
		.files = app->files,
		.builder = app->builder,
		.hook = app->hook,
		.mirror = app->mirror,
		.zones = app->zones,
		.reserve = app->reserve,
		.listen = (const char *const *)app->conf->listen.items,
		.listen_count = app->conf->listen.count,
		.inherited = app->start->inherited,
		.waits = app->takeover != NULL,
		.trusted_proxies = (const char *const *)app->conf->trusted_proxies.items,
		.url = app->conf->url,
		.admin_token = app->state_dir.admin_token,
		.version = PACKAGE_VERSION,
		.rotate_key = on_rotate_key,
		.rotate_arg = app,
		.hook_body_max = app->conf->hook.max_body,
	};

	app->controller = controller_new(&deps, err);
	if (app->controller == NULL)
		return false;
	for (size_t i = 0; controller_address(app->controller, i) != NULL; i++)
		log_info("listening on %s", controller_address(app->controller, i));
	return true;
}

/* In the order of the arrows, from right to left. */
static bool
start(struct app *app, struct err *err)
{
	if (!state_dir_open(app->conf->state_dir, app->start->inherited, &app->state_dir, err))
		return false;
	app->loop = loop_new();
	app->takeover = takeover_new(app->loop, app->start->inherited, &takeover_events, app);
	app->children = children_new(app->loop);
	app->disk = disk_new(app->loop);
	app->zones = zones_new(app->loop, app->disk);
	app->stop_timer = timer_new(app->loop, on_stop_timeout, app);
	if (!start_redis(app, err))
		return false;
	if (!start_store(app, err) || !start_git(app, err))
		return false;
	start_builder(app);
	start_scheduler(app);
	app->reserve = reserve_new(app->loop, app->disk, app->conf->state_dir, on_reserve, app);
	start_hook(app);
	start_watch(app);
	if (!start_notify(app, err) || !start_mirror(app, err) || !start_controller(app, err))
		return false;
	store_on_wake(app->store, on_wake, app);
	app->term = loop_signal_new(app->loop, SIGTERM, on_term, app);
	app->interrupt = loop_signal_new(app->loop, SIGINT, on_interrupt, app);
	app->upgrade = loop_signal_new(app->loop, SIGUSR2, on_upgrade, app);
	if (app->takeover == NULL) {
		take_place(app);
		systemd_notify("READY=1"); /* forges have an answer from now on, if only that Redis is away */
	}
	return true;
}

struct app *
app_new(const struct conf *conf, const struct app_start *how, struct err *err)
{
	struct app *app = xcalloc(1, sizeof(*app));

	buf_init(&app->labels, LABELS_MAX);
	app->conf = conf;
	app->start = how;
	app->state_dir.lock = -1;
	if (start(app, err))
		return app;
	if (app->builder != NULL) { /* may have made something on an engine already */
		stop_step(app, STOP_POOLS);
		loop_run(app->loop);
	}
	app_free(&app);
	return NULL;
}

void
app_run(struct app *app)
{
	loop_run(app->loop);
}

/* In the reverse of the order in start(); each accepts what was never made. */
void
app_free(struct app **app)
{
	struct app *a = *app;

	if (a == NULL)
		return;
	*app = NULL;
	loop_signal_free(&a->term);
	loop_signal_free(&a->interrupt);
	loop_signal_free(&a->upgrade);
	takeover_free(&a->takeover);
	controller_free(&a->controller);
	mirror_free(&a->mirror);
	app_mirror_upstreams_free(&a->upstreams, a->conf->mirror.upstream_count);
	hook_free(&a->hook);
	notify_free(&a->notify);
	scheduler_free(&a->scheduler);
	schedules_free(&a->schedules);
	polling_free(&a->polling);
	watch_free(&a->watch);
	app_jobs_free(&a->jobs);
	planner_free(&a->planner);
	builder_free(&a->builder);
	destinations_free(&a->destinations);
	free(a->destination_confs);
	app_conf_builder_fini(&a->builder_conf);
	buf_fini(&a->labels);
	git_free(&a->git);
	app_prune_free(&a->prune);
	app_sweep_free(&a->sweep);
	file_store_free(&a->files);
	app_rotate_free(&a->rotate);
	log_store_free(&a->logs);
	store_free(&a->store);
	redis_free(&a->redis);
	redis_server_free(&a->redis_server);
	timer_free(&a->stop_timer);
	reserve_free(&a->reserve);
	zones_free(&a->zones);
	disk_free(&a->disk);
	children_free(&a->children);
	handover_free(&a->handover); /* behind all that uses the state folder: the newer davitd takes it for our end */
	loop_free(&a->loop);
	state_dir_close(&a->state_dir);
	free(a);
}
