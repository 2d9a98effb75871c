#include "proto/cron.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define HOUR_S 3600
#define DAY_S 86400
#define HOURS_ALL ((1u << 24) - 1)
#define YEARS_MAX 50 /* February 29 on a Sunday comes after 40 years at the latest */

static const char *const month_names[] = { "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV",
	"DEC" };
static const char *const weekday_names[] = { "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT" };

struct field {
	const char *name;
	unsigned min, max;
	const char *const *names;
	unsigned name_count;
};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field fields[FIELDS] = {
	[MINUTE] = { "minute", 0, 59, NULL, 0 },
	[HOUR] = { "hour", 0, 23, NULL, 0 },
	[DAY] = { "day", 1, 31, NULL, 0 },
	[MONTH] = { "month", 1, 12, month_names, 12 },
	[WEEKDAY] = { "weekday", 0, 7, weekday_names, 7 },
};

static const char *const macros[][2] = {
	{ "@yearly", "0 0 1 1 *" },
	{ "@annually", "0 0 1 1 *" },
	{ "@monthly", "0 0 1 * *" },
	{ "@weekly", "0 0 * * 0" },
	{ "@daily", "0 0 * * *" },
	{ "@midnight", "0 0 * * *" },
	{ "@hourly", "0 * * * *" },
};

/* --- reading --- */

static int
shown(struct str s)
{
	return s.len < 40 ? (int)s.len : 40;
}

static bool
read_value(const struct field *field, struct str text, unsigned *ret)
{
	uint64_t n;

	for (unsigned i = 0; i < field->name_count; i++)
		if (str_is_nocase(text, field->names[i])) {
			*ret = field->min + i;
			return true;
		}
	if (text.len > 2 || !str_to_u64(text, field->max, &n) || n < field->min)
		return false;
	*ret = (unsigned)n;
	return true;
}

static bool
refuse(const struct field *field, struct str item, struct err *err)
{
	return err_set(err, ERR_INPUT, 0, "%s: \"%.*s\" is none: *, N, A-B or */STEP of %u to %u%s%s%s", field->name,
	    shown(item), item.p, field->min, field->max, field->names != NULL ? " or " : "",
	    field->names != NULL ? field->names[0] : "", field->names != NULL ? "..." : "");
}

/* One of a list: N, A-B, A-B/STEP, *, or * with a step. */
static bool
read_item(const struct field *field, struct str item, uint64_t *bits, struct err *err)
{
	struct str step_text = item, to_text, from_text;
	bool has_step = memchr(item.p, '/', item.len) != NULL;
	uint64_t step = 1;
	unsigned from, to;

	to_text = str_cut(&step_text, '/');
	if (has_step && (step_text.len > 3 || !str_to_u64(step_text, field->max, &step) || step == 0))
		return refuse(field, item, err);
	if (str_is(to_text, "*")) {
		from = field->min;
		to = field->max;
	} else {
		bool is_range = memchr(to_text.p, '-', to_text.len) != NULL;

		from_text = str_cut(&to_text, '-');
		if (!read_value(field, from_text, &from) || (is_range && !read_value(field, to_text, &to)) ||
		    (has_step && !is_range))
			return refuse(field, item, err);
		if (!is_range)
			to = from;
	}
	if (field == &fields[WEEKDAY] && to == 0 && from > 0)
		to = 7; /* SAT-SUN */
	if (from > to)
		return err_set(
		    err, ERR_INPUT, 0, "%s: \"%.*s\" ends before it begins", field->name, shown(item), item.p);
	for (uint64_t n = from; n <= to; n += step)
		*bits |= 1ull << n;
	return true;
}

static bool
read_field(const struct field *field, struct str text, uint64_t *bits, struct err *err)
{
	*bits = 0;
	do {
		const char *comma = memchr(text.p, ',', text.len);
		struct str item = str_cut(&text, ',');

		if (!read_item(field, item, bits, err))
			return false;
		if (comma != NULL && text.len == 0)
			return refuse(field, text, err);
	} while (text.len > 0);
	return true;
}

/* The next word; blanks are spaces and tabs. */
static struct str
take_word(struct str *rest)
{
	struct str word;

	*rest = str_trim(*rest);
	word = (struct str){ rest->p, 0 };
	while (word.len < rest->len && rest->p[word.len] != ' ' && rest->p[word.len] != '\t')
		word.len++;
	*rest = (struct str){ rest->p + word.len, rest->len - word.len };
	return word;
}

static bool
read_macro(struct str *text, struct err *err)
{
	for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
		if (str_is_nocase(*text, macros[i][0])) {
			*text = str_of(macros[i][1]);
			return true;
		}
	return err_set(err, ERR_INPUT, 0, "\"%.*s\" is none of @yearly, @monthly, @weekly, @daily and @hourly",
	    shown(*text), text->p);
}

