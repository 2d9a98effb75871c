/* davit debug: a terminal in a job's container, by WebSocket; see server/controller/api_debug.c for the messages. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "proto/base64.h"
#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/url.h"
#include "proto/websocket.h"
#include "server/core/loop.h"
#include "server/io/stream.h"

enum {
	HIGH_WATER = 64 * 1024,
	SILENCE_MS = 90000, /* the server pings every 25 s */
	TEXT_MAX = 4096,
	KEY_BYTES = 16,
	EXIT_SIGNAL = 128 /* and the signal's number */
};

struct debug {
	struct loop *loop;
	struct stream *server;
	struct stream *keys;
	struct websocket_reader reader;
	struct buf text;
	struct timer *silence;
	struct loop_signal *signals[4];
	bool is_over;
	int exit_code; /* of the shell */
	char trouble[300];
};

/* --- the terminal here --- */

static struct termios cooked;
static bool is_raw;

/* On every way out: of the function, of the process, of a signal (which ends the loop). */
static void
restore(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
	is_raw = false;
}

static bool
set_raw(struct err *err)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &cooked) != 0 || !isatty(STDOUT_FILENO))
		return err_set(err, ERR_INPUT, 0, "a terminal is wanted on standard input and output");
	raw = cooked;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0)
		return err_set(err, ERR_IO, errno, "the terminal cannot be set: %s", strerror(errno));
	is_raw = true;
	return true;
}

/* Opened anew, so that who shares ours is not made non-blocking. */
static int
open_keys(struct err *err)
{
	const char *path = ttyname(STDIN_FILENO);
	int fd = path != NULL ? open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd < 0)
		*err = err_errno("the terminal %s", path != NULL ? path : "on standard input");
	return fd;
}

static struct winsize
window_size(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	return size;
}

/* --- words with the server --- */

static void
leave(struct debug *d, const char *trouble)
{
	if (!d->is_over)
		snprintf(d->trouble, sizeof(d->trouble), "%s", trouble);
	d->is_over = true;
	loop_stop(d->loop);
}

static void
send_message(struct debug *d, enum websocket_kind kind, struct str bytes)
{
	unsigned char mask[4];
	struct buf b;

	random_bytes(mask, sizeof(mask));
	buf_init(&b, bytes.len + WEBSOCKET_HEAD_MAX);
	websocket_print(&b, kind, mask, bytes);
	stream_write(d->server, b.data, b.len);
	buf_fini(&b);
	if (d->keys != NULL && stream_pending(d->server) > HIGH_WATER)
		stream_pause(d->keys);
}

static void
write_out(struct debug *d, struct str bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(STDOUT_FILENO, bytes.p, bytes.len);

		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			leave(d, err_errno("standard output").text);
			return;
		}
		if (n > 0) {
			bytes.p += n;
			bytes.len -= (size_t)n;
		}
	}
}

/* How it ended. */
static void
take_text(struct debug *d, const struct websocket_event *event)
{
	struct json *doc = NULL;
	const struct json_value *root;

	buf_addstr(&d->text, event->bytes);
	if (!event->is_last)
		return;
	if (json_parse(buf_str(&d->text), NULL, &doc, NULL)) {
		root = json_root(doc);
		d->exit_code = (int)json_int(json_get(root, "exit_code"), EXIT_PROBLEM);
		leave(d, json_string(json_get(root, "error"), ""));
	}
	json_free(&doc);
	buf_reset(&d->text);
}

static void
take_close(struct debug *d, const struct websocket_event *event)
{
	char text[200];

	snprintf(text, sizeof(text), "the server closed the terminal: %.*s", (int)event->bytes.len, event->bytes.p);
	leave(d, text);
}

static void
on_server_data(void *arg, struct str bytes)
{
	struct debug *d = arg;
	struct websocket_event event;
	enum websocket_next next;

	timer_start(d->silence, SILENCE_MS);
	while ((next = websocket_next(&d->reader, &bytes, &event)) == WEBSOCKET_EVENT) {
		switch (event.kind) {
		case WEBSOCKET_BINARY:
			write_out(d, event.bytes);
			break;
		case WEBSOCKET_TEXT:
			take_text(d, &event);
			break;
		case WEBSOCKET_PING:
			send_message(d, WEBSOCKET_PONG, event.bytes);
			break;
		case WEBSOCKET_CLOSE:
			take_close(d, &event);
			break;
		case WEBSOCKET_PONG:
			break;
		}
	}
	if (next == WEBSOCKET_BAD)
		leave(d, d->reader.why);
}

static void
on_server_drain(void *arg)
{
	struct debug *d = arg;

	if (d->keys != NULL)
		stream_resume(d->keys);
}

static void
on_server_close(void *arg, const struct err *err)
{
	struct debug *d = arg;

	d->server = NULL;
	leave(d, err != NULL ? err->text : "the server ended the connection");
}

static void
on_silence(void *arg)
{
	leave(arg, "the server does not answer any more");
}

