/* `davit secret`: values are read from a file or standard input, never from the command line, where others see them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/secret.h"

#define ROTATE_PATH "/api/v1/seal-key/rotate"

/* What was asked for on the command line. */
struct order {
	const char *name; /* NULL: none */
	const char *scope;
	const char *owner; /* NULL: none */
	const char *events;
	const char *branches;
	const char *file;
};

static bool
take_option(struct order *order, const char *option, const char *value)
{
	enum secret_scope scope;
	const struct {
		const char *name;
		const char **field;
	} options[] = { { "events", &order->events }, { "branches", &order->branches }, { "file", &order->file } };

	if (secret_scope_from_name(option, &scope) && order->owner == NULL) {
		order->scope = option;
		order->owner = value;
		return true;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(option, options[i].name) == 0 && *options[i].field == NULL) {
			*options[i].field = value;
			return true;
		}
	fprintf(stderr, "davit: secret has no option --%s, or not twice\n", option);
	return false;
}

static bool
read_order(struct order *order, int argc, char **argv)
{
	*order = (struct order){ .scope = "repo" };
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0 && i + 1 < argc) {
			if (!take_option(order, argv[i] + 2, argv[i + 1]))
				return false;
			i++;
		} else if (argv[i][0] != '-' && order->name == NULL) {
			order->name = argv[i];
		} else {
			return false;
		}
	}
	return true;
}

static bool
has_owner(const struct order *order)
{
	enum secret_scope scope;

	return order->owner != NULL && secret_scope_from_name(order->scope, &scope) &&
	       secret_owner_is_valid(scope, order->owner);
}

/* A secret is named, and where it belongs. */
static bool
is_complete(const struct order *order)
{
	if (order->name == NULL)
		return false;
	if (!has_owner(order))
		fprintf(stderr, "davit: say whose secret it is: --repo ID, --org NAME or --environment REPO/NAME\n");
	else if (!secret_name_is_valid(order->name))
		fprintf(stderr, "davit: a secret's name has letters, digits, _ . -, and a letter or _ in front\n");
	else
		return true;
	return false;
}

static char *
path_of(const struct order *order)
{
	return xasprintf("/api/v1/secrets/%s/%s/%s", order->scope, order->owner, order->name);
}

/* --- set --- */

static bool
read_all(FILE *file, struct buf *ret)
{
	char chunk[4096];
	size_t len;

	while (!feof(file) && (len = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(ret, chunk, len);
	explicit_bzero(chunk, sizeof(chunk));
	return ferror(file) == 0;
}

/* A terminal does not show what is typed. */
static bool
read_input(struct buf *ret)
{
	struct termios saved, quiet;
	bool is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &saved) == 0, ok;

	if (is_terminal) {
		quiet = saved;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		fputs("The value, and Ctrl-D on a line of its own: ", stderr);
	}
	ok = read_all(stdin, ret);
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
		fputs("\n", stderr);
	}
	return ok;
}

/* The newline that ends a value of one line is its editor's. */
static void
cut_newline(struct buf *value)
{
	if (value->len > 0 && memchr(value->data, '\n', value->len) == value->data + value->len - 1)
		value->data[--value->len] = '\0';
	if (value->len > 0 && strchr(value->data, '\n') == NULL && value->data[value->len - 1] == '\r')
		value->data[--value->len] = '\0';
}

static bool
read_value(const char *path, struct buf *ret)
{
	bool is_input = path == NULL || strcmp(path, "-") == 0, ok;
	FILE *file = is_input ? stdin : fopen(path, "re");

	ok = file != NULL && (is_input ? read_input(ret) : read_all(file, ret));
	if (!ok)
		fprintf(stderr, "davit: %s\n", err_errno("%s", is_input ? "standard input" : path).text);
	if (file != NULL && !is_input)
		fclose(file);
	cut_newline(ret);
	return ok;
}

