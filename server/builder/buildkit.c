#include "server/builder/buildkit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/builder/host.h"
#include "server/core/child.h"
#include "server/core/loop.h"

#define CLIENT "/usr/bin/docker"
#define FOLDER "/dev/shm"
#define LOGINS "DOCKER_AUTH_CONFIG"
#define ID_FILE "id"

enum { WORDS_MAX = 4000, LAST_MAX = 1000 };

struct buildkit {
	struct host *host;
	const struct buildkit_handler *handler;
	void *arg;
	char folder[200]; /* "": none was made */
	struct strings argv;
	struct child *child;
	struct deferred *begin; /* the client takes its first bytes */
	struct err failed;      /* it could not be prepared */
	struct buf line;        /* of its words, as it comes */
	char last[LAST_MAX];    /* the last that says something */
	bool *gone;             /* set when it ends while one of its callbacks runs */
};

/* --- its folder --- */

static bool
write_file(const struct buildkit *b, const char *name, const char *text, struct err *err)
{
	char *path = xasprintf("%s/%s", b->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	bool ok = fd >= 0 && write(fd, text, len) == (ssize_t)len;

	if (!ok)
		*err = err_errno("BuildKit: %s", path);
	if (fd >= 0)
		close(fd);
	free(path);
	return ok;
}

static bool
make_folder(struct buildkit *b, struct err *err)
{
	snprintf(b->folder, sizeof(b->folder), FOLDER "/davit-%.100s-build-XXXXXX", b->host->conf->node);
	if (mkdtemp(b->folder) != NULL)
		return true;
	*err = err_errno("BuildKit: %s", b->folder);
	b->folder[0] = '\0';
	return false;
}

static void
remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

void
buildkit_tidy(const char *node)
{
	char *prefix = xasprintf("davit-%.100s-build-", node), path[sizeof(FOLDER) + NAME_MAX + 1];
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
			snprintf(path, sizeof(path), FOLDER "/%s", entry->d_name);
			remove_folder(path);
		}
	if (dir != NULL)
		closedir(dir);
	free(prefix);
}

/* --- its arguments --- */

static void
add(struct buildkit *b, const char *option, const char *value)
{
	strings_add(&b->argv, str_of(option));
	if (value != NULL)
		strings_add(&b->argv, str_of(value));
}

static void
add_each(struct buildkit *b, const char *option, const struct strings *values)
{
	for (size_t i = 0; values != NULL && i < values->count; i++)
		add(b, option, values->items[i]);
}

static void
add_engine(struct buildkit *b, const struct builder_engine_conf *engine)
{
	add(b, "--host", engine->url);
	if (engine->ca != NULL && engine->ca[0] != '\0') {
		add(b, "--tlsverify", NULL);
		add(b, "--tlscacert", engine->ca);
	}
	if (engine->cert != NULL && engine->cert[0] != '\0') {
		add(b, "--tlscert", engine->cert);
		add(b, "--tlskey", engine->key);
	}
}

static void
add_build(struct buildkit *b, const struct docker_build_spec *build)
{
	char *id = xasprintf("%s/" ID_FILE, b->folder);

	add(b, "--progress=plain", NULL);
	add(b, "--iidfile", id);
	add(b, "--network", build->network);
	add(b, "--file", build->dockerfile);
	if (build->target != NULL)
		add(b, "--target", build->target);
	for (size_t i = 0; i < build->args->count; i++) {
		char *arg = xasprintf("%s=%s", build->args->vars[i].name, build->args->vars[i].value);

		add(b, "--build-arg", arg);
		free(arg);
	}
	add_each(b, "--tag", build->tags);
	add_each(b, "--label", build->labels);
	add_each(b, "--cache-from", build->cache_from);
	if (build->platform != NULL)
		add(b, "--platform", build->platform);
	if (build->no_cache)
		add(b, "--no-cache", NULL);
	if (build->pull)
		add(b, "--pull", NULL);
	free(id);
}

static const char *
value_of(const struct env *env, const char *name)
{
	for (size_t i = env != NULL ? env->count : 0; i > 0; i--)
		if (strcmp(env->vars[i - 1].name, name) == 0)
			return env->vars[i - 1].value;
	return NULL;
}

/* By file: an argument can be seen by everybody on the machine. */
static bool
add_secrets(struct buildkit *b, const struct buildkit_spec *spec, struct err *err)
{
	for (size_t i = 0; i < spec->job->secret_count; i++) {
		const char *name = spec->job->secrets[i].variable, *value = value_of(spec->env, name);
		char *option;

		if (value == NULL || strcmp(name, LOGINS) == 0)
			continue;
		if (!write_file(b, name, value, err))
			return false;
		option = xasprintf("id=%s,src=%s/%s", name, b->folder, name);
		add(b, "--secret", option);
		free(option);
	}
	return true;
}

/* The folder is the client's configuration, too. */
static bool
prepare(struct buildkit *b, const struct buildkit_spec *spec, struct err *err)
{
	const char *logins = value_of(spec->env, LOGINS);

	if (access(CLIENT, X_OK) != 0) {
		*err = err_errno("BuildKit needs the client " CLIENT " (package docker.io or docker-ce-cli)");
		return false;
	}
	if (!make_folder(b, err) || (logins != NULL && !write_file(b, "config.json", logins, err)))
		return false;
	add(b, CLIENT, NULL);
	add_engine(b, spec->engine);
	add(b, "build", NULL);
	add_build(b, spec->build);
	if (!add_secrets(b, spec, err))
		return false;
	add(b, "-", NULL);
	return true;
}

/* --- its words --- */

