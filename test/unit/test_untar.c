#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "proto/tar_header.h"

enum { MEMBERS_MAX = 1000 };

/* What a reader said, in words: "file a 5 <hello>". */
struct seen {
	struct buf text;
	enum untar_next last;
	struct err err;
};

static void
note_entry(struct buf *text, const struct tar_entry *entry)
{
	static const char *const kinds[] = { "file", "dir", "symlink", "hardlink", "other" };

	buf_addf(text, "%s %s", kinds[entry->kind], entry->name);
	if (entry->link[0] != '\0')
		buf_addf(text, " -> %s", entry->link);
	if (entry->size > 0)
		buf_addf(text, " %llu", (unsigned long long)entry->size);
	buf_addc(text, '\n');
}

/* In pieces of `step` bytes; skips: what nobody wants is left out. */
static void
read_some(struct str archive, size_t step, bool skips, struct seen *seen)
{
	struct untar u;
	struct tar_entry entry;
	struct str piece;

	untar_init(&u, MEMBERS_MAX);
	buf_init(&seen->text, 1 << 20);
	seen->last = UNTAR_MORE;
	while (archive.len > 0 && seen->last != UNTAR_BAD && seen->last != UNTAR_END) {
		struct str in = { archive.p, archive.len < step ? archive.len : step };

		archive = (struct str){ archive.p + in.len, archive.len - in.len };
		while ((seen->last = untar_next(&u, &in, &entry, &piece)) == UNTAR_ENTRY || seen->last == UNTAR_PIECE) {
			if (seen->last == UNTAR_ENTRY)
				note_entry(&seen->text, &entry);
		}
		if (skips) {
			uint64_t bytes = untar_skip(&u);

			assert_true(bytes <= archive.len);
			archive = (struct str){ archive.p + bytes, archive.len - bytes };
		}
	}
	seen->err = u.err;
	untar_fini(&u);
}

static void
read_all(struct str archive, size_t step, struct seen *seen)
{
	read_some(archive, step, false, seen);
}

static void
expect(struct str archive, const char *text)
{
	static const size_t steps[] = { 1, 7, 511, 512, 513, 1 << 20 };

	for (size_t i = 0; i < 2 * sizeof(steps) / sizeof(steps[0]); i++) {
		struct seen seen;

		read_some(archive, steps[i / 2], i % 2 != 0, &seen);
		assert_string_equal(seen.text.data, text);
		assert_int_equal(seen.last, UNTAR_END);
		buf_fini(&seen.text);
	}
}

static void
expect_bad(struct str archive, enum err_code code, const char *words)
{
	struct seen seen;

	read_all(archive, 100, &seen);
	assert_int_equal(seen.last, UNTAR_BAD);
	assert_int_equal(seen.err.code, code);
	assert_non_null(strstr(seen.err.text, words));
	buf_fini(&seen.text);
}

static void
test_what_we_write_is_read_back(void **state)
{
	char name[301], link[201];
	struct tar_entry entries[] = {
		{ .kind = TAR_DIR, .name = "a", .link = "", .mode = 0755 },
		{ .kind = TAR_SYMLINK, .name = "a/l", .link = link, .uid = 0x7ffffff0, .gid = 3 },
		{ .kind = TAR_HARDLINK, .name = "a/m", .link = "a/l" },
		{ .kind = TAR_FILE, .name = name, .link = "", .mode = 0644, .mtime = 1700000000 },
	};
	struct buf b, want;

	(void)state;
	memset(name, 'n', 300);
	name[150] = '/';
	name[300] = '\0';
	memset(link, 'k', 200);
	link[200] = '\0';
	buf_init(&b, 1 << 20);
	buf_init(&want, 10000);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		assert_true(tar_add_entry(&b, &entries[i]));
		note_entry(&want, &entries[i]);
	}
	assert_true(tar_add_file(&b, "small", 0600, 0, STR("hello")));
	buf_adds(&want, "file small 5\n");
	tar_end(&b);
	expect(buf_str(&b), want.data);
	buf_fini(&want);
	buf_fini(&b);
}