/* --- what happens here --- */

static void
on_keys(void *arg, struct str bytes)
{
	send_message(arg, WEBSOCKET_BINARY, bytes);
}

static void
on_keys_close(void *arg, const struct err *err)
{
	struct debug *d = arg;

	d->keys = NULL;
	leave(d, err != NULL ? err->text : "the terminal is gone");
}

static void
on_window(void *arg)
{
	struct winsize size = window_size();
	char text[64];

	snprintf(text, sizeof(text), "{\"rows\":%u,\"columns\":%u}", size.ws_row, size.ws_col);
	send_message(arg, WEBSOCKET_TEXT, str_of(text));
}

static void
on_signal(void *arg)
{
	leave(arg, "interrupted");
}

/* --- the whole --- */

static bool
connect_to(struct debug *d, struct client *client, const char *job, struct err *err)
{
	static const struct stream_handler handler = {
		.on_data = on_server_data, .on_drain = on_server_drain, .on_close = on_server_close
	};
	const char *term = getenv("TERM");
	struct winsize size = window_size();
	char key[32], accept[WEBSOCKET_ACCEPT_SIZE];
	unsigned char random[KEY_BYTES];
	struct client_upgrade upgrade = { .protocol = "websocket", .accept = accept, .handler = &handler, .arg = d };
	struct buf b;
	bool ok;

	random_bytes(random, sizeof(random));
	buf_init(&b, 4096);
	base64_encode((struct str){ (const char *)random, sizeof(random) }, BASE64_STANDARD, &b);
	snprintf(key, sizeof(key), "%s", b.data);
	websocket_accept(str_of(key), accept);
	buf_reset(&b);
	buf_addf(&b, "/api/v1/jobs/%s/debug?rows=%u&columns=%u&term=", job, size.ws_row, size.ws_col);
	url_encode(&b, str_of(term != NULL ? term : "dumb"), "");
	upgrade.path = b.data;
	upgrade.key = key;
	ok = client_upgrade(client, &upgrade, &d->server, err);
	buf_fini(&b);
	return ok;
}

static bool
connect_keys(struct debug *d, struct err *err)
{
	static const struct stream_handler handler = { .on_data = on_keys, .on_close = on_keys_close };
	int fd = open_keys(err);

	if (fd < 0 || !set_raw(err)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	d->keys = stream_adopt(d->loop, fd, "the terminal", &handler, d);
	return true;
}

static void
watch(struct debug *d)
{
	static const int ends[] = { SIGTERM, SIGHUP, SIGINT };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		d->signals[i] = loop_signal_new(d->loop, ends[i], on_signal, d);
	d->signals[3] = loop_signal_new(d->loop, SIGWINCH, on_window, d);
	timer_start(d->silence, SILENCE_MS);
}

static void
debug_end(struct debug *d)
{
	restore();
	for (size_t i = 0; i < sizeof(d->signals) / sizeof(d->signals[0]); i++)
		if (d->signals[i] != NULL)
			loop_signal_free(&d->signals[i]);
	stream_close(&d->keys);
	stream_close(&d->server);
	timer_free(&d->silence);
	buf_fini(&d->text);
}

static int
debug_job(struct client *client, const char *job)
{
	struct debug d = { .loop = client_loop(client), .exit_code = EXIT_PROBLEM };
	struct err err = ERR_OK;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fprintf(stderr, "davit: debug wants a terminal on standard input and output\n");
		return EXIT_PROBLEM;
	}
	atexit(restore);
	websocket_reader_init(&d.reader, false);
	buf_init(&d.text, TEXT_MAX);
	d.silence = timer_new(d.loop, on_silence, &d);
	if (connect_to(&d, client, job, &err) && connect_keys(&d, &err)) {
		watch(&d);
		if (!d.is_over)
			loop_run(d.loop);
	}
	debug_end(&d);
	if (err.code != ERR_NONE)
		return client_fail(&err);
	if (d.trouble[0] != '\0')
		fprintf(stderr, "davit: %s\n", d.trouble);
	return d.trouble[0] != '\0' ? EXIT_PROBLEM : d.exit_code;
}

static int
release_job(struct client *client, const char *job)
{
	char *path = xasprintf("/api/v1/jobs/%s/release", job);
	struct err err;
	bool ok = client_call(client, "POST", path, STR(""), NULL, &err);

	free(path);
	return ok ? EXIT_OK : client_fail(&err);
}

int
debug_run(int argc, char **argv)
{
	bool releases = argc > 1 && strcmp(argv[1], "--release") == 0;
	const char *job = argv[releases ? 2 : 1];
	struct client *client;
	int status;

	if (argc != (releases ? 3 : 2) || job[strspn(job, "0123456789.")] != '\0' || strchr(job, '.') == NULL) {
		fprintf(stderr, "davit: debug wants a job's number (17.2)\n");
		return EXIT_USAGE;
	}
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	status = releases ? release_job(client, job) : debug_job(client, job);
	client_free(&client);
	return status;
}
