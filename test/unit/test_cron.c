#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/cron.h"
#include "proto/mem.h"

/* A file without a table: the rule in its footer says all. */
static struct zone *
zone_of(const char *footer)
{
	char file[256];
	size_t len = 0;
	struct zone *zone = NULL;
	struct err err;

	for (int i = 0; i < 2; i++) {
		memset(file + len, 0, 51);
		memcpy(file + len, "TZif2", 5);
		file[len + 39] = 1; /* a type */
		file[len + 43] = 1; /* a character of its name */
		len += 51;
	}
	len += (size_t)snprintf(file + len, sizeof(file) - len, "\n%s\n", footer);
	assert_true(zone_parse((struct str){ file, len }, &zone, &err));
	return zone;
}

static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3";

static int64_t
utc(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (int64_t)timegm(&tm);
}

static struct cron
rule(const char *text)
{
	struct cron cron;
	struct err err;

	if (!cron_parse(str_of(text), &cron, &err))
		fail_msg("%s: %s", text, err.text);
	return cron;
}

static void
assert_next(const char *text, const struct zone *zone, const char *after, const char *expected)
{
	struct cron cron = rule(text);
	int64_t next = cron_next(&cron, zone, utc(after));
	time_t t = (time_t)next;
	struct tm tm;
	char words[32];

	gmtime_r(&t, &tm);
	strftime(words, sizeof(words), "%Y-%m-%d %H:%M", &tm);
	if (strcmp(words, expected) != 0)
		fail_msg("%s after %s: %s, not %s", text, after, words, expected);
}

static void
test_fields(void **state)
{
	static const char *const cases[][3] = {
		{ "* * * * *", "2026-01-01 00:00", "2026-01-01 00:01" },
		{ "0 0 * * *", "2026-01-01 00:00", "2026-01-02 00:00" },
		{ "*/15 * * * *", "2026-01-01 00:31", "2026-01-01 00:45" },
		{ "5-10/5,59 23 * * *", "2026-01-01 23:10", "2026-01-01 23:59" },
		{ "0 12 31 * *", "2026-01-31 12:00", "2026-03-31 12:00" },
		{ "0 0 29 FEB *", "2026-01-01 00:00", "2028-02-29 00:00" },
		{ "0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00" },
		{ "30 4 * jan-Mar mon", "2026-03-30 04:30", "2027-01-04 04:30" },
		{ "0 0 * * 7", "2026-01-01 00:00", "2026-01-04 00:00" },
		{ "0 0 * * SAT-SUN", "2026-01-01 00:00", "2026-01-03 00:00" },
		{ "0 0 13 * FRI", "2026-01-02 00:00", "2026-01-09 00:00" }, /* one of them is enough */
		{ "0 0 13 * FRI", "2026-01-09 00:00", "2026-01-13 00:00" },
		{ "0 0 */2 * MON", "2026-01-01 00:00", "2026-01-05 00:00" }, /* a star with a step must fit as well */
		{ "@hourly", "2026-01-01 00:59", "2026-01-01 01:00" },
		{ "@daily", "2026-01-01 00:59", "2026-01-02 00:00" },
		{ " @weekly ", "2026-01-01 00:59", "2026-01-04 00:00" },
		{ "@monthly", "2026-12-01 00:00", "2027-01-01 00:00" },
		{ "@YEARLY", "2026-12-01 00:00", "2027-01-01 00:00" },
		{ "59\t23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59" },
	};
	struct zone *zone = zone_utc();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_next(cases[i][0], zone, cases[i][1], cases[i][2]);
	zone_free(&zone);
}

