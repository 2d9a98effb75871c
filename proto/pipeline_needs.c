/* needs: which jobs must have ended before a job begins. The plan's jobs come to stand behind what they need, otherwise
 * in the file's order; a circle is an error that says it. */
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"

/* --- reading --- */

static const struct pipeline_field need_fields[] = {
	{ "job", pipeline_read_text, offsetof(struct need_spec, name) },
	{ "files", pipeline_read_bool, offsetof(struct need_spec, files) },
};

void
pipeline_add_need(struct draft *draft, const char *name, const struct yml_node *at, bool files)
{
	struct draft_need *need = pipeline_append(&draft->needs, &draft->need_count, sizeof(*draft->needs));

	*need = (struct draft_need){ .name = name, .at = at, .files = files };
}

/* {job: NAME, files: no} */
static bool
read_mapping(struct pipeline *p, const struct yml_node *node, struct draft *draft)
{
	struct need_spec need = { .files = true };
	bool ok = PIPELINE_READ_FIELDS(p, node, "needs", need_fields, &need);

	if (ok && need.name == NULL)
		ok = yml_err(p->doc, node, p->err, "needs wants job: and the name of one");
	if (ok)
		pipeline_add_need(draft, yml_text(yml_get(node, "job")), node, need.files);
	free(need.name);
	return ok;
}

static bool
read_item(struct pipeline *p, const char *name, const struct yml_node *node, struct draft *draft)
{
	if (yml_type(node) == YML_NULL)
		return true;
	if (draft->need_count == PIPELINE_JOBS_MAX)
		return yml_err(p->doc, node, p->err, "%s has more than %d items", name, PIPELINE_JOBS_MAX);
	if (yml_type(node) == YML_MAPPING)
		return read_mapping(p, node, draft);
	if (yml_type(node) != YML_SCALAR)
		return pipeline_wants(p, node, name, "names of jobs");
	pipeline_add_need(draft, yml_text(node), node, true);
	return true;
}

bool
pipeline_read_needs(struct pipeline *p, const char *name, const struct yml_node *value, struct draft *draft)
{
	if (yml_type(value) != YML_SEQUENCE)
		return read_item(p, name, value, draft);
	for (size_t i = 0; i < yml_count(value); i++)
		if (!read_item(p, name, yml_at(value, i), draft))
			return false;
	return true;
}

/* --- the graph --- */

/* How far a job has come in being put into the plan. */
enum mark { MARK_NEW, MARK_OPEN, MARK_DONE };

struct named {
	const char *name;
	size_t draft;
	size_t job; /* SIZE_MAX: the draft itself */
};

struct graph {
	struct pipeline *p;
	struct job_spec *old; /* in the file's order */
	struct named *names;  /* sorted */
	size_t name_count;
	enum mark *marks; /* of drafts */
	size_t *path;     /* drafts that are open, from the first to the one in hand */
	size_t depth;
	unsigned *numbers; /* of old jobs in the new order, from 1 */
	size_t placed;
	size_t *seen; /* by number: where the job in hand has it among its needs, from 1 */
};

static bool
unknown_job(struct pipeline *p, const struct draft_need *need)
{
	struct nearest near = nearest_to(need->name);
	char hint[100];

	for (size_t i = 0; i < p->draft_count; i++)
		nearest_offer(&near, p->drafts[i].name);
	return yml_err(p->doc, need->at, p->err, "there is no job \"%.60s\"%s", need->name, nearest_hint(&near, hint));
}

static int
by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* The drafts, and the jobs of those with a matrix. */
static void
index_names(struct graph *g)
{
	const struct pipeline *p = g->p;

	g->names = xcalloc(p->draft_count + p->plan->job_count + 1, sizeof(*g->names));
	for (size_t i = 0; i < p->draft_count; i++)
		g->names[g->name_count++] = (struct named){ p->drafts[i].name, i, SIZE_MAX };
	for (size_t i = 0; i < p->plan->job_count; i++)
		if (strcmp(p->plan->jobs[i].name, p->drafts[p->owners[i]].name) != 0)
			g->names[g->name_count++] = (struct named){ p->plan->jobs[i].name, p->owners[i], i };
	qsort(g->names, g->name_count, sizeof(*g->names), by_name);
}

