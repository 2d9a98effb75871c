/* `davit mirror`: what the mirror has, what it saves, and what it is to have no more. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/mirror.h"

static int64_t
number(const struct json *doc, const char *key)
{
	return json_int(json_get(json_root(doc), key), 0);
}

const char *
mirror_bytes(int64_t bytes, char ret[32])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double n = (double)bytes;
	unsigned unit = 0;

	while (n >= 1024 && unit < 4) {
		n /= 1024;
		unit++;
	}
	snprintf(ret, 32, unit == 0 ? "%.0f %s" : "%.1f %s", n, units[unit]);
	return ret;
}

/* Those asked last come first. */
static void
print_upstreams(const struct json_value *upstreams)
{
	for (size_t i = 0; i < json_count(upstreams); i++) {
		const struct json_value *u = json_at(upstreams, i);
		int64_t remaining = json_int(json_get(u, "remaining"), -1), limit = json_int(json_get(u, "limit"), -1);

		printf("%-12s%s  %s, %" PRId64 " requests, %" PRId64 " failed, %" PRId64 " wait",
		    i == 0 ? "upstreams" : "", json_string(json_get(u, "url"), ""),
		    json_string(json_get(u, "state"), ""), json_int(json_get(u, "requests"), 0),
		    json_int(json_get(u, "failures"), 0), json_int(json_get(u, "waiting"), 0));
		if (remaining >= 0 && limit >= 0)
			printf("; %" PRId64 " of %" PRId64 " left", remaining, limit);
		else if (remaining >= 0)
			printf("; %" PRId64 " left", remaining);
		printf("\n");
	}
}

static void
print_status(const struct json *doc)
{
	const struct json_value *addresses = json_get(json_root(doc), "addresses");
	int64_t hits = number(doc, "hits"), replies = hits + number(doc, "misses");
	char a[32], b[32];

	printf("listens on  ");
	for (size_t i = 0; i < json_count(addresses); i++)
		printf("%s%s", i > 0 ? ", " : "", json_string(json_at(addresses, i), ""));
	printf("\nstored      %" PRId64 " replies, %s of %s; %" PRId64 " gave way\n", number(doc, "objects"),
	    mirror_bytes(number(doc, "bytes"), a), mirror_bytes(number(doc, "size"), b), number(doc, "evicted"));
	printf("replies     %" PRId64 ", %" PRId64 " %% from here (%" PRId64 " stale); %" PRId64 " errors\n", replies,
	    replies > 0 ? hits * 100 / replies : 0, number(doc, "stale"), number(doc, "errors"));
	printf("bodies      %s sent, %s fetched\n", mirror_bytes(number(doc, "sent_bytes"), a),
	    mirror_bytes(number(doc, "fetched_bytes"), b));
	printf("upstream    %" PRId64 " requests, %" PRId64 " of clients joined one; %" PRId64 " bodies continued\n",
	    number(doc, "upstream_requests"), number(doc, "joined"), number(doc, "resumed"));
	printf("now         %" PRId64 " clients, %" PRId64 " requests upstream\n", number(doc, "connections"),
	    number(doc, "transfers"));
	print_upstreams(json_get(json_root(doc), "upstreams"));
}

static int
status(void)
{
	struct json *doc = NULL;
	int code = client_ask("GET", "/api/v1/mirror", STR(""), &doc);

	if (code == EXIT_OK)
		print_status(doc);
	json_free(&doc);
	return code;
}

static int
purge(const char *url)
{
	struct json *doc = NULL;
	int code = client_ask_with("POST", "/api/v1/mirror/purge", "url", url, &doc);

	if (code == EXIT_OK)
		printf("%" PRId64 " replies are gone\n", number(doc, "purged"));
	json_free(&doc);
	return code;
}

static int
pin(const char *path, const char *url, const char *said)
{
	struct json *doc = NULL;
	int code = client_ask_with("POST", path, "url", url, &doc);

	if (code == EXIT_OK)
		printf("%s\n", said);
	json_free(&doc);
	return code;
}

static int
list_pins(void)
{
	struct json *doc = NULL;
	int code = client_ask("GET", "/api/v1/mirror/pins", STR(""), &doc);
	const struct json_value *pins = code == EXIT_OK ? json_get(json_root(doc), "pins") : NULL;

	for (size_t i = 0; i < json_count(pins); i++)
		printf("%s\n", json_string(json_at(pins, i), ""));
	json_free(&doc);
	return code;
}

int
mirror_run(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "status") == 0)
		return status();
	if (argc == 3 && strcmp(argv[1], "purge") == 0)
		return purge(argv[2]);
	if (argc == 3 && strcmp(argv[1], "pin") == 0)
		return pin("/api/v1/mirror/pins", argv[2], "what is stored of it stays");
	if (argc == 3 && strcmp(argv[1], "unpin") == 0)
		return pin("/api/v1/mirror/unpin", argv[2], "what is stored of it may give way");
	if (argc > 2 && strcmp(argv[1], "fetch") == 0)
		return mirror_fetch_run(argc - 1, argv + 1);
	if (argc == 2 && strcmp(argv[1], "pins") == 0)
		return list_pins();
	return EXIT_USAGE;
}
