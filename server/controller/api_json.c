#include "server/controller/api_json.h"

#include "proto/built_image.h"
#include "proto/mem.h"

/* A time that has not come is null. */
static void
member_ms(struct json_writer *w, const char *key, int64_t ms)
{
	json_write_key(w, key);
	if (ms != 0)
		json_write_int(w, ms);
	else
		json_write_null(w);
}

void
api_write_repo(struct json_writer *w, const struct repo *repo, const char *webhook)
{
	json_member_string(w, "id", repo->id);
	json_member_string(w, "name", repo->name);
	json_member_string(w, "url", repo->url);
	json_member_string(w, "forge", repo->forge);
	json_member_string(w, "api", repo->api);
	json_member_string(w, "web", repo->web);
	json_member_string(w, "webhook", webhook);
	json_member_string(w, "emails", repo->emails);
	json_member_bool(w, "statuses", repo->statuses);
	json_member_int(w, "max_running", repo->max_running);
	json_member_int(w, "weight", repo->weight);
	json_member_string(w, "events", *repo->events != '\0' ? repo->events : "push,tag,pull_request");
	json_member_string(w, "branches", repo->branches);
	json_member_string(w, "tags", repo->tags);
	json_member_string(w, "pulls", *repo->pulls != '\0' ? repo->pulls : "head");
	json_member_string(w, "forks", *repo->forks != '\0' ? repo->forks : "approve");
	json_member_int(w, "approval_s", repo->approval_s);
	json_write_key(w, "parameters");
	json_write_raw(w, repo->parameters != NULL && *repo->parameters != '\0' ? str_of(repo->parameters) : STR("[]"));
	json_member_int(w, "priority", repo->priority);
	json_member_int(w, "running", repo->running);
	member_ms(w, "created_ms", repo->created_ms);
	json_member_string(w, "poll_error", repo->poll_error != NULL ? repo->poll_error : "");
}

/* "1 3" as [1,3]. */
static void
member_numbers(struct json_writer *w, const char *key, const char *text)
{
	struct str rest = str_of(text);
	uint64_t n;

	json_write_key(w, key);
	json_write_array_open(w);
	while (rest.len > 0)
		if (str_to_u64(str_cut(&rest, ' '), INT64_MAX, &n))
			json_write_int(w, (int64_t)n);
	json_write_array_close(w);
}

static void
write_graph(struct json_writer *w, const struct job *job)
{
	member_numbers(w, "needs", job->needs);
	json_member_string(w, "run_on", job->run_on[0] != '\0' ? job->run_on : "success");
	json_member_bool(w, "allow_failure", job->allow_failure);
	json_member_string(w, "labels", job->labels);
	json_member_string(w, "group", job->group);
	json_member_int(w, "priority", job->priority);
	json_member_string(w, "history", job->history);
	json_member_string(w, "reused_from", job->reused_from);
	json_member_string(w, "environment", job->environment);
}

void
api_write_schedule(struct json_writer *w, const struct schedule *schedule)
{
	json_write_object_open(w);
	json_member_string(w, "name", schedule->name);
	json_member_string(w, "cron", schedule->rule);
	json_member_string(w, "timezone", schedule->zone);
	json_member_string(w, "branch", schedule->branch);
	json_write_key(w, "parameters");
	json_write_raw(w, schedule->params[0] != '\0' ? str_of(schedule->params) : STR("{}"));
	member_ms(w, "next_ms", schedule->next_ms);
	member_ms(w, "last_ms", schedule->last_ms);
	json_member_int(w, "last_build", schedule->last_build);
	json_write_object_close(w);
}

static void
member_str(struct json_writer *w, const char *key, struct str value)
{
	json_write_key(w, key);
	json_write_str(w, value);
}

/* That were built, or deployed. */
static void
write_images(struct json_writer *w, const char *images)
{
	struct str rest = str_of(images);
	struct built_image image;

	json_write_key(w, "images");
	json_write_array_open(w);
	while (built_image_next(&rest, &image)) {
		json_write_object_open(w);
		member_str(w, "name", image.name);
		member_str(w, "reference", image.reference);
		json_write_object_close(w);
	}
	json_write_array_close(w);
}

void
api_write_deployment(struct json_writer *w, const struct deployment *d)
{
	json_write_object_open(w);
	json_member_int(w, "deployment", d->number);
	json_member_string(w, "repo", d->repo);
	json_member_string(w, "environment", d->environment);
	json_member_int(w, "build", d->build);
	json_member_string(w, "job", d->job);
	json_member_string(w, "event", d->event);
	json_member_string(w, "ref", d->ref);
	json_member_string(w, "commit", d->commit);
	json_member_string(w, "image", d->image);
	write_images(w, d->images);
	json_member_string(w, "person", d->person);
	json_member_string(w, "approved_by", d->approved_by);
	json_member_string(w, "state", job_state_name(d->state));
	json_member_string(w, "reason", d->reason);
	json_member_int(w, "attempt", d->attempt);
	json_member_string(w, "history", d->history);
	json_member_int(w, "redeploys", d->redeploys);
	member_ms(w, "created_ms", d->created_ms);
	member_ms(w, "started_ms", d->started_ms);
	member_ms(w, "finished_ms", d->finished_ms);
	json_write_object_close(w);
}

