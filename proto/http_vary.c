#include "proto/http_vary.h"

#include <stdlib.h>
#include <string.h>

static void
add_lower(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_addc(b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i]);
}

enum { LANGUAGES_MAX = 64 };

static int
compare(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	int order = memcmp(x->p, y->p, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Case and order of Accept-Language mean nothing (RFC 9110 section 12.5.4; RFC 4647 section 2), only the weights do.
 * More than LANGUAGES_MAX stay as they are. */
static void
normalise_languages(struct buf *b, size_t from)
{
	struct str list[LANGUAGES_MAX], rest;
	struct buf lower;
	size_t count = 0;

	buf_init(&lower, b->max);
	add_lower(&lower, (struct str){ b->data + from, b->len - from });
	rest = buf_str(&lower);
	while (rest.len > 0 && count < LANGUAGES_MAX)
		list[count++] = str_cut(&rest, ',');
	if (rest.len == 0 && !buf_failed(&lower) && !buf_failed(b)) {
		qsort(list, count, sizeof(list[0]), compare);
		b->len = from;
		for (size_t i = 0; i < count; i++) {
			if (i > 0)
				buf_addc(b, ',');
			buf_addstr(b, list[i]);
		}
	}
	buf_fini(&lower);
}

/* All headers of that name as one list, without blanks beside its commas. */
static void
add_value(struct buf *b, const struct http1_head *request, const char *name)
{
	bool is_first = true;
	size_t from = b->len;

	for (size_t i = 0; i < request->header_count; i++) {
		struct str list = request->headers[i].value;

		if (!str_is_nocase(request->headers[i].name, name))
			continue;
		do {
			if (!is_first)
				buf_addc(b, ',');
			is_first = false;
			buf_addstr(b, str_trim(str_cut(&list, ',')));
		} while (list.len > 0);
	}
	if (strcmp(name, "accept-language") == 0)
		normalise_languages(b, from);
}

/* "name: value\n"; without the header "name\n". */
static void
add_line(struct buf *b, const struct http1_head *request, struct str name)
{
	char *text = str_dup(name);

	buf_addstr(b, name);
	if (http1_find(request, text) != NULL) {
		buf_adds(b, ": ");
		add_value(b, request, text);
	}
	buf_addc(b, '\n');
	free(text);
}

bool
http_vary_print(struct buf *b, const struct http1_head *request, const struct http1_head *reply, const char *unsent)
{
	struct buf names;

	buf_init(&names, 8192);
	for (size_t i = 0; i < reply->header_count; i++) {
		struct str list = reply->headers[i].value;

		if (!str_is_nocase(reply->headers[i].name, "Vary"))
			continue;
		while (list.len > 0) {
			struct str name = str_trim(str_cut(&list, ','));
			size_t at = names.len;

			add_lower(&names, name);
			if (unsent != NULL && str_is_nocase(name, unsent))
				continue;
			if (http1_is_token(name) && !buf_failed(&names))
				add_line(b, request, (struct str){ names.data + at, names.len - at });
		}
	}
	if (buf_failed(&names))
		b->failed = true;
	buf_fini(&names);
	return !buf_failed(b);
}

/* but: the name of a header that need not; NULL: all must. */
static bool
matches(struct str selection, const struct http1_head *request, const char *but)
{
	struct buf line;
	bool is_same = true;

	buf_init(&line, 65536);
	while (is_same && selection.len > 0) {
		struct str stored = str_cut(&selection, '\n'), name = stored;

		name = str_cut(&name, ':');
		if (but != NULL && str_is(name, but))
			continue;
		buf_reset(&line);
		add_line(&line, request, name);
		is_same = !buf_failed(&line) && str_eq(stored, (struct str){ line.data, line.len - 1 });
	}
	buf_fini(&line);
	return is_same;
}

bool
http_vary_matches(struct str selection, const struct http1_head *request)
{
	return matches(selection, request, NULL);
}

/* --- languages --- */

/* Of "q=0.5", in thousandths; without it 1000; -1: it is malformed (RFC 9110 section 12.4.2). */
static int
weight_of(struct str parameter)
{
	static const int units[] = { 1000, 0, 100, 10, 1 };
	int weight = 0;

	if (parameter.len == 0)
		return 1000;
	if (!str_has_prefix(parameter, "q=") && !str_has_prefix(parameter, "Q="))
		return -1;
	parameter = (struct str){ parameter.p + 2, parameter.len - 2 };
	if (parameter.len == 0 || parameter.len > sizeof(units) / sizeof(units[0]))
		return -1;
	for (size_t i = 0; i < parameter.len; i++) {
		char c = parameter.p[i];

		if (i == 1 ? c != '.' : c < '0' || c > '9')
			return -1;
		weight += i == 1 ? 0 : (c - '0') * units[i];
	}
	return weight <= 1000 ? weight : -1;
}

struct favourite {
	struct str language; /* empty: there is none, or more than one of that weight */
	int weight;
};

static bool
add_languages(struct favourite *best, struct str list)
{
	while (list.len > 0) {
		struct str weight = str_cut(&list, ','), language = str_trim(str_cut(&weight, ';'));
		int told = weight_of(str_trim(weight));

		if (told < 0)
			return false;
		if (told > best->weight)
			*best = (struct favourite){ language, told };
		else if (told == best->weight)
			best->language = STR("");
	}
	return true;
}

bool
http_vary_speaks(struct str selection, const struct http1_head *request, struct str language)
{
	struct favourite best = { .weight = 0 };

	for (size_t i = 0; i < request->header_count; i++)
		if (str_is_nocase(request->headers[i].name, "Accept-Language") &&
		    !add_languages(&best, request->headers[i].value))
			return false;
	return best.language.len > 0 && str_eq_nocase(best.language, language) &&
	       matches(selection, request, "accept-language");
}
