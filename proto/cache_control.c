#include "proto/cache_control.h"

#include <stddef.h>

/* Cuts the next list element off the front, quoted strings kept whole. */
static struct str
cut_element(struct str *list)
{
	struct str element = { list->p, 0 };
	bool is_quoted = false;
	size_t i = 0;

	for (; i < list->len && (is_quoted || list->p[i] != ','); i++) {
		if (is_quoted && list->p[i] == '\\' && i + 1 < list->len)
			i++;
		else if (list->p[i] == '"')
			is_quoted = !is_quoted;
	}
	element.len = i;
	*list = i < list->len ? (struct str){ list->p + i + 1, list->len - i - 1 } : (struct str){ list->p + i, 0 };
	return str_trim(element);
}

static struct str
unquote(struct str s)
{
	if (s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"')
		return (struct str){ s.p + 1, s.len - 2 };
	return s;
}

static bool
is_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.len > 0;
}

/* What does not fit counts as the largest (RFC 9111 section 1.2.2). */
static int64_t
seconds_of(struct str text)
{
	uint64_t n = 0;

	if (!is_digits(text))
		return 0;
	return str_to_u64(text, CACHE_CONTROL_MAX, &n) ? (int64_t)n : CACHE_CONTROL_MAX;
}

static void
set_seconds(int64_t *field, struct str value)
{
	int64_t n = seconds_of(value);

	if (*field == CACHE_CONTROL_NONE || n < *field)
		*field = n;
}

static void
read_element(struct str element, struct cache_control *ret)
{
	const struct {
		struct str name;
		bool *flag;
	} flags[] = {
		{ STR("no-cache"), &ret->no_cache },
		{ STR("no-store"), &ret->no_store },
		{ STR("only-if-cached"), &ret->only_if_cached },
		{ STR("public"), &ret->is_public },
		{ STR("private"), &ret->is_private },
		{ STR("must-revalidate"), &ret->must_revalidate },
		{ STR("proxy-revalidate"), &ret->proxy_revalidate },
		{ STR("must-understand"), &ret->must_understand },
		{ STR("immutable"), &ret->immutable },
	};
	const struct {
		struct str name;
		int64_t *seconds;
	} numbers[] = {
		{ STR("max-age"), &ret->max_age },
		{ STR("s-maxage"), &ret->s_maxage },
		{ STR("min-fresh"), &ret->min_fresh },
		{ STR("stale-while-revalidate"), &ret->stale_while_revalidate },
		{ STR("stale-if-error"), &ret->stale_if_error },
	};
	struct str value = element, name = str_cut(&value, '=');

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (str_eq_nocase(name, flags[i].name))
			*flags[i].flag = true;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (str_eq_nocase(name, numbers[i].name))
			set_seconds(numbers[i].seconds, unquote(value));
	if (str_is_nocase(name, "max-stale"))
		ret->max_stale = name.len == element.len ? CACHE_CONTROL_MAX : seconds_of(unquote(value));
}

void
cache_control_read(const struct http1_head *head, struct cache_control *ret)
{
	*ret = (struct cache_control){
		.max_age = CACHE_CONTROL_NONE,
		.s_maxage = CACHE_CONTROL_NONE,
		.max_stale = CACHE_CONTROL_NONE,
		.min_fresh = CACHE_CONTROL_NONE,
		.stale_while_revalidate = CACHE_CONTROL_NONE,
		.stale_if_error = CACHE_CONTROL_NONE,
	};
	for (size_t i = 0; i < head->header_count; i++) {
		struct str list = head->headers[i].value;

		if (!str_is_nocase(head->headers[i].name, "Cache-Control"))
			continue;
		while (list.len > 0)
			read_element(cut_element(&list), ret);
	}
}
