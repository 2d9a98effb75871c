/* .drone.yml (docs.drone.io/pipeline/docker) and .woodpecker.yml (woodpecker-ci.org/docs/usage): one workspace, steps
 * with an image each, services beside them: one job with steps here. */
#include "proto/convert_private.h"

#include <string.h>

#include "proto/buf.h"

enum { IMAGE_MAX = 4096 };

/* --- a step --- */

/* Whether text begins with the ${NAME} of an axis of the matrix; its name. */
static bool
is_axis(const struct convert *c, const char *text, struct str *name)
{
	const struct yml_node *matrix = yml_get(yml_root(c->in), "matrix");

	if (strncmp(text, "${", 2) != 0)
		return false;
	*name = (struct str){ text + 2, strcspn(text + 2, "}") };
	for (size_t i = 0; text[2 + name->len] == '}' && i < yml_count(matrix); i++)
		if (yml_type(matrix) == YML_MAPPING && str_is(*name, yml_text(yml_key_at(matrix, i))))
			return true;
	return false;
}

static void
take_image(struct convert *c, const struct yml_node *value, struct ymlw_node *to)
{
	struct buf image;
	struct str name;

	buf_init(&image, IMAGE_MAX);
	for (const char *s = yml_text(value); *s != '\0'; s++) {
		if (!is_axis(c, s, &name)) {
			buf_addc(&image, *s);
			continue;
		}
		buf_addf(&image, "${matrix.%.*s}", (int)name.len, name.p);
		s = name.p + name.len;
	}
	ymlw_set(c->out, to, "image", ymlw_text(c->out, buf_str(&image)));
	buf_fini(&image);
}

static void
take_commands(struct convert *c, const struct yml_node *value, struct ymlw_node *step)
{
	convert_add(c, step, "script", value, NULL);
}

static void
take_env(struct convert *c, const struct yml_node *value, struct ymlw_node *to)
{
	convert_env(c, value, to);
}

/* secrets: [NAME, {source: name, target: NAME}] */
static struct ymlw_node *
secret(struct convert *c, const struct yml_node *item)
{
	const struct yml_node *source = yml_get(item, "source"), *target = yml_get(item, "target");
	struct ymlw_node *to;

	if (source == NULL || target == NULL)
		return yml_type(item) == YML_SCALAR ? ymlw_text(c->out, str_of(yml_text(item))) : NULL;
	to = ymlw_mapping(c->out);
	ymlw_set(c->out, to, "name", ymlw_text(c->out, str_of(yml_text(source))));
	ymlw_set(c->out, to, "as", ymlw_text(c->out, str_of(yml_text(target))));
	return to;
}

static void
take_secrets(struct convert *c, const struct yml_node *value, struct ymlw_node *to)
{
	(void)to;
	convert_add(c, c->job, "secrets", value, secret);
}

/* clang-format off */
static const struct convert_key step_keys[] = {
	{ "image",       take_image,    NULL },
	{ "commands",    take_commands, NULL },
	{ "environment", take_env,      NULL },
	{ "secrets",     take_secrets,  NULL },
	{ "name",        NULL, NULL },
	{ "pull",        NULL, NULL },
	{ "group",       NULL, "steps run one after the other" },
	{ "depends_on",  NULL, "steps run one after the other; what may run at the same time is a job of its own" },
	{ "when",        NULL, "a condition belongs to a job: make the step one, with when:" },
	{ "settings",    NULL, "plugins are not run: write what it does as commands" },
	{ "detach",      NULL, "write it below services:" },
	{ "volumes",     NULL, "nothing of the host is mounted; see cache:" },
	{ "privileged",  NULL, "no container is privileged" },
	{ "failure",     NULL, "make the step a job with allow_failure: true" },
};

static const struct convert_key service_keys[] = {
	{ "image",       take_image, NULL },
	{ "environment", take_env,   NULL },
	{ "name",        NULL, NULL },
	{ "ports",       NULL, NULL },
	{ "detach",      NULL, NULL },
	{ "pull",        NULL, NULL },
	{ "commands",    NULL, "a service runs what its image starts" },
	{ "volumes",     NULL, "nothing of the host is mounted" },
};
/* clang-format on */