/* "------" and the like frame what it repeats at the end. */
static void
keep_last(struct buildkit *b, struct str line)
{
	line = str_trim(str_cut(&line, '\n'));
	if (line.len > 0 && line.p[0] != '-' && line.p[0] != '>')
		snprintf(b->last, sizeof(b->last), "%.*s", (int)line.len, line.p);
}

static void
on_words(void *arg, struct str bytes)
{
	struct buildkit *b = arg;
	bool gone = false;

	b->gone = &gone;
	while (bytes.len > 0) {
		const char *end = memchr(bytes.p, '\n', bytes.len);
		struct str piece = { bytes.p, end != NULL ? (size_t)(end + 1 - bytes.p) : bytes.len };

		bytes = (struct str){ bytes.p + piece.len, bytes.len - piece.len };
		if (b->line.len + piece.len > WORDS_MAX)
			end = piece.p; /* a line without end is given in parts */
		buf_addstr(&b->line, piece);
		if (end == NULL)
			continue;
		keep_last(b, buf_str(&b->line));
		b->handler->on_text(b->arg, buf_str(&b->line));
		if (gone)
			return;
		buf_reset(&b->line);
	}
	b->gone = NULL;
}

/* --- its end --- */

static void
buildkit_free(struct buildkit *b)
{
	if (b->gone != NULL)
		*b->gone = true;
	if (b->folder[0] != '\0')
		remove_folder(b->folder);
	deferred_cancel(&b->begin);
	strings_fini(&b->argv);
	buf_fini(&b->line);
	free(b);
}

static void
end(struct buildkit *b, const char *id, const struct err *err)
{
	const struct buildkit_handler *handler = b->handler;
	void *arg = b->arg;

	buildkit_free(b);
	handler->on_done(arg, id, err);
}

/* Whose fault it is stands in its words alone. */
static struct err
failure_of(const struct buildkit *b, const struct err *err)
{
	static const char *const away[] = { "failed to do request", "error during connect",
		"Cannot connect to the Docker", "failed to dial", "i/o timeout", "connection refused" };
	static const char *const denied[] = { "denied", "unauthorized", "authorization failed" };
	const char *words = b->last[0] != '\0' ? b->last : err->text;
	enum err_code code = err->code == ERR_REFUSED ? ERR_INPUT : err->code;

	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++)
		if (strstr(words, away[i]) != NULL)
			code = ERR_UNAVAILABLE;
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (strstr(words, denied[i]) != NULL)
			code = ERR_AUTH;
	return err_make(code, 0, "%.200s", words);
}

static bool
read_id(const struct buildkit *b, char ret[DOCKER_ID_SIZE])
{
	char *path = xasprintf("%s/" ID_FILE, b->folder);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, ret, DOCKER_ID_SIZE - 1) : -1;

	if (fd >= 0)
		close(fd);
	free(path);
	ret[len > 0 ? len : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return strncmp(ret, "sha256:", strlen("sha256:")) == 0;
}

static void
on_ended(void *arg, const struct child_result *result, const struct err *err)
{
	struct buildkit *b = arg;
	char id[DOCKER_ID_SIZE];
	struct err failure;

	(void)result;
	b->child = NULL;
	if (err != NULL)
		failure = failure_of(b, err);
	else if (!read_id(b, id))
		failure = err_make(ERR_PROTO, 0, "BuildKit does not say what it made");
	else {
		end(b, id, NULL);
		return;
	}
	end(b, NULL, &failure);
}

/* --- its beginning --- */

static void
on_drain(void *arg)
{
	struct buildkit *b = arg;

	b->handler->on_drain(b->arg);
}

static void
on_begin(void *arg)
{
	struct buildkit *b = arg;

	b->begin = NULL;
	if (b->failed.code != ERR_NONE)
		end(b, NULL, &b->failed);
	else
		on_drain(b);
}

static void
run(struct buildkit *b)
{
	char *config = xasprintf("DOCKER_CONFIG=%s", b->folder), *home = xasprintf("HOME=%s", b->folder);
	const char *const env[] = { "DOCKER_BUILDKIT=1", "PATH=/usr/bin:/bin", config, home, NULL };
	const char **argv = xcalloc(b->argv.count + 1, sizeof(*argv));
	struct child_spec spec = { .argv = argv,
		.env = env,
		.dir = "/",
		.in = CHILD_IN_PIPE,
		.on_drain = on_drain,
		.out = { .kind = CHILD_OUT_NULL },
		.err = { .kind = CHILD_OUT_STREAM, .fn = on_words } };

	for (size_t i = 0; i < b->argv.count; i++)
		argv[i] = b->argv.items[i];
	b->child = child_start(b->host->conf->children, &spec, on_ended, b);
	free(argv);
	free(home);
	free(config);
}

struct buildkit *
buildkit_start(struct host *host, const struct buildkit_spec *spec, const struct buildkit_handler *handler, void *arg)
{
	struct buildkit *b = xcalloc(1, sizeof(*b));

	*b = (struct buildkit){ .host = host, .handler = handler, .arg = arg, .failed = ERR_OK };
	buf_init(&b->line, 2 * WORDS_MAX + 64 * 1024);
	if (prepare(b, spec, &b->failed))
		run(b);
	b->begin = deferred_call(host->loop, on_begin, b);
	return b;
}

void
buildkit_send(struct buildkit *b, struct str bytes)
{
	if (b->child != NULL) /* of one that has ended already the exit tells */
		child_write(b->child, bytes);
}

void
buildkit_send_end(struct buildkit *b)
{
	if (b->child != NULL)
		child_close_input(b->child);
}

void
buildkit_cancel(struct buildkit **buildkit)
{
	struct buildkit *b = *buildkit;

	*buildkit = NULL;
	if (b == NULL)
		return;
	child_cancel(&b->child);
	buildkit_free(b);
}