static bool
check_names(const struct graph *g)
{
	const struct pipeline *p = g->p;

	for (size_t i = 1; i < g->name_count; i++)
		if (strcmp(g->names[i - 1].name, g->names[i].name) == 0)
			return yml_err(p->doc, p->drafts[g->names[i].draft].key, p->err,
			    "two jobs have the name \"%.100s\"", g->names[i].name);
	return true;
}

static bool
find_all(struct graph *g)
{
	struct pipeline *p = g->p;

	for (size_t i = 0; i < p->draft_count; i++) {
		for (size_t k = 0; k < p->drafts[i].need_count; k++) {
			struct draft_need *need = &p->drafts[i].needs[k];
			struct named key = { .name = need->name }, *found;

			found = bsearch(&key, g->names, g->name_count, sizeof(key), by_name);
			if (found == NULL)
				return unknown_job(p, need);
			need->draft = found->draft;
			need->job = found->job;
		}
	}
	return true;
}

/* "a needs b needs a" */
static bool
refuse_circle(struct graph *g, size_t draft, const struct yml_node *at)
{
	struct buf b;
	size_t first = 0;

	buf_init(&b, 200);
	while (g->path[first] != draft)
		first++;
	for (size_t i = first; i < g->depth; i++)
		buf_addf(&b, "%.40s needs ", g->p->drafts[g->path[i]].name);
	yml_err(g->p->doc, at, g->p->err, "the needs go in a circle: %s%.40s", b.data, g->p->drafts[draft].name);
	buf_fini(&b);
	return false;
}

static void
place(struct graph *g, const struct draft *draft)
{
	for (size_t i = draft->first; i < draft->first + draft->count; i++) {
		g->p->plan->jobs[g->placed] = g->old[i];
		g->numbers[i] = (unsigned)++g->placed;
	}
}

static bool visit(struct graph *g, size_t draft, const struct yml_node *at);

static bool
visit_needs(struct graph *g, const struct draft *draft)
{
	for (size_t i = 0; i < draft->need_count; i++)
		if (!visit(g, draft->needs[i].draft, draft->needs[i].at))
			return false;
	for (size_t i = 0; draft->form == FORM_STAGES && i < g->p->draft_count; i++)
		if (g->p->drafts[i].stage < draft->stage && !visit(g, i, draft->key))
			return false;
	return true;
}

/* Depth first, at most as deep as there are jobs. */
static bool
visit(struct graph *g, size_t draft, const struct yml_node *at)
{
	if (g->marks[draft] == MARK_DONE)
		return true;
	if (g->marks[draft] == MARK_OPEN)
		return refuse_circle(g, draft, at);
	g->marks[draft] = MARK_OPEN;
	g->path[g->depth++] = draft;
	if (!visit_needs(g, &g->p->drafts[draft]))
		return false;
	g->depth--;
	g->marks[draft] = MARK_DONE;
	place(g, &g->p->drafts[draft]);
	return true;
}

/* --- the jobs' own needs --- */

/* Once, whatever names it; with its files when one of them says so. */
static void
add_job(struct graph *g, struct job_spec *job, size_t old, bool files)
{
	unsigned number = g->numbers[old];
	const struct job_spec *needed = &g->p->plan->jobs[number - 1];
	struct need_spec *need;

	if (g->seen[number] == 0) {
		need = pipeline_append(&job->needs, &job->need_count, sizeof(*job->needs));
		*need = (struct need_spec){ .job = number, .name = xstrdup(needed->name) };
		g->seen[number] = job->need_count;
	}
	if (files && needed->artifact_count > 0)
		job->needs[g->seen[number] - 1].files = true;
}

/* Whoever needs an image of several platforms needs their list. */
static void
add_draft(struct graph *g, struct job_spec *job, const struct draft *needed, bool files)
{
	size_t end = needed->first + needed->count;

	for (size_t i = needed->first; i < end; i++)
		if (!pipeline_is_part(g->old, i, end))
			add_job(g, job, i, files);
}

