#include "test/component/fake_terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/builder/builder.h"
#include "server/core/loop.h"

struct terminal {
	const struct terminal_handler *handler;
	void *arg;
	struct deferred *open;
};

struct fake_terminal fake_terminal;
static struct loop *fake_loop;

void
fake_terminal_reset(struct loop *loop)
{
	buf_fini(&fake_terminal.typed);
	fake_terminal = (struct fake_terminal){ .open = NULL };
	buf_init(&fake_terminal.typed, 64 << 20);
	fake_loop = loop;
}

static void
on_open(void *arg)
{
	static const struct err refused = { .code = ERR_CONFLICT, .text = "container abc is not running" };
	struct terminal *t = arg;

	t->open = NULL;
	if (!fake_terminal.is_refused) {
		t->handler->on_open(t->arg);
		return;
	}
	fake_terminal.open = NULL;
	fake_terminal.count--;
	t->handler->on_end(t->arg, -1, &refused);
	free(t);
}

struct terminal *
builder_terminal(struct builder *builder, const char *job, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg, struct err *err)
{
	struct terminal *t;

	(void)builder;
	if (strcmp(job, "1.1") != 0) {
		err_set(err, ERR_NOT_FOUND, 0, "job %s has no container here", job);
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	*t = (struct terminal){ .handler = handler, .arg = arg, .open = deferred_call(fake_loop, on_open, t) };
	snprintf(fake_terminal.type, sizeof(fake_terminal.type), "%s", spec->type);
	fake_terminal.rows = spec->rows;
	fake_terminal.columns = spec->columns;
	fake_terminal.open = t;
	fake_terminal.count++;
	return t;
}

bool
builder_release(struct builder *builder, const char *job)
{
	(void)builder;
	snprintf(fake_terminal.released, sizeof(fake_terminal.released), "%s", job);
	return strcmp(job, "1.1") == 0;
}

void
terminal_write(struct terminal *terminal, struct str bytes)
{
	(void)terminal;
	buf_addstr(&fake_terminal.typed, bytes);
}

size_t
terminal_pending(const struct terminal *terminal)
{
	(void)terminal;
	return fake_terminal.pending;
}

void
terminal_pause(struct terminal *terminal)
{
	(void)terminal;
	fake_terminal.is_paused = true;
}

void
terminal_resume(struct terminal *terminal)
{
	(void)terminal;
	fake_terminal.is_paused = false;
}

void
terminal_resize(struct terminal *terminal, unsigned rows, unsigned columns)
{
	(void)terminal;
	fake_terminal.rows = rows;
	fake_terminal.columns = columns;
}

void
terminal_close(struct terminal **terminal)
{
	struct terminal *t = *terminal;

	*terminal = NULL;
	if (t == NULL)
		return;
	deferred_cancel(&t->open);
	if (fake_terminal.open == t)
		fake_terminal.open = NULL;
	fake_terminal.count--;
	free(t);
}

void
fake_terminal_say(const char *bytes, size_t len)
{
	fake_terminal.open->handler->on_output(fake_terminal.open->arg, (struct str){ bytes, len });
}

void
fake_terminal_drain(void)
{
	fake_terminal.pending = 0;
	fake_terminal.open->handler->on_drain(fake_terminal.open->arg);
}

void
fake_terminal_end(int exit_code)
{
	struct terminal *t = fake_terminal.open;
	const struct terminal_handler *handler = t->handler;
	void *arg = t->arg;

	fake_terminal.open = NULL;
	fake_terminal.count--;
	free(t);
	handler->on_end(arg, exit_code, NULL);
}
