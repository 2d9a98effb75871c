#include "proto/zone.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

#define DAY_S 86400
#define NAME_MAX_BYTES 64
#define TRANSITIONS_MAX 4096
#define OFFSET_MAX_S (26 * 3600)
#define RULE_HOURS_MAX 167

/* A day of the year on which daylight saving time begins or ends. */
enum rule_kind { RULE_MONTH, RULE_JULIAN, RULE_DAY };

struct rule {
	enum rule_kind kind;
	unsigned month;   /* RULE_MONTH: 1..12 */
	unsigned week;    /* 1..5, 5 is the last one */
	unsigned weekday; /* 0 is Sunday */
	unsigned day;     /* RULE_JULIAN: 1..365 without February 29, RULE_DAY: 0..365 with it */
	int32_t time;     /* seconds since midnight, of the time that ends then */
};

/* What the footer says. */
struct footer {
	bool is_given;
	bool has_dst;
	int32_t standard;
	int32_t dst;
	struct rule begins;
	struct rule ends;
};

struct transition {
	int64_t at;
	int32_t offset; /* from then on */
};

struct zone {
	struct transition *transitions;
	size_t count;
	int32_t first; /* the offset before all transitions */
	struct footer footer;
};

/* --- names --- */

bool
zone_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES || strncmp(name, "posix/", 6) == 0 || strncmp(name, "right/", 6) == 0)
		return false;
	if (!isupper((unsigned char)name[0]) || name[len - 1] == '/' || strstr(name, "//") != NULL)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && strchr("/_+-", name[i]) == NULL)
			return false;
	return true;
}

/* --- the calendar (the well-known formulas over 400 years that begin in March) --- */

