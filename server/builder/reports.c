#include "server/builder/reports.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/variables.h"
#include "server/builder/builder.h"

enum { FILES_MAX = 100000, SUMMARY_MAX = 256 };

#define BYTES_MAX ((uint64_t)1 << 30) /* of all that is looked at */

struct reports {
	const struct job_spec *spec;
	struct report *report;
	struct collect *collect;
	struct report_reader *reader; /* of the file that comes; NULL: none, or it was given up */
	char *name;                   /* of that file */
	uint64_t left;                /* bytes of it */
	const struct reports_handler *handler;
	void *arg;
};

bool
reports_are_wanted(const struct job_spec *spec)
{
	return spec->reports.junit.count > 0 || spec->reports.coverage != NULL || variables_reports(spec) != NULL;
}

static void
add_patterns(const struct job_spec *spec, struct strings *ret)
{
	const char *folder = variables_reports(spec);

	for (size_t i = 0; i < spec->reports.junit.count; i++)
		strings_add(ret, str_of(spec->reports.junit.items[i]));
	if (spec->reports.coverage != NULL)
		strings_add(ret, str_of(spec->reports.coverage));
	if (folder != NULL) {
		char *pattern = xasprintf("%s/*.xml", folder);

		strings_add(ret, str_of(pattern));
		free(pattern);
	}
}

/* --- one file --- */

static void
drop_file(struct reports *r)
{
	report_reader_free(&r->reader);
	free(r->name);
	r->name = NULL;
}

static void
give_up(struct reports *r, const struct err *err)
{
	char *text = xasprintf("report %s: %s", r->name, err->text);

	report_reader_free(&r->reader);
	r->handler->on_note(r->arg, text);
	free(text);
}

static void
end_file(struct reports *r)
{
	struct err err;

	if (r->reader != NULL && !report_reader_finish(r->reader, &err))
		give_up(r, &err);
	drop_file(r);
}

static void
on_entry(void *arg, const struct tar_entry *entry)
{
	struct reports *r = arg;

	if (entry->kind != TAR_FILE)
		return;
	r->name = xstrdup(entry->name);
	r->left = entry->size;
	r->reader = report_reader_new(r->report);
	if (r->left == 0)
		end_file(r);
}

static void
on_bytes(void *arg, struct str bytes)
{
	struct reports *r = arg;
	struct err err;

	r->left -= bytes.len;
	if (r->reader != NULL && !report_reader_feed(r->reader, bytes, &err))
		give_up(r, &err);
	if (r->left == 0)
		end_file(r);
}

/* --- all of them --- */

static void
note_summary(struct reports *r)
{
	const struct report *report = r->report;
	struct buf text;

	buf_init(&text, SUMMARY_MAX);
	report_print_summary(report->tests, report->failures + report->errors, report_coverage(report), -1, &text);
	r->handler->on_note(r->arg, text.data);
	buf_fini(&text);
}

/* What there is, in words; false: there is nothing. */
static bool
note_all(struct reports *r, unsigned missing)
{
	const struct report_spec *spec = &r->spec->reports;

	if (report_has_tests(r->report) || r->report->lines > 0) {
		note_summary(r);
		return true;
	}
	if (missing > 0 && spec->junit.count + (spec->coverage != NULL) > 0)
		r->handler->on_note(r->arg, "reports: there are none");
	return false;
}

static void
on_done(void *arg, unsigned missing, const struct err *err)
{
	struct reports *r = arg;
	struct reports ended;
	bool has_any;

	r->collect = NULL;
	end_file(r);
	if (err != NULL)
		r->handler->on_note(r->arg, err_prefix(*err, "reports").text);
	has_any = note_all(r, missing);
	ended = *r;
	free(r);
	ended.handler->on_done(ended.arg, has_any);
}

struct reports *
reports_start(struct builder_run *run, const struct job_spec *spec, struct report *ret,
    const struct reports_handler *handler, void *arg)
{
	static const struct collect_limits limits = { FILES_MAX, BYTES_MAX };
	static const struct collect_handler collect_handler = {
		.on_entry = on_entry, .on_bytes = on_bytes, .on_done = on_done
	};
	struct reports *r = xcalloc(1, sizeof(*r));
	struct strings patterns = { 0 };

	*r = (struct reports){ .spec = spec, .report = ret, .handler = handler, .arg = arg };
	add_patterns(spec, &patterns);
	r->collect = builder_collect(run, &patterns, &limits, &collect_handler, r);
	strings_fini(&patterns);
	return r;
}

void
reports_cancel(struct reports **reports)
{
	struct reports *r = *reports;

	*reports = NULL;
	if (r == NULL)
		return;
	collect_cancel(&r->collect);
	drop_file(r);
	free(r);
}
