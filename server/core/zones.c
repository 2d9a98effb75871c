#include "server/core/zones.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"

#define FOLDER "/usr/share/zoneinfo"

struct kept {
	LIST_ENTRY(kept) link;
	char *name;
	struct zone *zone;
};

struct zones {
	struct loop *loop;
	struct disk *disk;
	unsigned ops;
	LIST_HEAD(, kept) kept; /* the names are those of the database, hence a bound */
};

/* What a disk thread has. */
struct load {
	char *path;
	struct zone *zone;
};

struct zones_op {
	struct zones *zones;
	char *name;
	const struct zone *zone; /* known already */
	struct err err;          /* likewise */
	struct deferred *known;
	struct load *load;
	struct disk_op *disk_op;
	zones_fn *fn;
	void *arg;
};

struct zones *
zones_new(struct loop *loop, struct disk *disk)
{
	struct zones *zones = xcalloc(1, sizeof(*zones));
	struct kept *utc = xcalloc(1, sizeof(*utc));

	*zones = (struct zones){ .loop = loop, .disk = disk };
	LIST_INIT(&zones->kept);
	*utc = (struct kept){ .name = xstrdup("UTC"), .zone = zone_utc() };
	LIST_INSERT_HEAD(&zones->kept, utc, link);
	return zones;
}

void
zones_free(struct zones **zones)
{
	struct zones *z = *zones;
	struct kept *kept;

	*zones = NULL;
	if (z == NULL)
		return;
	assert(z->ops == 0);
	while ((kept = LIST_FIRST(&z->kept)) != NULL) {
		LIST_REMOVE(kept, link);
		zone_free(&kept->zone);
		free(kept->name);
		free(kept);
	}
	free(z);
}

static const struct zone *
find(const struct zones *zones, const char *name)
{
	struct kept *kept;

	LIST_FOREACH(kept, &zones->kept, link)
	if (strcmp(kept->name, name) == 0)
		return kept->zone;
	return NULL;
}

static const struct zone *
keep(struct zones *zones, const char *name, struct zone *zone)
{
	const struct zone *known = find(zones, name); /* two have asked at a time */
	struct kept *kept;

	if (known != NULL) {
		zone_free(&zone);
		return known;
	}
	kept = xcalloc(1, sizeof(*kept));
	*kept = (struct kept){ .name = xstrdup(name), .zone = zone };
	LIST_INSERT_HEAD(&zones->kept, kept, link);
	return zone;
}

/* --- in a disk thread --- */

static void
load_run(void *work, struct err *err)
{
	struct load *load = work;
	FILE *file = fopen(load->path, "re");
	char *bytes;
	size_t len;

	if (file == NULL) {
		*err = err_errno("open %s", load->path);
		if (errno == ENOENT || errno == ENOTDIR)
			err->code = ERR_NOT_FOUND;
		return;
	}
	bytes = xcalloc(1, ZONE_FILE_MAX + 1);
	len = fread(bytes, 1, ZONE_FILE_MAX + 1, file);
	if (ferror(file))
		*err = err_errno("read %s", load->path);
	else
		zone_parse((struct str){ bytes, len }, &load->zone, err);
	fclose(file);
	free(bytes);
}

static void
load_release(void *work)
{
	struct load *load = work;

	zone_free(&load->zone);
	free(load->path);
	free(load);
}

/* --- operations --- */

static void
op_end(struct zones_op *op, const struct zone *zone, const struct err *err)
{
	zones_fn *fn = op->fn;
	void *arg = op->arg;
	struct err why = err == NULL ? ERR_OK : *err;

	op->zones->ops--;
	free(op->name);
	free(op);
	fn(arg, zone, err == NULL ? NULL : &why);
}

static void
on_known(void *arg)
{
	struct zones_op *op = arg;

	op->known = NULL;
	op_end(op, op->zone, op->zone == NULL ? &op->err : NULL);
}

static struct err
no_such_zone(const char *name)
{
	return err_make(ERR_INPUT, 0,
	    "there is no time zone \"%.64s\": write it as the tz database does, Europe/Berlin or UTC", name);
}

static void
on_loaded(void *arg, const struct err *err)
{
	struct zones_op *op = arg;
	struct load *load = op->load;
	const struct zone *zone = NULL;
	struct err none = no_such_zone(op->name);

	op->disk_op = NULL;
	if (err == NULL) {
		zone = keep(op->zones, op->name, load->zone);
		load->zone = NULL;
	} else if (err->code == ERR_NOT_FOUND || err->code == ERR_INPUT) {
		err = &none;
	}
	load_release(load);
	op_end(op, zone, err);
}

struct zones_op *
zones_get(struct zones *zones, const char *name, zones_fn *fn, void *arg)
{
	struct zones_op *op = xcalloc(1, sizeof(*op));

	zones->ops++;
	*op = (struct zones_op){ .zones = zones, .name = xstrdup(name), .fn = fn, .arg = arg };
	op->zone = find(zones, name);
	if (op->zone != NULL || !zone_name_is_valid(name)) {
		op->err = no_such_zone(name);
		op->known = deferred_call(zones->loop, on_known, op);
		return op;
	}
	op->load = xcalloc(1, sizeof(*op->load));
	op->load->path = xasprintf("%s/%s", FOLDER, name);
	op->disk_op = disk_call(zones->disk, load_run, load_release, op->load, on_loaded, op);
	return op;
}

void
zones_cancel(struct zones_op **op)
{
	struct zones_op *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	deferred_cancel(&o->known);
	disk_cancel(&o->disk_op);
	o->zones->ops--;
	free(o->name);
	free(o);
}