static void
test_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "", "minute is missing" },
		{ "0 0 * *", "weekday is missing" },
		{ "0 0 * * * *", "there are more" },
		{ "60 0 * * *", "minute: \"60\"" },
		{ "0 24 * * *", "hour: \"24\"" },
		{ "0 0 0 * *", "day: \"0\"" },
		{ "0 0 * 13 *", "month: \"13\"" },
		{ "0 0 * * 8", "weekday: \"8\"" },
		{ "0 0 * * FOO", "weekday: \"FOO\"" },
		{ "0 0 * JANUARY *", "month: \"JANUARY\"" },
		{ "5-1 0 * * *", "ends before it begins" },
		{ "*/0 0 * * *", "minute: \"*/0\"" },
		{ "5/5 0 * * *", "minute: \"5/5\"" },
		{ "1, 0 * * *", "minute: \"\"" },
		{ "-1 0 * * *", "minute: \"-1\"" },
		{ "+1 0 * * *", "minute: \"+1\"" },
		{ "0 0 30 2 *", "there is no such day" },
		{ "0 0 31 4,6,9,11 *", "there is no such day" },
		{ "@reboot", "none of @yearly" },
		{ "@", "none of @yearly" },
	};
	struct cron cron;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(cron_parse(str_of(cases[i][0]), &cron, &err));
		if (strstr(err.text, cases[i][1]) == NULL)
			fail_msg("\"%s\": %s", cases[i][0], err.text);
	}
}

/* 2026: at 01:00 UTC the clock jumps on March 29 from 2:00 to 3:00, on October 25 from 3:00 back to 2:00. */
static void
test_the_clock_jumps(void **state)
{
	static const char *const cases[][3] = {
		{ "30 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00" }, /* left out: at the jump */
		{ "30 2 * * *", "2026-03-29 01:00", "2026-03-30 00:30" }, /* and once */
		{ "0 3 * * *", "2026-03-28 12:00", "2026-03-29 01:00" },
		{ "*/20 1-3 * * *", "2026-03-29 00:40", "2026-03-29 01:00" },
		{ "*/20 1-3 * * *", "2026-03-29 01:00", "2026-03-29 01:20" },
		{ "30 * * * *", "2026-03-29 00:30",
		    "2026-03-29 01:30" }, /* every hour: what is left out is not made up for */
		{ "30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30" }, /* the first of two */
		{ "30 2 * * *", "2026-10-25 00:30", "2026-10-26 01:30" },
		{ "*/30 0-2 * * *", "2026-10-25 00:30", "2026-10-25 23:00" },
		{ "30 * * * *", "2026-10-25 00:30", "2026-10-25 01:30" }, /* both */
		{ "0 3 * * *", "2026-10-25 00:30", "2026-10-25 02:00" },
		{ "30 2 29 3 *", "2026-01-01 00:00", "2026-03-29 01:00" },
	};
	struct zone *zone = zone_of(berlin);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_next(cases[i][0], zone, cases[i][1], cases[i][2]);
	zone_free(&zone);
}

/* By the definition: whether a rule comes at that second. */
static bool
comes_at(const struct cron *cron, const struct zone *zone, int64_t at)
{
	struct zone_period p = zone_period(zone, at);
	int64_t local = at + p.offset;

	if (cron_is_every_hour(cron))
		return cron_matches(cron, local);
	if (p.begin == at)
		for (int64_t left_out = at + p.before; left_out < local; left_out += 60)
			if (cron_matches(cron, left_out))
				return true;
	return cron_matches(cron, local) && (p.begin == INT64_MIN || local >= p.begin + p.before);
}

/* All times of a year, walked minute by minute, are what cron_next says one after the other. */
static void
walk_a_year(const char *text, const struct zone *zone)
{
	struct cron cron = rule(text);
	int64_t begin = utc("2026-01-01 00:00"), next = cron_next(&cron, zone, begin);

	for (int64_t at = begin + 60; at < begin + 366 * 86400; at += 60) {
		if (!comes_at(&cron, zone, at))
			continue;
		if (at != next)
			fail_msg("%s: %lld comes, not %lld", text, (long long)at, (long long)next);
		next = cron_next(&cron, zone, at);
	}
}

