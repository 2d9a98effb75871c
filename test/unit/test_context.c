/* A build's context out of a workspace: which members, under which names, whatever the cuts. */
#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/context.h"
#include "proto/mem.h"
#include "proto/tar.h"

static void
member(struct buf *tar, enum tar_kind kind, const char *name, const char *content)
{
	struct tar_entry entry = { .kind = kind,
		.name = name,
		.link = kind == TAR_HARDLINK || kind == TAR_SYMLINK ? content : "",
		.size = kind == TAR_FILE ? strlen(content) : 0,
		.mode = 0644,
		.uid = 7 };

	assert_true(tar_add_entry(tar, &entry));
	if (kind == TAR_FILE) {
		buf_adds(tar, content);
		tar_add_padding(tar, entry.size);
	}
}

static struct buf
workspace(void)
{
	struct buf tar;

	buf_init(&tar, 1 << 20);
	member(&tar, TAR_DIR, "workspace", "");
	member(&tar, TAR_FILE, "workspace/.dockerignore", "*.o\nsub\n");
	member(&tar, TAR_FILE, "workspace/Dockerfile", "FROM a\n");
	member(&tar, TAR_FILE, "workspace/app", "");
	member(&tar, TAR_FILE, "workspace/x.o", "object");
	member(&tar, TAR_DIR, "workspace/docker", "");
	member(&tar, TAR_FILE, "workspace/docker/Other", "FROM b\n");
	member(&tar, TAR_DIR, "workspace/sub", "");
	member(&tar, TAR_FILE, "workspace/sub/in", "deep");
	member(&tar, TAR_SYMLINK, "workspace/way", "../out");
	member(&tar, TAR_HARDLINK, "workspace/same", "workspace/app");
	tar_end(&tar);
	return tar;
}

/* "name=content " of each member, in order. */
static char *
listing(struct str tar)
{
	struct tar_entry entry;
	enum untar_next next;
	struct untar untar;
	struct str piece;
	struct buf text;
	char *ret;

	untar_init(&untar, 1000);
	buf_init(&text, 1 << 16);
	while ((next = untar_next(&untar, &tar, &entry, &piece)) != UNTAR_END) {
		if (next == UNTAR_BAD)
			fail_msg("%s", untar.err.text);
		assert_int_not_equal(next, UNTAR_MORE);
		if (next == UNTAR_PIECE) {
			buf_addstr(&text, piece);
			continue;
		}
		assert_int_equal(entry.uid, 0);
		buf_addf(&text, " %s%s%s", entry.name, entry.kind == TAR_FILE ? "=" : "", entry.link);
	}
	untar_fini(&untar);
	ret = buf_take(&text, NULL);
	buf_fini(&text);
	return ret;
}

static bool
feed(struct context *context, struct str in, size_t cut, struct buf *out, struct err *err)
{
	while (in.len > 0) {
		size_t len = in.len < cut ? in.len : cut;
		uint64_t skipped = 0;

		if (!context_feed(context, (struct str){ in.p, len }, out, err))
			return false;
		in = (struct str){ in.p + len, in.len - len };
		if (cut % 2 != 0) /* what is left out need not be fed */
			skipped = context_skip(context);
		assert_true(skipped <= in.len);
		in = (struct str){ in.p + skipped, in.len - skipped };
	}
	return true;
}

static void
expect(const char *folder, const char *dockerfile, const char *ignore_text, const char *told, const char *expected)
{
	static const size_t cuts[] = { 1, 7, 512, 513, 1 << 20 };
	struct context_conf conf = { .root = "workspace", .folder = folder, .dockerfile = dockerfile };
	struct dockerignore *ignore;
	struct buf in = workspace(), out;
	struct err err;
	char *text;

	assert_true(dockerignore_parse(str_of(ignore_text), "i", &ignore, &err));
	conf.ignore = ignore;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct context *context = context_new(&conf);

		buf_init(&out, 1 << 20);
		assert_string_equal(context_dockerfile(context), told);
		assert_true(feed(context, buf_str(&in), cuts[i], &out, &err));
		assert_true(context_finish(context, &err));
		tar_end(&out);
		text = listing(buf_str(&out));
		assert_string_equal(text, expected);
		free(text);
		buf_fini(&out);
		context_free(&context);
	}
	dockerignore_free(&ignore);
	buf_fini(&in);
}

static void
test_members(void **state)
{
	(void)state;
	expect("", "Dockerfile", "*.o\nsub\n", "Dockerfile",
	    " .dockerignore=*.o\nsub\n Dockerfile=FROM a\n app= docker docker/Other=FROM b\n way../out sameapp");
	expect("", "docker/Other", "*\n!app\n!same\n", "docker/Other",
	    " .dockerignore=*.o\nsub\n app= docker/Other=FROM b\n sameapp");
	expect("sub", "Dockerfile", "", ".davit.dockerfile", " .davit.dockerfile=FROM a\n in=deep");
	expect("docker", "docker/Other", "", "Other", " Other=FROM b\n");
}

static void
test_errors(void **state)
{
	static const struct {
		const char *dockerfile;
		const char *ignore;
		size_t len;
		const char *error;
	} rows[] = {
		{ "Missing", "", 0, "there is no Missing in this commit" },
		{ "docker", "", 0, "docker is no file" },
		{ "Dockerfile", "app", 0, "workspace/same is a link to workspace/app, which is left out" },
		{ "Dockerfile", "", 700, "the archive was cut off" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct context_conf conf = { .root = "workspace", .folder = "", .dockerfile = rows[i].dockerfile };
		struct buf in = workspace(), out;
		struct dockerignore *ignore;
		struct context *context;
		struct err err = ERR_OK;

		assert_true(dockerignore_parse(str_of(rows[i].ignore), "i", &ignore, &err));
		conf.ignore = ignore;
		context = context_new(&conf);
		buf_init(&out, 1 << 20);
		assert_false(context_feed(context, (struct str){ in.data, rows[i].len != 0 ? rows[i].len : in.len },
				 &out, &err) &&
			     context_finish(context, &err));
		assert_string_equal(err.text, rows[i].error);
		context_free(&context);
		dockerignore_free(&ignore);
		buf_fini(&out);
		buf_fini(&in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