/* The system's tar, in three formats, on a folder that it makes. */
static void
read_system_tar(const char *format, struct buf *ret)
{
	char *command = xasprintf(
	    "d=$(mktemp -d) && cd $d && mkdir -p d/sub && printf hello >d/sub/file && ln -s file d/sub/link && "
	    "ln d/sub/file d/sub/same && : >d/$(printf '%%0180d' 0) && mkfifo d/z && "
	    "tar --sort=name --format=%s -cf - d && rm -rf $d",
	    format);
	FILE *in = popen(command, "r");
	char bytes[4096];
	size_t len;

	assert_non_null(in);
	while ((len = fread(bytes, 1, sizeof(bytes), in)) > 0)
		buf_add(ret, bytes, len);
	assert_int_equal(pclose(in), 0);
	free(command);
}

static void
test_formats_of_others(void **state)
{
	static const char *const formats[] = { "gnu", "pax" };
	char *want = xasprintf("dir d\nfile d/%0180d\ndir d/sub\nfile d/sub/file 5\nsymlink d/sub/link -> file\n"
			       "hardlink d/sub/same -> d/sub/file\nother d/z\n",
	    0);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct buf b;

		buf_init(&b, 1 << 20);
		read_system_tar(formats[i], &b);
		expect(buf_str(&b), want);
		buf_fini(&b);
	}
	free(want);
}

static void
add_raw(struct buf *b, char type, const char *name, const char *link, uint64_t size)
{
	struct tar_header h = { .type = type, .magic = "ustar", .mode = "0000644", .uid = "0000000", .gid = "0000000" };

	memcpy(h.name, name, strlen(name));
	memcpy(h.link, link, strlen(link));
	memcpy(h.mtime, "00000000000", 11);
	for (size_t i = 11; i-- > 0; size >>= 3)
		h.size[i] = (char)('0' + (size & 7));
	snprintf(h.checksum, sizeof(h.checksum), "%06o", tar_checksum(&h));
	buf_add(b, &h, sizeof(h));
}

static void
test_names_that_lead_away(void **state)
{
	static const char *const names[] = { "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/./b", "", "/",
		"a/.." };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf b;

		buf_init(&b, 10000);
		add_raw(&b, '0', names[i], "", 0);
		expect_bad(buf_str(&b), ERR_PROTO, "a name is absolute, or leads out of its folder");
		buf_fini(&b);
	}
}