#define STEP_KEY_COUNT (sizeof(step_keys) / sizeof(step_keys[0]))
#define SERVICE_KEY_COUNT (sizeof(service_keys) / sizeof(service_keys[0]))

static void
add_step(struct convert *c, struct ymlw_node *job, const char *name, const struct yml_node *value)
{
	struct ymlw_node *step = ymlw_mapping(c->out);

	ymlw_set(c->out, step, "name", ymlw_text(c->out, str_of(name)));
	convert_keys(c, value, step_keys, STEP_KEY_COUNT, step);
	if (ymlw_get(step, "script") != NULL)
		ymlw_add(c->out, convert_list(c, job, "steps"), step);
	else if (yml_get(value, "settings") == NULL)
		convert_note(c, value, "the step %.40s has no commands and is left out", name);
}

static void
add_service(struct convert *c, struct ymlw_node *job, const char *name, const struct yml_node *value)
{
	struct ymlw_node *service = ymlw_mapping(c->out);

	ymlw_set(c->out, service, "name", ymlw_text(c->out, str_of(name)));
	convert_keys(c, value, service_keys, SERVICE_KEY_COUNT, service);
	ymlw_add(c->out, convert_list(c, job, "services"), service);
}

typedef void add_fn(struct convert *c, struct ymlw_node *job, const char *name, const struct yml_node *value);

/* A list whose items have a name, or a mapping from names. A step that is detached is a service. */
static void
add_each(struct convert *c, struct ymlw_node *job, const struct yml_node *all, add_fn *add)
{
	for (size_t i = 0; i < yml_count(all); i++) {
		const struct yml_node *value = yml_at(all, i), *name = yml_get(value, "name");
		bool detached = false;

		if (yml_type(all) == YML_MAPPING)
			name = yml_key_at(all, i);
		if (yml_to_bool(yml_get(value, "detach"), &detached) && detached)
			add_service(c, job, name != NULL ? yml_text(name) : "service", value);
		else
			add(c, job, name != NULL ? yml_text(name) : "step", value);
	}
}

/* --- conditions --- */

static void
add_patterns(
    struct convert *c, const struct yml_node *value, const char *prefix, struct ymlw_node *when, const char *key)
{
	const struct yml_node *include = yml_get(value, "include"), *exclude = yml_get(value, "exclude");

	if (include != NULL)
		add_patterns(c, include, prefix, when, key);
	if (exclude != NULL)
		add_patterns(c, exclude, "!", when, key);
	if (yml_type(value) == YML_SCALAR)
		convert_add_pattern(c, when, key, str_of(yml_text(value)), prefix);
	for (size_t i = 0; yml_type(value) == YML_SEQUENCE && i < yml_count(value); i++)
		convert_add_pattern(c, when, key, str_of(yml_text(yml_at(value, i))), prefix);
}

static void
take_branch(struct convert *c, const struct yml_node *value, struct ymlw_node *when)
{
	add_patterns(c, value, "", when, "branch");
}

static void
take_path(struct convert *c, const struct yml_node *value, struct ymlw_node *when)
{
	add_patterns(c, value, "", when, "path");
}

static const char *
event_of(const char *name)
{
	if (strcmp(name, "custom") == 0)
		return "manual";
	if (strcmp(name, "promote") == 0 || strcmp(name, "rollback") == 0 || strcmp(name, "deployment") == 0)
		return "deploy";
	return name;
}

static struct ymlw_node *
event(struct convert *c, const struct yml_node *item)
{
	return convert_text(c, "%s", event_of(yml_text(item)));
}

static struct ymlw_node *
other_event(struct convert *c, const struct yml_node *item)
{
	return convert_text(c, "!%s", event_of(yml_text(item)));
}

static void
take_event(struct convert *c, const struct yml_node *value, struct ymlw_node *when)
{
	const struct yml_node *include = yml_type(value) == YML_MAPPING ? yml_get(value, "include") : value;

	convert_add(c, when, "event", include, event);
	convert_add(c, when, "event", yml_get(value, "exclude"), other_event);
}

