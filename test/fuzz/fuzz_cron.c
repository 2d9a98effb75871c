/* A rule's next time, computed, is the one that a walk from minute to minute finds, in a zone whose clock jumps; a file
 * of a time zone, whatever is in it, gives periods that contain the time asked for and join without a gap. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cron.h"

#define WALK_MINUTES 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_period(const struct zone *zone, int64_t at)
{
	struct zone_period p = zone_period(zone, at), other;

	must((p.begin == INT64_MIN || p.begin <= at) && at < p.end);
	if (p.end != INT64_MAX) {
		other = zone_period(zone, p.end);
		must(other.begin == p.end && other.before == p.offset);
	}
	if (p.begin != INT64_MIN) {
		other = zone_period(zone, p.begin - 1);
		must(other.offset == p.before);
	}
}

static void
check_zone(struct str text)
{
	struct zone *zone;
	struct err err;

	if (!zone_parse(text, &zone, &err))
		return;
	for (int64_t at = -3000000000; at < 7000000000; at += 97654321) {
		struct zone_period p = zone_period(zone, at);

		must((p.begin == INT64_MIN || p.begin <= at) && at < p.end);
	}
	zone_free(&zone);
}

/* A zone of one rule, so that inputs need no table: CET with its summer time. */
static struct zone *
berlin(void)
{
	static const char footer[] = "\nCET-1CEST,M3.5.0,M10.5.0/3\n";
	char file[2 * 51 + sizeof(footer)] = { 0 };
	size_t len = 0;
	struct zone *zone;
	struct err err;

	for (int i = 0; i < 2; i++, len += 51) {
		memcpy(file + len, "TZif2", 5);
		file[len + 39] = 1; /* a type */
		file[len + 43] = 1; /* a character of its name */
	}
	memcpy(file + len, footer, sizeof(footer));
	must(zone_parse((struct str){ file, len + sizeof(footer) - 1 }, &zone, &err));
	return zone;
}

/* By the definition in cron.h. */
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

static void
check_next(const struct cron *cron, const struct zone *zone, int64_t after)
{
	int64_t next = cron_next(cron, zone, after);
	int64_t at = after - after % 60 + 60;

	must(next > after && comes_at(cron, zone, next));
	for (int i = 0; i < WALK_MINUTES && at < next; i++, at += 60)
		must(!comes_at(cron, zone, at));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	/* five hours before each turn of 2026, and an odd minute */
	static const int64_t times[] = { 1774729800, 1792872000, 1767222061 };
	struct zone *zone, *utc;
	struct cron cron;
	struct err err;

	check_zone(text);
	if (!cron_parse(text, &cron, &err))
		return 0;
	zone = berlin();
	utc = zone_utc();
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		check_period(zone, times[i]);
		check_next(&cron, zone, times[i]);
		check_next(&cron, utc, times[i]);
	}
	zone_free(&zone);
	zone_free(&utc);
	return 0;
}