int64_t
zone_days(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void
zone_date(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;

	*day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = y + era * 400 + (*month <= 2);
}

static int64_t
floor_days(int64_t seconds)
{
	return (seconds >= 0 ? seconds : seconds - (DAY_S - 1)) / DAY_S;
}

/* --- the footer --- */

static bool
take_char(struct str *s, char c)
{
	if (s->len == 0 || s->p[0] != c)
		return false;
	s->p++;
	s->len--;
	return true;
}

static bool
take_number(struct str *s, unsigned max, unsigned *ret)
{
	size_t len = 0;
	unsigned n = 0;

	while (len < s->len && len < 4 && isdigit((unsigned char)s->p[len]))
		n = 10 * n + (unsigned)(s->p[len++] - '0');
	*s = (struct str){ s->p + len, s->len - len };
	*ret = n;
	return len > 0 && n <= max;
}

/* EST, or <+03> */
static bool
take_name(struct str *s)
{
	bool quoted = take_char(s, '<');
	size_t len = 0;

	while (len < s->len && (isalpha((unsigned char)s->p[len]) ||
				   (quoted && (isdigit((unsigned char)s->p[len]) || strchr("+-", s->p[len]) != NULL))))
		len++;
	*s = (struct str){ s->p + len, s->len - len };
	return len > 0 && (!quoted || take_char(s, '>'));
}

/* [+-]hours[:minutes[:seconds]] */
static bool
take_time(struct str *s, unsigned hours_max, int32_t *ret)
{
	bool minus = take_char(s, '-');
	unsigned hours, minutes = 0, seconds = 0;

	if (!minus)
		take_char(s, '+');
	if (!take_number(s, hours_max, &hours))
		return false;
	if (take_char(s, ':') && !take_number(s, 59, &minutes))
		return false;
	if (take_char(s, ':') && !take_number(s, 59, &seconds))
		return false;
	*ret = (int32_t)(hours * 3600 + minutes * 60 + seconds) * (minus ? -1 : 1);
	return true;
}

static bool
take_month_rule(struct str *s, struct rule *rule)
{
	rule->kind = RULE_MONTH;
	return take_number(s, 12, &rule->month) && rule->month > 0 && take_char(s, '.') &&
	       take_number(s, 5, &rule->week) && rule->week > 0 && take_char(s, '.') &&
	       take_number(s, 6, &rule->weekday);
}

static bool
take_rule(struct str *s, struct rule *rule)
{
	bool ok;

	rule->time = 2 * 3600;
	if (!take_char(s, ','))
		return false;
	if (take_char(s, 'M')) {
		ok = take_month_rule(s, rule);
	} else {
		rule->kind = take_char(s, 'J') ? RULE_JULIAN : RULE_DAY;
		ok = take_number(s, 365, &rule->day) && (rule->kind == RULE_DAY || rule->day > 0);
	}
	return ok && (!take_char(s, '/') || take_time(s, RULE_HOURS_MAX, &rule->time));
}

/* CET-1CEST,M3.5.0,M10.5.0/3; its offsets count to the west. */
static bool
read_footer(struct str text, struct footer *ret)
{
	struct footer f = { .is_given = true };

	if (text.len == 0)
		return true;
	if (!take_name(&text) || !take_time(&text, 24, &f.standard))
		return false;
	f.standard = -f.standard;
	if (text.len > 0) {
		f.has_dst = true;
		f.dst = f.standard + 3600;
		if (!take_name(&text))
			return false;
		if (text.len > 0 && text.p[0] != ',') {
			if (!take_time(&text, 24, &f.dst))
				return false;
			f.dst = -f.dst;
		}
		if (!take_rule(&text, &f.begins) || !take_rule(&text, &f.ends))
			return false;
	}
	*ret = f;
	return text.len == 0;
}

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t
month_rule_day(const struct rule *rule, int64_t year)
{
	int64_t first = zone_days(year, rule->month, 1);
	int64_t next = rule->month == 12 ? zone_days(year + 1, 1, 1) : zone_days(year, rule->month + 1, 1);
	int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
	int64_t day = first + ((int64_t)rule->weekday - weekday + 7) % 7 + 7 * ((int64_t)rule->week - 1);

	return day >= next ? day - 7 : day;
}

/* When it applies in that year; offset: of the time that ends then. */
static int64_t
rule_at(const struct rule *rule, int64_t year, int32_t offset)
{
	int64_t day = 0;

	switch (rule->kind) {
	case RULE_MONTH:
		day = month_rule_day(rule, year);
		break;
	case RULE_JULIAN:
		day = zone_days(year, 1, 1) + rule->day - 1 + (is_leap(year) && rule->day > 59);
		break;
	case RULE_DAY:
		day = zone_days(year, 1, 1) + rule->day;
		break;
	}
	return day * DAY_S + rule->time - offset;
}

/* --- the file --- */

struct reader {
	struct str left;
	bool ok;
};

static const unsigned char *
take(struct reader *r, size_t len)
{
	const unsigned char *p = (const unsigned char *)r->left.p;

	if (!r->ok || r->left.len < len) {
		r->ok = false;
		return NULL;
	}
	r->left = (struct str){ r->left.p + len, r->left.len - len };
	return p;
}

static int64_t
big_endian(const unsigned char *p, size_t len)
{
	uint64_t n = (p[0] & 0x80) != 0 ? UINT64_MAX : 0;

	for (size_t i = 0; i < len; i++)
		n = n << 8 | p[i];
	return (int64_t)n;
}

struct head {
	char version;
	size_t utc_count, standard_count, leap_count, time_count, type_count, char_count;
};

static bool
read_head(struct reader *r, struct head *ret)
{
	const unsigned char *p = take(r, 44);
	size_t *const counts[] = { &ret->utc_count, &ret->standard_count, &ret->leap_count, &ret->time_count,
		&ret->type_count, &ret->char_count };

	if (p == NULL || memcmp(p, "TZif", 4) != 0)
		return false;
	ret->version = (char)p[4];
	for (size_t i = 0; i < 6; i++) {
		int64_t n = big_endian(p + 20 + 4 * i, 4);

		if (n < 0 || n > ZONE_FILE_MAX)
			return false;
		*counts[i] = (size_t)n;
	}
	return ret->time_count <= TRANSITIONS_MAX && ret->type_count >= 1 && ret->type_count <= 256;
}

static bool
read_transitions(
    struct zone *zone, const struct head *head, const unsigned char *times, size_t width, const unsigned char *types)
{
	const unsigned char *infos = types + head->time_count;

	zone->transitions = xcalloc(head->time_count + 1, sizeof(*zone->transitions));
	zone->first = (int32_t)big_endian(infos, 4);
	for (size_t i = 0; i < head->time_count; i++) {
		struct transition *t = &zone->transitions[i];

		if (types[i] >= head->type_count)
			return false;
		t->at = big_endian(times + width * i, width);
		t->offset = (int32_t)big_endian(infos + 6 * (size_t)types[i], 4);
		if (t->offset < -OFFSET_MAX_S || t->offset > OFFSET_MAX_S ||
		    (i > 0 && t->at <= zone->transitions[i - 1].at))
			return false;
		zone->count++;
	}
	return zone->first >= -OFFSET_MAX_S && zone->first <= OFFSET_MAX_S;
}

/* One block: times of that width, types, the rest that is not needed here. */
static bool
read_block(struct reader *r, const struct head *head, size_t width, struct zone *zone)
{
	const unsigned char *times = take(r, head->time_count * width);
	const unsigned char *types = take(r, head->time_count);

	take(r, head->type_count * 6);
	take(r, head->char_count + head->leap_count * (width + 4) + head->standard_count + head->utc_count);
	return r->ok && (zone == NULL || read_transitions(zone, head, times, width, types));
}

static bool
read_end(struct reader *r, struct footer *footer)
{
	const char *end;

	if (!take_char(&r->left, '\n') || (end = memchr(r->left.p, '\n', r->left.len)) == NULL)
		return false;
	return read_footer((struct str){ r->left.p, (size_t)(end - r->left.p) }, footer);
}

static bool
read_file(struct str bytes, struct zone *zone)
{
	struct reader r = { bytes, true };
	struct head head;

	if (bytes.len > ZONE_FILE_MAX || !read_head(&r, &head) || head.leap_count > 0)
		return false;
	if (head.version < '2')
		return read_block(&r, &head, 4, zone);
	return read_block(&r, &head, 4, NULL) && read_head(&r, &head) && head.leap_count == 0 &&
	       read_block(&r, &head, 8, zone) && read_end(&r, &zone->footer);
}

bool
zone_parse(struct str bytes, struct zone **ret, struct err *err)
{
	struct zone *zone = xcalloc(1, sizeof(*zone));

	if (!read_file(bytes, zone)) {
		zone_free(&zone);
		return err_set(err, ERR_INPUT, 0, "it is no time zone file (TZif) without leap seconds");
	}
	*ret = zone;
	return true;
}

struct zone *
zone_utc(void)
{
	return xcalloc(1, sizeof(struct zone));
}

void
zone_free(struct zone **zone)
{
	if (*zone != NULL)
		free((*zone)->transitions);
	free(*zone);
	*zone = NULL;
}

/* --- periods --- */

/* Takes in what begins at that time: it bounds the period from the left or from the right. */
static void
bound(struct zone_period *p, int64_t at, int64_t begins, int32_t offset, int32_t before)
{
	if (begins > at) {
		if (begins < p->end)
			p->end = begins;
	} else if (begins >= p->begin) {
		p->begin = begins;
		p->offset = offset;
		p->before = before;
	}
}

/* The rule's turns around that time, as far as they lie behind the table. */
static void
bound_by_rule(const struct footer *f, int64_t since, int64_t at, struct zone_period *p)
{
	int64_t year;
	unsigned month, day;

	zone_date(floor_days(at), &year, &month, &day);
	for (int64_t y = year - 1; y <= year + 1; y++) {
		int64_t begins = rule_at(&f->begins, y, f->standard), ends = rule_at(&f->ends, y, f->dst);

		if (begins > since)
			bound(p, at, begins, f->dst, f->standard);
		if (ends > since)
			bound(p, at, ends, f->standard, f->dst);
	}
}

/* How many transitions are not later. */
static size_t
count_until(const struct zone *zone, int64_t at)
{
	size_t low = 0, high = zone->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zone->transitions[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct zone_period
zone_period(const struct zone *zone, int64_t at)
{
	size_t n = count_until(zone, at);
	struct zone_period p = { .begin = INT64_MIN, .end = INT64_MAX, .offset = zone->first, .before = zone->first };

	if (n > 0) {
		p.begin = zone->transitions[n - 1].at;
		p.offset = zone->transitions[n - 1].offset;
		p.before = n > 1 ? zone->transitions[n - 2].offset : zone->first;
	} else if (zone->count == 0 && zone->footer.is_given) {
		p.offset = p.before = zone->footer.standard;
	}
	if (n < zone->count)
		p.end = zone->transitions[n].at;
	else if (zone->footer.has_dst)
		bound_by_rule(&zone->footer, p.begin, at, &p);
	return p;
}