static char *
make_body(const struct order *order, struct str value, size_t *len)
{
	struct json_writer *w = json_writer_new(16 * SECRET_VALUE_MAX);

	json_write_object_open(w);
	json_write_key(w, "value");
	json_write_str(w, value);
	json_member_list(w, "events", order->events);
	json_member_list(w, "branches", order->branches);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

static int
send_value(struct client *client, const struct order *order, struct str value)
{
	char *path = path_of(order), *body;
	struct err err;
	size_t len;
	bool ok;

	body = make_body(order, value, &len);
	ok = client_call(client, "PUT", path, (struct str){ body, len }, NULL, &err);
	explicit_bzero(body, len);
	free(body);
	free(path);
	return ok ? EXIT_OK : client_fail(&err);
}

static int
set(struct client *client, const struct order *order)
{
	struct buf value;
	struct err err;
	int status = EXIT_PROBLEM;

	if (!is_complete(order))
		return EXIT_USAGE;
	buf_init(&value, SECRET_VALUE_MAX + 2);
	if (read_value(order->file, &value)) {
		if (buf_failed(&value))
			err = err_make(ERR_INPUT, 0, "the value has more than %d bytes", SECRET_VALUE_MAX);
		else if (secret_value_check(buf_str(&value), &err))
			err = ERR_OK;
		status = err.code != ERR_NONE ? client_fail(&err) : send_value(client, order, buf_str(&value));
	}
	explicit_bzero(value.data, value.len);
	buf_fini(&value);
	return status;
}

/* --- the others --- */

static void
print_items(const struct json_value *array)
{
	for (size_t i = 0; i < json_count(array); i++)
		printf("%s%s", i > 0 ? "," : "", json_string(json_at(array, i), ""));
	if (json_count(array) == 0)
		printf("all");
}

static void
print_secret(const struct json_value *secret)
{
	char place[SECRET_ID_MAX];

	snprintf(place, sizeof(place), "%s %s", json_string(json_get(secret, "scope"), ""),
	    json_string(json_get(secret, "owner"), ""));
	printf("%-24s %-24s events ", json_string(json_get(secret, "name"), ""), place);
	print_items(json_get(secret, "events"));
	printf(", branches ");
	print_items(json_get(secret, "branches"));
	printf("\n");
}

static int
list(struct client *client, const struct order *order)
{
	struct json *doc = NULL;
	const struct json_value *secrets;
	struct err err;
	char *path;
	bool ok;

	if (order->name != NULL || (order->owner != NULL && !has_owner(order)))
		return EXIT_USAGE;
	path = order->owner != NULL ? xasprintf("/api/v1/secrets?%s=%s", order->scope, order->owner)
				    : xstrdup("/api/v1/secrets");
	ok = client_call(client, "GET", path, STR(""), &doc, &err);
	free(path);
	if (!ok)
		return client_fail(&err);
	secrets = json_get(json_root(doc), "secrets");
	for (size_t i = 0; i < json_count(secrets); i++)
		print_secret(json_at(secrets, i));
	json_free(&doc);
	return EXIT_OK;
}

static int
remove_secret(struct client *client, const struct order *order)
{
	struct err err;
	char *path;
	bool ok;

	if (!is_complete(order))
		return EXIT_USAGE;
	path = path_of(order);
	ok = client_call(client, "DELETE", path, STR(""), NULL, &err);
	free(path);
	return ok ? EXIT_OK : client_fail(&err);
}

static int
rotate(struct client *client, const struct order *order)
{
	struct err err;

	if (order->name != NULL || order->owner != NULL)
		return EXIT_USAGE;
	if (!client_call(client, "POST", ROTATE_PATH, STR(""), NULL, &err))
		return client_fail(&err);
	puts("A new key is made, and all that is sealed is sealed anew; davitd's log says when it is done.");
	return EXIT_OK;
}

int
secret_run(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct client *client, const struct order *order);
	} verbs[] = { { "set", set }, { "ls", list }, { "rm", remove_secret }, { "rotate-key", rotate } };
	struct client *client;
	struct order order;
	int status = EXIT_USAGE;

	if (argc < 2 || !read_order(&order, argc - 2, argv + 2))
		return EXIT_USAGE;
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			status = verbs[i].run(client, &order);
	client_free(&client);
	return status;
}