static void
test_hostile_headers(void **state)
{
	static const struct {
		char type;
		const char *link;
		uint64_t size;
		const char *words;
	} cases[] = {
		{ '1', "/etc/shadow", 0, "a hard link leads out" },
		{ '1', "../x", 0, "a hard link leads out" },
		{ '2', "", 0, "a symbolic link leads nowhere" },
		{ '5', "", 512, "a folder or link has content" },
		{ '2', "x", 1, "a folder or link has content" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b;

		buf_init(&b, 10000);
		add_raw(&b, cases[i].type, "x", cases[i].link, cases[i].size);
		expect_bad(buf_str(&b), ERR_PROTO, cases[i].words);
		buf_fini(&b);
	}
}

static void
test_broken_headers(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	add_raw(&b, '0', "x", "", 0);
	b.data[0] = 'y';
	expect_bad(buf_str(&b), ERR_PROTO, "checksum");
	buf_reset(&b);
	add_raw(&b, 'L', "././@LongLink", "", 1 << 20);
	expect_bad(buf_str(&b), ERR_LIMIT, "a name is too long");
	buf_reset(&b);
	for (unsigned i = 0; i <= MEMBERS_MAX; i++)
		add_raw(&b, 'g', "x", "", 0);
	expect_bad(buf_str(&b), ERR_LIMIT, "too many files");
	buf_fini(&b);
}

static void
test_a_pax_header_is_checked(void **state)
{
	static const char *const bodies[] = { "9 path=x\n", "30 path=x\n", "x path=y\n", "11 size=-1\n", "5 a\n",
		"18 path=../../etc\n", "14 path=/root\n" };
	static const char *const words[] = { NULL, "malformed", "malformed", "malformed", "malformed",
		"leads out of its folder", "leads out of its folder" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct buf b;

		buf_init(&b, 10000);
		add_raw(&b, 'x', "PaxHeader", "", strlen(bodies[i]));
		buf_adds(&b, bodies[i]);
		tar_add_padding(&b, strlen(bodies[i]));
		add_raw(&b, '0', "old", "", 0);
		tar_end(&b);
		if (words[i] != NULL)
			expect_bad(buf_str(&b), ERR_PROTO, words[i]);
		else
			expect(buf_str(&b), "file x\n");
		buf_fini(&b);
	}
}

static void
test_sparse_files_and_devices_come_without_content(void **state)
{
	static const char body[] = "22 GNU.sparse.major=1\n";
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	add_raw(&b, 'x', "PaxHeader", "", strlen(body));
	buf_adds(&b, body);
	tar_add_padding(&b, strlen(body));
	add_raw(&b, '0', "sparse", "", 5);
	buf_adds(&b, "hello");
	tar_add_padding(&b, 5);
	add_raw(&b, 'S', "old-sparse", "", 512);
	b.len += TAR_BLOCK;
	memset(b.data + b.len - TAR_BLOCK, 'x', TAR_BLOCK);
	add_raw(&b, '3', "tty", "", 0);
	add_raw(&b, '0', "last", "", 0);
	tar_end(&b);
	expect(buf_str(&b), "other sparse\nother old-sparse\nother tty\nfile last\n");
	buf_fini(&b);
}

static void
test_a_cut_is_seen(void **state)
{
	struct tar_entry entry;
	struct str in, piece;
	struct untar u;
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	tar_add_file(&b, "x", 0644, 0, STR("hello"));
	tar_end(&b);
	for (size_t cut = 0; cut <= b.len; cut++) {
		untar_init(&u, 10);
		in = (struct str){ b.data, cut };
		while (untar_next(&u, &in, &entry, &piece) != UNTAR_MORE && in.len > 0)
			;
		assert_int_equal(untar_at_boundary(&u), cut == 0 || cut == 2 * TAR_BLOCK || cut >= 3 * TAR_BLOCK);
		untar_fini(&u);
	}
	buf_fini(&b);
}

static void
test_the_order_of_a_walk(void **state)
{
	static const struct {
		enum tar_kind kind;
		const char *name;
		bool good;
	} steps[] = {
		{ TAR_DIR, "d", true },
		{ TAR_FILE, "d", false },
		{ TAR_FILE, "d/a", true },
		{ TAR_FILE, "d/a/x", false },
		{ TAR_SYMLINK, "d/l", true },
		{ TAR_FILE, "d/l/x", false },
		{ TAR_DIR, "d/m", true },
		{ TAR_FILE, "d/m/x", true },
		{ TAR_FILE, "d/m-1", true },
		{ TAR_FILE, "d/m/y", false },
		{ TAR_DIR, "d/l", false },
		{ TAR_FILE, "d/n/x", false },
		{ TAR_FILE, "e", true },
	};
	struct tar_order order;

	(void)state;
	tar_order_init(&order);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct tar_entry entry = { .kind = steps[i].kind, .name = steps[i].name, .link = "" };

		assert_int_equal(tar_order_next(&order, &entry), steps[i].good);
	}
	tar_order_fini(&order);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_we_write_is_read_back),
		cmocka_unit_test(test_formats_of_others),
		cmocka_unit_test(test_names_that_lead_away),
		cmocka_unit_test(test_hostile_headers),
		cmocka_unit_test(test_broken_headers),
		cmocka_unit_test(test_a_pax_header_is_checked),
		cmocka_unit_test(test_sparse_files_and_devices_come_without_content),
		cmocka_unit_test(test_a_cut_is_seen),
		cmocka_unit_test(test_the_order_of_a_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