static void
test_calculation_is_the_walk(void **state)
{
	static const char *const footers[] = { "UTC0", berlin, "EST5EDT,M3.2.0,M11.1.0",
		"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
		"IST-1GMT0,M10.5.0,M3.5.0/1" };
	static const char *const rules[] = { "*/7 * * * *", "30 2 * * *", "0,30 0-5 * * SUN", "15 */3 1-7 * MON",
		"59 23 31 * *", "0 1 * 3,10 *" };

	(void)state;
	for (size_t z = 0; z < sizeof(footers) / sizeof(footers[0]); z++) {
		struct zone *zone = zone_of(footers[z]);

		for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++)
			walk_a_year(rules[r], zone);
		zone_free(&zone);
	}
}

/* --- zones --- */

static struct zone *
zone_file(const char *name)
{
	char *path = xasprintf("/usr/share/zoneinfo/%s", name);
	char *bytes = xcalloc(1, ZONE_FILE_MAX);
	FILE *file = fopen(path, "r");
	struct zone *zone = NULL;
	struct err err;

	assert_non_null(file);
	assert_true(zone_parse((struct str){ bytes, fread(bytes, 1, ZONE_FILE_MAX, file) }, &zone, &err));
	fclose(file);
	free(bytes);
	free(path);
	return zone;
}

/* What the C library says of the same file. */
static void
test_offsets_are_the_system_s(void **state)
{
	static const char *const names[] = { "Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
		"Asia/Shanghai", "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia", "Europe/Dublin",
		"Asia/Kathmandu", "UTC" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct zone *zone = zone_file(names[i]);

		setenv("TZ", names[i], 1);
		tzset();
		for (int64_t at = utc("1950-01-01 00:00"); at < utc("2090-01-01 00:00"); at += 100003) {
			time_t t = (time_t)at;
			struct tm tm;

			localtime_r(&t, &tm);
			if (tm.tm_gmtoff != zone_period(zone, at).offset)
				fail_msg("%s at %lld: %ld, not %d", names[i], (long long)at, tm.tm_gmtoff,
				    zone_period(zone, at).offset);
		}
		zone_free(&zone);
	}
	unsetenv("TZ");
}

static void
test_periods_join(void **state)
{
	struct zone *zone = zone_file("Europe/Berlin");
	struct zone_period p = zone_period(zone, utc("1900-01-01 00:00"));
	unsigned turns = 0;

	(void)state;
	while (p.end < utc("2200-01-01 00:00")) {
		struct zone_period next = zone_period(zone, p.end);

		assert_int_equal(next.begin, p.end);
		assert_int_equal(next.before, p.offset);
		p = next;
		turns++;
	}
	assert_true(turns > 400);
	zone_free(&zone);
}

static void
test_names_of_zones(void **state)
{
	static const char *const good[] = { "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3",
		"GB-Eire" };
	static const char *const bad[] = { "", "/etc/passwd", "../x", "Europe/../../x", "posix/UTC", "right/UTC",
		"Europe/", "Europe//Berlin", "europe/Berlin", "tzdata.zi", "UTC\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(zone_name_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(zone_name_is_valid(bad[i]));
}

/* Neither a head of a file nor one with a wrong byte is read beyond its end. */
static void
test_broken_files(void **state)
{
	struct zone *zone = NULL;
	FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "r");
	char bytes[8192];
	size_t len;
	struct err err;

	(void)state;
	assert_non_null(file);
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	for (size_t cut = 0; cut < len; cut++) {
		char *copy = xcalloc(1, cut + 1);

		memcpy(copy, bytes, cut);
		assert_false(zone_parse((struct str){ copy, cut }, &zone, &err));
		free(copy);
	}
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 0x55;
		if (zone_parse((struct str){ bytes, len }, &zone, &err))
			zone_period(zone, 1800000000);
		zone_free(&zone);
		bytes[i] ^= 0x55;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_the_clock_jumps),
		cmocka_unit_test(test_calculation_is_the_walk),
		cmocka_unit_test(test_offsets_are_the_system_s),
		cmocka_unit_test(test_periods_join),
		cmocka_unit_test(test_names_of_zones),
		cmocka_unit_test(test_broken_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
