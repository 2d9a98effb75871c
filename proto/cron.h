/* Times that come again, as crontab(5) writes them: "minute hour day month weekday", or @yearly, @monthly, @weekly,
 * @daily, @hourly.
 *
 *   minute 0-59   hour 0-23   day 1-31   month 1-12 or JAN-DEC   weekday 0-7 or SUN-SAT (0 and 7 are Sunday)
 *   a field is * or a list of N, A-B, A-B/STEP, and * with /STEP
 * When day and weekday are both given, one of them is enough, as in every cron.
 *
 * The clock is the zone's, and where it jumps:
 * - A rule for every hour of the day counts real minutes: what the clock leaves out does not come, what it shows twice
 *   comes twice.
 * - Any other rule means a time of the day: what the clock leaves out comes at the moment of the jump, once; what it
 *   shows twice comes the first time. */
#ifndef DAVIT_PROTO_CRON_H
#define DAVIT_PROTO_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"
#include "proto/zone.h"

#define CRON_TEXT_MAX 256

/* Bits of the values that fit. */
struct cron {
	uint64_t minutes;
	uint32_t hours;
	uint32_t days;    /* bits 1..31 */
	uint16_t months;  /* bits 1..12 */
	uint8_t weekdays; /* bits 0..6 */
	bool any_day;     /* the day was "*" */
	bool any_weekday;
};

/* ERR_INPUT says which field is wrong, and how. A rule that never comes (February 30) is refused. */
bool cron_parse(struct str text, struct cron *ret, struct err *err);
/* The first time after `after` (seconds since 1970), a whole minute of the zone's clock. */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after);

/* Whether a local time (seconds, as if the zone were UTC) is one of the rule's. */
bool cron_matches(const struct cron *cron, int64_t local);
/* Whether it counts real minutes, see above. */
bool cron_is_every_hour(const struct cron *cron);

#endif
