/* Room that is kept for the day when the disk is full: a file that does nothing but take it. As soon as hardly anything
 * else is left the file is removed, so that what has begun can be recorded to its end, and whoever made the reserve
 * hears of it, to begin nothing more. When there is room again the file is made anew. The async contract of core/loop.h
 * holds. */
#ifndef DAVIT_CORE_RESERVE_H
#define DAVIT_CORE_RESERVE_H

#include <stdbool.h>

struct disk;
struct loop;
struct reserve;

/* Two MiB, or a 32nd of a small file system. Given back when less than half of that is left beside it; made again when
 * there is twice its size. */
#define RESERVE_MAX (2 * 1024 * 1024)

/* is_full: the reserve is given back, begin nothing more. Called upon each change, from the loop. */
typedef void reserve_fn(void *arg, bool is_full);

/* dir is copied; the file in it is named "reserve", and stays there when the process ends. Looks at once, from the
 * loop, and every two seconds. */
struct reserve *reserve_new(struct loop *loop, struct disk *disk, const char *dir, reserve_fn *fn, void *arg);
/* Looks now: something failed that may have failed for want of room. */
void reserve_look(struct reserve *reserve);
/* NULL: false. */
bool reserve_is_given(const struct reserve *reserve);
/* Accepts NULL inside. */
void reserve_free(struct reserve **reserve);

#endif
