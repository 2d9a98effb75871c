/* The start of the mirror's shelf, measured: a journal of COUNT replies is written into FOLDER, which must not exist,
 * and read as davitd reads it at its start. Says how long that takes, of which how much a processor works, for how long
 * the loop was held at most, and the memory. usage: shelf FOLDER COUNT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/mirror/journal.h"
#include "server/mirror/shelf.h"

enum { STORE = 1 /* as shelf.c has it */ };

struct bench {
	struct loop *loop;
	struct disk *disk;
	struct shelf *shelf;
	struct timer *beat;
	double started, beaten, held, processed;
};

static double
read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static void
fail(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

/* A package of Debian's, as its servers send it. */
static void
write_record(struct journal *journal, unsigned number)
{
	const struct http_cache_times times = { 1795900000, 1795900000 };
	struct buf head, record;
	struct variant *v;
	struct err err;
	char *key = xasprintf("http://deb.debian.org:80/debian/pool/main/%c/boat-%u/boat-%u_1.2.3-4+deb12u1_amd64.deb",
	    'a' + number % 26, number, number);

	buf_init(&head, 4096);
	buf_addf(&head,
	    "HTTP/1.1 200 OK\r\nServer: Apache\r\nLast-Modified: Sat, 17 Dec 2022 13:22:28 GMT\r\nETag: "
	    "\"%x-5f0063b2\"\r\n"
	    "Content-Type: application/vnd.debian.binary-package\r\nCache-Control: public, max-age=2592000\r\n"
	    "Accept-Ranges: bytes\r\nDate: Sun, 29 Nov 2026 19:00:00 GMT\r\nVia: 1.1 varnish, 1.1 varnish\r\n\r\n",
	    number);
	v = variant_new(number + 1, buf_str(&head), STR(""), &times);
	v->size = 20000;
	buf_init(&record, JOURNAL_RECORD_MAX);
	variant_print_record(&record, key, v);
	if (!journal_append(journal, STORE, buf_str(&record), &err))
		fail(&err);
	variant_unref(&v);
	buf_fini(&record);
	buf_fini(&head);
	free(key);
}

static void
write_journal(struct bench *b, const char *folder, unsigned count)
{
	char *path = xasprintf("%s/journal", folder);
	struct journal *journal;
	struct err err;

	if (!disk_make_folder(folder, 0700, &err))
		fail(&err);
	journal = journal_open(b->loop, b->disk, path, NULL, &err);
	if (journal == NULL)
		fail(&err);
	for (unsigned i = 0; i < count; i++)
		write_record(journal, i);
	journal_free(&journal);
	free(path);
}

static void
on_open(void *arg, struct shelf *shelf, const struct err *err)
{
	struct bench *b = arg;

	if (err != NULL)
		fail(err);
	b->shelf = shelf;
	loop_stop(b->loop);
}

static void
on_beat(void *arg)
{
	struct bench *b = arg;
	double at = now();

	if (at - b->beaten > b->held)
		b->held = at - b->beaten;
	b->beaten = at;
	timer_start(b->beat, 1);
}

int
main(int argc, char **argv)
{
	struct bench b = { 0 };
	struct shelf_conf conf = { .size = UINT64_MAX };
	struct rusage used;

	if (argc != 3)
		return 2;
	b.loop = conf.loop = loop_new();
	b.disk = conf.disk = disk_new(b.loop);
	conf.folder = argv[1];
	write_journal(&b, argv[1], (unsigned)atol(argv[2]));
	b.beat = timer_new(b.loop, on_beat, &b);
	b.started = b.beaten = now();
	b.processed = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	timer_start(b.beat, 1);
	shelf_open(&conf, on_open, &b);
	loop_run(b.loop);
	on_beat(&b);
	getrusage(RUSAGE_SELF, &used);
	printf(
	    "%llu replies known after %.2f s (%.2f s of a processor); the loop was held for %.1f ms at most; %ld MiB\n",
	    (unsigned long long)shelf_figures(b.shelf).variants, now() - b.started,
	    read_clock(CLOCK_PROCESS_CPUTIME_ID) - b.processed, b.held * 1e3, used.ru_maxrss / 1024);
	timer_free(&b.beat);
	shelf_free(&b.shelf);
	disk_free(&b.disk);
	loop_free(&b.loop);
	return 0;
}