/* refs/tags/v* */
static void
take_ref(struct convert *c, const struct yml_node *value, struct ymlw_node *when)
{
	const struct yml_node *refs = yml_get(value, "include") != NULL ? yml_get(value, "include") : value;

	for (size_t i = 0; i < yml_count(refs); i++) {
		const char *ref = yml_text(yml_at(refs, i));

		if (strncmp(ref, "refs/heads/", 11) == 0)
			convert_add_text(c, when, "branch", ref + 11);
		else if (strncmp(ref, "refs/tags/", 10) == 0)
			convert_add_text(c, when, "tag", ref + 10);
		else
			convert_note(c, yml_at(refs, i), "ref %.60s is not carried over", ref);
	}
}

/* clang-format off */
static const struct convert_key when_keys[] = {
	{ "branch",      take_branch, NULL },
	{ "event",       take_event,  NULL },
	{ "path",        take_path,   NULL },
	{ "ref",         take_ref,    NULL },
	{ "repo",        NULL, "every server's repository has its own file" },
	{ "cron",        NULL, "name the event: event: cron" },
	{ "status",      NULL, "write it at the step: after_script runs whatever happened" },
	{ "environment", NULL, "write it into the job with deploy:" },
	{ "evaluate",    NULL, "write the condition below when:" },
};
/* clang-format on */

static void
take_when(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	struct ymlw_node *when = ymlw_mapping(c->out);

	if (yml_type(value) == YML_SEQUENCE && yml_count(value) > 1)
		convert_note(c, yml_at(value, 1), "when: only the first of several conditions is carried over");
	if (yml_type(value) == YML_SEQUENCE)
		value = yml_at(value, 0);
	convert_keys(c, value, when_keys, sizeof(when_keys) / sizeof(when_keys[0]), when);
	if (ymlw_count(when) > 0)
		ymlw_set(c->out, job, "when", when);
}

/* --- the file --- */

static void
take_steps(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	add_each(c, job, value, add_step);
}

static void
take_services(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	add_each(c, job, value, add_service);
}

/* woodpecker: matrix: {GO: [1.21, 1.22]} or {include: [...]}; ${GO} in the file is ${matrix.GO} here. */
static void
take_matrix(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	ymlw_set(c->out, job, "matrix", ymlw_copy(c->out, value));
	convert_note(
	    c, value, "matrix: write ${matrix.NAME} where the file has ${NAME} outside of images and commands");
	for (size_t i = 0; i < yml_count(value); i++)
		if (yml_type(yml_at(value, i)) == YML_SEQUENCE &&
		    strcmp(yml_text(yml_key_at(value, i)), "include") != 0)
			ymlw_set(c->out, convert_mapping(c, job, "env"), yml_text(yml_key_at(value, i)),
			    convert_text(c, "${matrix.%s}", yml_text(yml_key_at(value, i))));
}

static void
take_labels(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	ymlw_set(c->out, job, "labels", ymlw_copy(c->out, value));
}

static void
take_concurrency(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	ymlw_set(c->out, convert_mapping(c, job, "concurrency"), "group",
	    convert_text(c, "%s",
		yml_get(yml_root(c->in), "name") != NULL ? yml_text(yml_get(yml_root(c->in), "name")) : "pipeline"));
	if (strcmp(yml_text(yml_get(value, "limit")), "1") != 0)
		convert_note(c, value, "concurrency: one job of a group runs at a time");
}

/* Whether one of the steps is more than a plugin. */
static bool
has_commands(const struct yml_node *steps)
{
	for (size_t i = 0; i < yml_count(steps); i++) {
		const struct yml_node *commands = yml_get(yml_at(steps, i), "commands");

		if (yml_count(commands) > 0 || yml_text(commands)[0] != '\0')
			return true;
	}
	return false;
}

/* Whether the name is that of another pipeline in this file that becomes a job. */
static bool
is_pipeline(const struct convert *c, const char *name)
{
	for (size_t i = 0; i < c->document_count; i++) {
		const struct yml_node *root = yml_root(c->documents[i]);

		if (c->documents[i] != c->in && strcmp(yml_text(yml_get(root, "name")), name) == 0 &&
		    has_commands(yml_get(root, "steps")))
			return true;
	}
	return false;
}

static void
take_depends(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	for (size_t i = 0; i < yml_count(value); i++) {
		const struct yml_node *name = yml_at(value, i);

		if (is_pipeline(c, yml_text(name)))
			convert_add_text(c, job, "needs", yml_text(name));
		else
			convert_note(c, name,
			    "depends_on: %.40s is not carried over: put both pipelines' jobs into one file, with "
			    "needs:",
			    yml_text(name));
	}
}

