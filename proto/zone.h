/* Time zones, as the tz database has them: a TZif file's bytes (RFC 9636) in, offsets from UTC out. Where a file's
 * table ends, its footer's rule (a POSIX TZ text) goes on for ever. Files with leap seconds (below right/) are refused:
 * the system's clock does not count them. */
#ifndef DAVIT_PROTO_ZONE_H
#define DAVIT_PROTO_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"

#define ZONE_FILE_MAX (256 * 1024)

struct zone;

/* A name below the database's folder: "Europe/Berlin", "Etc/GMT+3", "UTC". No way out of the folder, not posix/ and
 * right/, which are other copies of all. */
bool zone_name_is_valid(const char *name);

/* ERR_INPUT with what is wrong. Free with zone_free, which accepts NULL inside. */
bool zone_parse(struct str bytes, struct zone **ret, struct err *err);
/* UTC itself. */
struct zone *zone_utc(void);
void zone_free(struct zone **zone);

/* A time during which the offset stays the same. Times are seconds since 1970, offsets seconds east of UTC. */
struct zone_period {
	int64_t begin; /* INT64_MIN: it never was otherwise */
	int64_t end;   /* first second of the next one; INT64_MAX: none */
	int32_t offset;
	int32_t before; /* the offset until begin */
};

struct zone_period zone_period(const struct zone *zone, int64_t at);

/* Days since 1970-01-01 of a day of the Gregorian calendar, and back. month 1..12, day 1..31. */
int64_t zone_days(int64_t year, unsigned month, unsigned day);
void zone_date(int64_t days, int64_t *year, unsigned *month, unsigned *day);

#endif