/* Some month has one of the days. */
static bool
may_come(const struct cron *cron)
{
	static const unsigned lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (!cron->any_weekday)
		return true;
	for (unsigned month = 1; month <= 12; month++)
		if ((cron->months & 1u << month) != 0 && (cron->days & ((2ull << lengths[month - 1]) - 2)) != 0)
			return true;
	return false;
}

bool
cron_parse(struct str text, struct cron *ret, struct err *err)
{
	uint64_t bits[FIELDS];
	bool any[FIELDS];

	text = str_trim(text);
	if (text.len > CRON_TEXT_MAX)
		return err_set(err, ERR_LIMIT, 0, "the rule is longer than %d bytes", CRON_TEXT_MAX);
	if (text.len > 0 && text.p[0] == '@' && !read_macro(&text, err))
		return false;
	for (size_t i = 0; i < FIELDS; i++) {
		struct str word = take_word(&text);

		if (word.len == 0)
			return err_set(err, ERR_INPUT, 0,
			    "a rule has five fields, minute hour day month weekday: %s is missing", fields[i].name);
		if (!read_field(&fields[i], word, &bits[i], err))
			return false;
		any[i] = word.p[0] == '*' && (word.len == 1 || word.p[1] == '/');
	}
	if (str_trim(text).len > 0)
		return err_set(
		    err, ERR_INPUT, 0, "a rule has five fields, minute hour day month weekday: there are more");
	*ret = (struct cron){
		.minutes = bits[MINUTE],
		.hours = (uint32_t)bits[HOUR],
		.days = (uint32_t)bits[DAY],
		.months = (uint16_t)bits[MONTH],
		.weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
		.any_day = any[DAY],
		.any_weekday = any[WEEKDAY],
	};
	if (!may_come(ret))
		return err_set(err, ERR_INPUT, 0, "day: there is no such day in the months that are named");
	return true;
}

/* --- the next time --- */

bool
cron_is_every_hour(const struct cron *cron)
{
	return cron->hours == HOURS_ALL;
}

static int64_t
floor_to(int64_t n, int64_t unit)
{
	int64_t rest = n % unit;

	return n - (rest < 0 ? rest + unit : rest);
}

static bool
fits_day(const struct cron *cron, int64_t days, unsigned day)
{
	unsigned weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
	bool by_day = (cron->days & 1u << day) != 0;
	bool by_weekday = (cron->weekdays & 1u << weekday) != 0;

	/* a "*" leaves it to the other; with a step it still has to fit itself */
	if (cron->any_day || cron->any_weekday)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

/* The first time from local on, before limit, or limit. All local. */
static int64_t
next_local(const struct cron *cron, int64_t local, int64_t limit)
{
	local = floor_to(local + 59, 60);
	while (local < limit) {
		int64_t midnight = floor_to(local, DAY_S), of_day = local - midnight, year;
		unsigned month, day;

		zone_date(midnight / DAY_S, &year, &month, &day);
		if ((cron->months & 1u << month) == 0)
			local = (month == 12 ? zone_days(year + 1, 1, 1) : zone_days(year, month + 1, 1)) * DAY_S;
		else if (!fits_day(cron, midnight / DAY_S, day))
			local = midnight + DAY_S;
		else if ((cron->hours & 1u << (of_day / HOUR_S)) == 0)
			local = floor_to(local, HOUR_S) + HOUR_S;
		else if ((cron->minutes & 1ull << (of_day % HOUR_S / 60)) == 0)
			local += 60;
		else
			return local;
	}
	return limit;
}

bool
cron_matches(const struct cron *cron, int64_t local)
{
	return floor_to(local, 60) == local && next_local(cron, local, local + 60) == local;
}

/* In the period's time from at on; INT64_MAX: not in it. */
static int64_t
next_in_period(const struct cron *cron, const struct zone_period *p, int64_t at, int64_t end)
{
	int64_t local = at + p->offset, found;

	/* what the clock has shown already, before it was put back */
	if (!cron_is_every_hour(cron) && p->begin != INT64_MIN && local < p->begin + p->before)
		local = p->begin + p->before;
	found = next_local(cron, local, end + p->offset);
	return found < end + p->offset ? found - p->offset : INT64_MAX;
}

/* What the clock leaves out at the period's begin. */
static bool
comes_with_jump(const struct cron *cron, const struct zone_period *p, int64_t at)
{
	int64_t left = p->begin + p->before, right = p->begin + p->offset;

	if (cron_is_every_hour(cron) || p->begin != at || left >= right)
		return false;
	return next_local(cron, left, right) < right;
}

int64_t
cron_next(const struct cron *cron, const struct zone *zone, int64_t after)
{
	int64_t at = after + 1, limit = after + (int64_t)YEARS_MAX * 366 * DAY_S;

	while (at < limit) {
		struct zone_period p = zone_period(zone, at);
		int64_t end = p.end < limit ? p.end : limit, found;

		if (comes_with_jump(cron, &p, at))
			return at;
		found = next_in_period(cron, &p, at, end);
		if (found != INT64_MAX)
			return found;
		at = end;
	}
	assert(!"a rule that cron_parse took comes within fifty years");
	return limit;
}