/* clang-format off */
static const struct convert_key file_keys[] = {
	{ "trigger",     take_when,        NULL },
	{ "when",        take_when,        NULL },
	{ "matrix",      take_matrix,      NULL },
	{ "node",        take_labels,      NULL },
	{ "labels",      take_labels,      NULL },
	{ "environment", take_env,         NULL },
	{ "services",    take_services,    NULL },
	{ "steps",       take_steps,       NULL },
	{ "pipeline",    take_steps,       NULL },
	{ "concurrency", take_concurrency, NULL },
	{ "kind",        NULL, NULL },
	{ "type",        NULL, NULL },
	{ "name",        NULL, NULL },
	{ "version",     NULL, NULL },
	{ "clone",       NULL, "the server makes the checkout; its git.full decides about the depth" },
	{ "workspace",   NULL, "the workspace is where the job begins" },
	{ "platform",    NULL, "choose engines by labels:" },
	{ "depends_on",  take_depends,     NULL },
	{ "skip_clone",  NULL, "the checkout is always there" },
	{ "volumes",     NULL, "nothing of the host is mounted; see cache:" },
};
/* clang-format on */

/* A name for the job that no other has. */
static struct buf
job_name(struct convert *c, const struct yml_node *root, const struct ymlw_node *jobs)
{
	const char *name = yml_text(yml_get(root, "name"));
	struct buf ret;

	buf_init(&ret, IMAGE_MAX);
	buf_addf(&ret, "%.100s", name[0] != '\0' ? name : "test");
	if (ymlw_get(jobs, ret.data) == NULL)
		return ret;
	convert_note(c, root, "another pipeline has the name %.40s, too", ret.data);
	while (ymlw_get(jobs, ret.data) != NULL)
		buf_adds(&ret, " again");
	return ret;
}

static bool
convert_steps(struct convert *c, const struct yml_node *root)
{
	struct ymlw_node *job = ymlw_mapping(c->out), *jobs = convert_mapping(c, ymlw_root(c->out), "jobs");
	struct buf name;

	c->job = job;
	convert_keys(c, root, file_keys, sizeof(file_keys) / sizeof(file_keys[0]), job);
	if (ymlw_get(job, "steps") == NULL)
		return yml_err(c->in, root, c->err, "there is no step with commands in this file");
	name = job_name(c, root, jobs);
	ymlw_set(c->out, jobs, name.data, job);
	buf_fini(&name);
	return true;
}

/* kind: of a document that is no pipeline. */
/* clang-format off */
static const struct convert_key kinds[] = {
	{ "secret",    NULL, "give it to the server with davit secret set" },
	{ "signature", NULL, NULL },
};
/* clang-format on */

/* What becomes no job, in a file of several documents. */
static bool
is_left_out(struct convert *c, const struct yml_node *root)
{
	const struct yml_node *kind = yml_get(root, "kind");

	if (kind != NULL && strcmp(yml_text(kind), "pipeline") != 0)
		convert_note_key(c, kind, convert_find(kinds, sizeof(kinds) / sizeof(kinds[0]), yml_text(kind)));
	else if (c->document_count > 1 && !has_commands(yml_get(root, "steps")))
		convert_note(c, root, "a pipeline without a step with commands is left out");
	else
		return false;
	return true;
}

/* Behind a document that is left out; with the last one there must be a job. */
static bool
goes_on(struct convert *c, const struct yml_node *root)
{
	bool is_last = c->in == c->documents[c->document_count - 1];

	return !is_last || ymlw_get(ymlw_root(c->out), "jobs") != NULL ||
	       yml_err(c->in, root, c->err, "there is no step with commands in this file");
}

bool
convert_drone(struct convert *c, const struct yml_node *root)
{
	const struct yml_node *type = yml_get(root, "type");

	if (is_left_out(c, root))
		return goes_on(c, root);
	if (type != NULL && strcmp(yml_text(type), "docker") != 0 && strcmp(yml_text(type), "kubernetes") != 0)
		convert_note(c, type, "type: %.40s: jobs run in containers here", yml_text(type));
	return convert_steps(c, root);
}

bool
convert_woodpecker(struct convert *c, const struct yml_node *root)
{
	return convert_steps(c, root);
}
