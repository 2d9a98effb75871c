#include "server/builder/terminal.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "proto/script.h"
#include "server/builder/box.h"
#include "server/builder/host.h"
#include "server/core/log.h"

/* $0 is the folder of the job's script, $1 the file where the shell is found again. */
static const char open_shell[] = "echo $$ >\"$0/$1\"\n"
				 "[ ! -r \"$0/" SCRIPT_ENV "\" ] || . \"$0/" SCRIPT_ENV "\"\n"
				 "cd " BOX_WORKSPACE " 2>/dev/null || :\n"
				 "if command -v bash >/dev/null 2>&1; then exec bash; else exec /bin/sh; fi\n";
/* What it runs is hung up by the kernel when its shell has gone. */
static const char kill_shell[] = "read -r davit_shell <\"$0/$1\" || exit 0\n"
				 "kill -HUP \"$davit_shell\" && sleep 1 && kill -KILL \"$davit_shell\" 2>/dev/null\n"
				 "exit 0\n";

struct terminal {
	LIST_ENTRY(terminal) link; /* of the host's */
	struct host *host;
	char *container;
	char *file;
	struct docker_exec *exec; /* the shell; once it is closed what kills it */
	unsigned rows, columns;
	bool is_open;
	const struct terminal_handler *handler; /* NULL: it is closed */
	void *arg;
};

static void
terminal_free(struct terminal *t)
{
	LIST_REMOVE(t, link);
	docker_exec_close(&t->exec);
	free(t->container);
	free(t->file);
	free(t);
}

static void
on_open(void *arg)
{
	struct terminal *t = arg;

	docker_exec_pause(t->exec);
	docker_exec_resize(t->exec, t->rows, t->columns);
}

/* The first time: what is typed from now on finds the size as it should be. */
static void
on_resized(void *arg)
{
	struct terminal *t = arg;

	if (t->is_open)
		return;
	t->is_open = true;
	docker_exec_resume(t->exec);
	t->handler->on_open(t->arg);
}

static void
on_output(void *arg, struct str bytes)
{
	struct terminal *t = arg;

	t->handler->on_output(t->arg, bytes);
}

static void
on_drain(void *arg)
{
	struct terminal *t = arg;

	t->handler->on_drain(t->arg);
}

static void
on_close(void *arg, int exit_code, const struct err *err)
{
	struct terminal *t = arg;
	const struct terminal_handler *handler = t->handler;
	void *handler_arg = t->arg;

	t->exec = NULL;
	terminal_free(t);
	handler->on_end(handler_arg, exit_code, err);
}

/* env NULL: without a terminal. */
static struct docker_exec *
run_shell(struct terminal *t, const char *script, const char *const *env, const struct docker_exec_handler *handler)
{
	const char *const command[] = { "/bin/sh", "-c", script, BOX_FOLDER, t->file, NULL };
	const struct docker_exec_spec spec = { .command = command, .env = env, .workdir = "/", .tty = env != NULL };

	return docker_exec(t->host->docker, t->container, &spec, handler, t);
}

struct terminal *
terminal_start(struct host *host, const char *container, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg)
{
	static const struct docker_exec_handler own = { .on_open = on_open,
		.on_output = on_output,
		.on_drain = on_drain,
		.on_resized = on_resized,
		.on_close = on_close };
	struct terminal *t = xcalloc(1, sizeof(*t));
	char *term = xasprintf("TERM=%s", spec->type);
	const char *const env[] = { term, NULL };

	*t = (struct terminal){
		.host = host, .rows = spec->rows, .columns = spec->columns, .handler = handler, .arg = arg
	};
	t->container = xstrdup(container);
	t->file = xasprintf("terminal-%u", host_serial(host));
	LIST_INSERT_HEAD(&host->terminals, t, link);
	t->exec = run_shell(t, open_shell, env, &own);
	free(term);
	return t;
}

void
terminal_write(struct terminal *terminal, struct str bytes)
{
	docker_exec_write(terminal->exec, bytes);
}

size_t
terminal_pending(const struct terminal *terminal)
{
	return docker_exec_pending(terminal->exec);
}

void
terminal_pause(struct terminal *terminal)
{
	docker_exec_pause(terminal->exec);
}

void
terminal_resume(struct terminal *terminal)
{
	docker_exec_resume(terminal->exec);
}

void
terminal_resize(struct terminal *terminal, unsigned rows, unsigned columns)
{
	docker_exec_resize(terminal->exec, rows, columns);
}

/* --- the end --- */

static void
on_kill_open(void *arg)
{
	(void)arg;
}

/* That it did not work is no surprise: the container may have gone meanwhile. */
static void
on_killed(void *arg, int exit_code, const struct err *err)
{
	struct terminal *t = arg;

	(void)exit_code;
	if (err != NULL)
		log_debug("terminal in %s: kill its shell: %s", t->container, err->text);
	t->exec = NULL;
	terminal_free(t);
}

void
terminal_close(struct terminal **terminal)
{
	static const struct docker_exec_handler own = { .on_open = on_kill_open, .on_close = on_killed };
	struct terminal *t = *terminal;

	if (t == NULL)
		return;
	*terminal = NULL;
	t->handler = NULL;
	docker_exec_close(&t->exec);
	t->exec = run_shell(t, kill_shell, NULL, &own);
}

void
terminals_drop(struct host *host)
{
	struct terminal *t;

	while ((t = LIST_FIRST(&host->terminals)) != NULL) {
		assert(t->handler == NULL);
		terminal_free(t);
	}
}