void
api_write_environment(struct json_writer *w, const struct environment *environment, const struct deployment *deployment)
{
	const char *variables = environment->variables;

	json_write_object_open(w);
	json_member_string(w, "repo", environment->repo);
	json_member_string(w, "name", environment->name);
	json_member_string(w, "kind", environment->kind);
	json_member_string(w, "engine", environment->engine);
	json_member_string(w, "image", environment->image);
	json_member_string(w, "command", environment->command);
	json_write_key(w, "variables");
	json_write_raw(w, variables[0] != '\0' ? str_of(variables) : STR("{}"));
	json_member_string(w, "events", environment->events);
	json_member_string(w, "branches", environment->branches);
	json_member_string(w, "tags", environment->tags);
	json_member_string(w, "deployers", environment->deployers);
	json_member_string(w, "watch", environment->watch);
	json_member_string(w, "watch_digest", environment->watch_digest);
	json_member_string(w, "watch_error", environment->watch_error);
	json_member_bool(w, "approve", environment->approve);
	json_member_string(w, "locked_by", environment->locked_by);
	json_member_string(w, "lock_reason", environment->lock_reason);
	member_ms(w, "locked_ms", environment->locked_ms);
	json_member_int(w, "deployed", environment->deployed);
	member_ms(w, "deployed_ms", environment->deployed_ms);
	json_member_int(w, "open", environment->open);
	member_ms(w, "created_ms", environment->created_ms);
	if (deployment != NULL && deployment->number != 0) {
		json_write_key(w, "deployment");
		api_write_deployment(w, deployment);
	}
	json_write_object_close(w);
}

void
api_write_job(struct json_writer *w, const struct job *job)
{
	json_write_object_open(w);
	json_member_string(w, "id", job->id);
	json_member_int(w, "build", job->build);
	json_member_string(w, "repo", job->repo);
	json_member_string(w, "name", job->name);
	json_member_string(w, "state", job_state_name(job->state));
	json_member_string(w, "reason", job->reason);
	json_member_string(w, "waits_for", job->waits_for);
	json_member_int(w, "attempt", job->attempt);
	json_member_string(w, "image", job->image);
	write_images(w, job->images);
	write_graph(w, job);
	json_member_string(w, "node", job->node);
	json_member_string(w, "engine", job->engine);
	json_member_int(w, "exit_code", job->exit_code);
	json_member_bool(w, "cancel", job->cancel);
	json_member_int(w, "log_bytes", job->log_bytes);
	member_ms(w, "queued_ms", job->queued_ms);
	member_ms(w, "started_ms", job->started_ms);
	member_ms(w, "finished_ms", job->finished_ms);
	json_write_object_close(w);
}

static void
write_change(struct json_writer *w, const struct change *change)
{
	json_member_string(w, "message", change->message);
	json_member_string(w, "author_email", change->author_email);
	json_member_string(w, "sender", change->sender);
	json_member_string(w, "web_url", change->web_url);
	json_member_string(w, "before", change->before);
	json_member_int(w, "pull_number", change->pull_number);
	json_write_key(w, "parameters");
	if (change->params != NULL)
		json_write_raw(w, str_of(change->params));
	else
		json_write_null(w);
	json_member_string(w, "trust", change->trust == CHANGE_FORK ? "fork" : "trusted");
}

/* Coverage in hundredths of a percent; null: nothing was said of it. */
static void
member_coverage(struct json_writer *w, const char *key, const char *text)
{
	uint64_t n;

	json_write_key(w, key);
	if (str_to_u64(str_of(text), 10000, &n))
		json_write_int(w, (int64_t)n);
	else
		json_write_null(w);
}

static void
write_tests(struct json_writer *w, const struct build *build)
{
	json_member_int(w, "tests", build->tests);
	json_member_int(w, "tests_failed", build->tests_failed);
	member_coverage(w, "coverage", build->coverage);
	member_coverage(w, "coverage_before", build->coverage_before);
}

void
api_write_build(struct json_writer *w, const struct build *build)
{
	json_write_object_open(w);
	json_member_int(w, "build", build->build);
	json_member_string(w, "repo", build->repo);
	json_member_string(w, "state", build_state_name(build->state));
	json_member_string(w, "reason", build->reason);
	json_member_string(w, "event", build->event);
	json_member_string(w, "ref", build->ref);
	json_member_string(w, "branch", build->branch);
	json_member_string(w, "commit", build->commit);
	json_member_string(w, "title", build->title);
	json_member_string(w, "author", build->author);
	json_member_string(w, "warnings", build->warnings);
	json_member_int(w, "rerun_of", build->rerun_of);
	json_member_string(w, "base", build->base);
	json_member_string(w, "built", build->built);
	json_member_string(w, "approved_by", build->approved_by);
	json_member_string(w, "rerun_jobs", build->rerun_jobs);
	write_tests(w, build);
	json_member_bool(w, "cancel", build->cancel);
	json_member_int(w, "job_total", build->job_total);
	json_member_int(w, "jobs_left", build->jobs_left);
	member_ms(w, "created_ms", build->created_ms);
	member_ms(w, "started_ms", build->started_ms);
	member_ms(w, "finished_ms", build->finished_ms);
	if (build->change != NULL)
		write_change(w, build->change);
	json_write_key(w, "jobs");
	json_write_array_open(w);
	for (size_t i = 0; i < build->job_count; i++)
		api_write_job(w, &build->jobs[i]);
	json_write_array_close(w);
	json_write_object_close(w);
}

char *
api_build_text(const struct build *build)
{
	struct json_writer *w = json_writer_new(API_JSON_MAX);

	api_write_build(w, build);
	return json_writer_finish(&w, NULL);
}