/* old: the job's place in the file's order. */
static void
fill_needs(struct graph *g, struct job_spec *job, const struct draft *draft, size_t old)
{
	memset(g->seen, 0, (g->p->plan->job_count + 1) * sizeof(*g->seen));
	for (size_t i = 0; i < draft->need_count; i++) {
		const struct draft_need *need = &draft->needs[i];

		if (need->job != SIZE_MAX)
			add_job(g, job, need->job, need->files);
		else
			add_draft(g, job, &g->p->drafts[need->draft], need->files);
	}
	for (size_t i = 0; draft->form == FORM_STAGES && i < g->p->draft_count; i++)
		if (g->p->drafts[i].stage < draft->stage)
			add_draft(g, job, &g->p->drafts[i], false);
	for (size_t i = old - pipeline_parts_of(job); i < old; i++)
		add_job(g, job, i, false);
}

static int
by_number(const void *a, const void *b)
{
	const struct need_spec *x = a, *y = b;

	return x->job < y->job ? -1 : x->job > y->job;
}

static void
fill_all(struct graph *g)
{
	for (size_t i = 0; i < g->p->draft_count; i++) {
		const struct draft *draft = &g->p->drafts[i];

		for (size_t k = draft->first; k < draft->first + draft->count; k++) {
			struct job_spec *job = &g->p->plan->jobs[g->numbers[k] - 1];

			fill_needs(g, job, draft, k);
			if (job->need_count > 1)
				qsort(job->needs, job->need_count, sizeof(*job->needs), by_number);
		}
	}
}

/* A dependency of the form with stages hands over all it has, unless it says what. */
static void
give_files(struct pipeline *p)
{
	for (size_t i = 0; i < p->draft_count; i++)
		for (size_t k = 0; p->drafts[i].form == FORM_STAGES && k < p->drafts[i].need_count; k++)
			p->drafts[p->drafts[i].needs[k].draft].gives_all = true;
	for (size_t i = 0; i < p->plan->job_count; i++) {
		struct job_spec *job = &p->plan->jobs[i];
		struct artifact_spec *artifact;

		if (!p->drafts[p->owners[i]].gives_all || job->kind != JOB_KIND_SCRIPT || job->artifact_count > 0)
			continue;
		artifact = pipeline_append(&job->artifacts, &job->artifact_count, sizeof(*job->artifacts));
		artifact->name = xstrdup("workspace");
		strings_add(&artifact->paths, STR("**"));
	}
}

static bool
order(struct graph *g)
{
	for (size_t i = 0; i < g->p->draft_count; i++)
		if (!visit(g, i, g->p->drafts[i].key))
			return false;
	fill_all(g);
	return true;
}

static bool
order_jobs(struct graph *g)
{
	struct plan *plan = g->p->plan;
	size_t drafts = g->p->draft_count + 1, jobs = plan->job_count + 1;
	bool ok;

	g->old = plan->jobs;
	g->marks = xcalloc(drafts, sizeof(*g->marks));
	g->path = xcalloc(drafts, sizeof(*g->path));
	g->numbers = xcalloc(jobs, sizeof(*g->numbers));
	g->seen = xcalloc(jobs, sizeof(*g->seen));
	plan->jobs = xcalloc(jobs, sizeof(*plan->jobs));
	ok = order(g);
	if (ok) {
		free(g->old); /* its jobs were moved */
	} else {
		free(plan->jobs);
		plan->jobs = g->old;
	}
	free(g->marks);
	free(g->path);
	free(g->numbers);
	free(g->seen);
	return ok;
}

bool
pipeline_settle_needs(struct pipeline *p)
{
	struct graph g = { .p = p };
	bool ok;

	index_names(&g);
	ok = check_names(&g) && find_all(&g);
	if (ok) {
		give_files(p);
		ok = order_jobs(&g);
	}
	free(g.names);
	return ok;
}
