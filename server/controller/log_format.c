#include "server/controller/log_format.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/json.h"
#include "proto/mem.h"

#define RECORDS_MAX 64        /* read at once */
#define BLOCK_RECORDS_MAX 512 /* looked at for one block */
#define EVENTS_MAX (8 * LOG_READ_MAX)

/* --- places --- */

static bool
record_at(struct log_store *logs, const struct log_id *id, uint64_t number, struct log_record *ret)
{
	struct err err;
	size_t count = 0;

	return log_read_index(logs, id, number, ret, 1, &count, &err) && count == 1;
}

struct log_place
log_place_at(struct log_store *logs, const struct log_id *id, uint64_t offset)
{
	struct log_record record;
	uint64_t low = 0, high = 1;

	/* [low, high) holds the first record at or behind offset, or the index' end. */
	while (offset > 0 && record_at(logs, id, high - 1, &record) && record.offset < offset) {
		low = high;
		high *= 2;
	}
	while (offset > 0 && low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (record_at(logs, id, middle, &record) && record.offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return (struct log_place){ .offset = offset, .record = low };
}

/* --- text --- */

/* How much of text is whole characters: all but a start of one at its end. */
static size_t
whole_characters(struct str text)
{
	for (size_t back = 1; back <= 3 && back <= text.len; back++) {
		unsigned char c = (unsigned char)text.p[text.len - back];
		size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) != 0x80)
			return want > back ? text.len - back : text.len;
	}
	return text.len;
}

static void
print_event(struct buf *out, const char *event, uint64_t id, struct json_writer **w)
{
	size_t len;
	char *json = json_writer_finish(w, &len);

	if (json == NULL) {
		out->failed = true;
		return;
	}
	buf_addf(out, "event: %s\nid: %" PRIu64 "\ndata: ", event, id);
	buf_add(out, json, len);
	buf_adds(out, "\n\n");
	free(json);
}

static void
print_text(struct buf *out, struct str text, uint64_t end)
{
	struct json_writer *w;

	if (text.len == 0)
		return;
	w = json_writer_new(EVENTS_MAX);
	json_write_str(w, text);
	print_event(out, "log", end, &w);
}

static void
print_mark(struct buf *out, const struct log_record *record)
{
	struct json_writer *w = json_writer_new(4096);

	json_write_object_open(w);
	json_member_string(w, "name", record->name);
	json_member_int(w, "offset", (int64_t)record->offset);
	json_write_key(w, "exit_code");
	if (record->kind == LOG_END)
		json_write_int(w, record->exit_code);
	else
		json_write_null(w);
	json_member_int(w, "time_ms", record->wall_ms);
	json_write_object_close(w);
	print_event(out, "segment", record->offset, &w);
}

/* --- a block --- */

struct block {
	struct buf out;
	struct str text; /* from place->offset on */
	struct log_place *place;
};

/* Up to offset, which lies in the text or at its end. */
static void
print_up_to(struct block *b, uint64_t offset)
{
	size_t len = (size_t)(offset - b->place->offset);

	if (len > b->text.len)
		len = b->text.len;
	b->place->offset += len;
	print_text(&b->out, (struct str){ b->text.p, len }, b->place->offset);
	b->text.p += len;
	b->text.len -= len;
}

/* False when the record stands behind the text. */
static bool
take_record(struct block *b, const struct log_record *record)
{
	if (record->offset > b->place->offset + b->text.len)
		return false;
	if (record->kind == LOG_BEGIN || record->kind == LOG_END) {
		if (record->offset > b->place->offset)
			print_up_to(b, record->offset);
		print_mark(&b->out, record);
	} else if (record->offset == b->place->offset + b->text.len && record->length > 0) {
		return false; /* its bytes belong to the next block */
	}
	b->place->record++;
	return true;
}

static void
take_records(struct block *b, struct log_store *logs, const struct log_id *id)
{
	struct log_record *records = xcalloc(RECORDS_MAX, sizeof(*records));
	struct err err;
	size_t count = RECORDS_MAX, looked = 0;
	bool more = true;

	while (more && count == RECORDS_MAX && looked < BLOCK_RECORDS_MAX) {
		if (!log_read_index(logs, id, b->place->record, records, RECORDS_MAX, &count, &err))
			break; /* the text goes out without its headings */
		for (size_t i = 0; more && i < count; i++)
			more = take_record(b, &records[i]);
		looked += count;
	}
	/* The text beyond the last record that was looked at waits for the next block. */
	if (more && looked >= BLOCK_RECORDS_MAX && records[count - 1].offset > b->place->offset)
		b->text.len = (size_t)(records[count - 1].offset - b->place->offset);
	free(records);
}

struct sse_block *
log_format(struct log_store *logs, const struct log_id *id, struct log_place *place, bool is_complete)
{
	struct block b = { .place = place };
	char *bytes = xcalloc(1, LOG_READ_MAX);
	struct err err;
	size_t len;
	char *text;

	if (!log_read(logs, id, place->offset, bytes, LOG_READ_MAX, &len, &err))
		len = 0;
	b.text = (struct str){ bytes, len };
	if (!is_complete || len == LOG_READ_MAX)
		b.text.len = whole_characters(b.text);
	buf_init(&b.out, EVENTS_MAX);
	take_records(&b, logs, id);
	print_up_to(&b, place->offset + b.text.len);
	free(bytes);
	text = buf_take(&b.out, &len);
	buf_fini(&b.out);
	if (len > 0)
		return sse_block_new(text, len);
	free(text);
	return NULL;
}
