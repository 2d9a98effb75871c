#include "proto/index_files.h"

#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/hex.h"
#include "proto/mem.h"
#include "proto/xml.h"

#define TEXT_MAX 1024 /* of a path, or another text of repomd.xml */

/* --- the list --- */

void
index_files_fini(struct index_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->list[i].path);
		free(files->list[i].role);
	}
	free(files->list);
	*files = (struct index_files){ 0 };
}

/* Below the folder, and nowhere else; as it may stand in a URL. */
static bool
is_path(struct str path)
{
	if (path.len == 0 || path.len > TEXT_MAX || path.p[0] == '/' || str_has_prefix(path, "../") ||
	    memmem(path.p, path.len, "/../", 4) != NULL)
		return false;
	for (size_t i = 0; i < path.len; i++)
		if (path.p[i] <= ' ' || path.p[i] >= 0x7f || path.p[i] == '?' || path.p[i] == '#')
			return false;
	return true;
}

static bool
is_digest(struct str digest)
{
	return digest.len == INDEX_FILE_DIGEST_SIZE - 1 && hex_is_valid(digest);
}

static bool
add(struct index_files *files, struct str path, struct str role, struct str digest, struct err *err)
{
	struct index_file *file;

	if (files->count == INDEX_FILES_MAX)
		return err_set(err, ERR_LIMIT, 0, "more than %d index files", INDEX_FILES_MAX);
	if ((files->count & (files->count - 1)) == 0) /* doubled at each power of two */
		files->list = xrealloc(files->list, (files->count > 0 ? 2 * files->count : 1) * sizeof(*files->list));
	file = &files->list[files->count++];
	*file = (struct index_file){ .path = str_dup(path), .role = str_dup(role) };
	for (size_t i = 0; i < digest.len; i++)
		file->digest[i] = (char)(digest.p[i] >= 'A' && digest.p[i] <= 'F' ? digest.p[i] | 0x20 : digest.p[i]);
	return true;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct index_file *)a)->path, ((const struct index_file *)b)->path);
}

/* A path that stands there twice tells nothing: both go, unless they agree. */
static void
sort(struct index_files *files)
{
	size_t kept = 0;

	if (files->count == 0)
		return;
	qsort(files->list, files->count, sizeof(*files->list), compare);
	for (size_t i = 0; i < files->count;) {
		size_t next = i + 1;
		bool agree = true;

		for (; next < files->count && compare(&files->list[i], &files->list[next]) == 0; next++) {
			agree = agree && strcmp(files->list[i].digest, files->list[next].digest) == 0;
			free(files->list[next].path);
			free(files->list[next].role);
		}
		if (agree) {
			files->list[kept++] = files->list[i];
		} else {
			free(files->list[i].path);
			free(files->list[i].role);
		}
		i = next;
	}
	files->count = kept;
}

const struct index_file *
index_files_find(const struct index_files *files, struct str path)
{
	char *text = str_dup(path);
	const struct index_file wanted = { .path = text };
	const struct index_file *found =
	    files->count > 0 ? bsearch(&wanted, files->list, files->count, sizeof(*files->list), compare) : NULL;

	free(text);
	return found;
}

const struct index_file *
index_files_find_role(const struct index_files *files, const char *role)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->list[i].role, role) == 0)
			return &files->list[i];
	return NULL;
}

const struct index_file *
index_files_find_digest(const struct index_files *files, struct str folder, const char *digest)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct index_file *file = &files->list[i];

		if (strcmp(file->digest, digest) == 0 && strncmp(file->path, folder.p, folder.len) == 0 &&
		    strchr(file->path + folder.len, '/') == NULL)
			return file;
	}
	return NULL;
}

/* --- Release --- */

static struct str
next_word(struct str *line)
{
	*line = str_trim(*line);
	return str_cut(line, ' ');
}

/* "DIGEST SIZE PATH"; what is malformed is passed over. */
static bool
read_line(struct index_files *files, struct str line, struct err *err)
{
	struct str digest = next_word(&line), size = next_word(&line), path = next_word(&line);

	if (!is_digest(digest) || size.len == 0 || !is_path(path))
		return true;
	return add(files, path, path, digest, err);
}

static bool
is_field(struct str line, const char *name)
{
	return line.len > strlen(name) && line.p[strlen(name)] == ':' &&
	       str_is_nocase((struct str){ line.p, strlen(name) }, name);
}

static bool
read_lines(struct index_files *files, struct str text, struct err *err)
{
	bool is_in_list = false, has_list = false;

	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');
		bool is_more = line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

		if (is_more && is_in_list && !read_line(files, line, err))
			return false;
		if (is_more)
			continue;
		is_in_list = is_field(line, "SHA256");
		has_list = has_list || is_in_list;
		if (is_field(line, "Acquire-By-Hash")) {
			str_cut(&line, ':');
			files->has_by_hash = str_is_nocase(str_trim(line), "yes");
		}
	}
	return has_list || err_set(err, ERR_PROTO, 0, "the text is no Release: it has no field SHA256");
}

bool
index_files_read_release(struct str text, struct index_files *ret, struct err *err)
{
	*ret = (struct index_files){ 0 };
	if (!read_lines(ret, text, err)) {
		index_files_fini(ret);
		return false;
	}
	sort(ret);
	return true;
}

/* --- repomd.xml --- */

struct repomd {
	struct index_files *files;
	struct err err;
	bool ok;
	bool is_repomd;
	struct buf role, path, digest, text;
	bool takes_text;
};

static const char *
local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon != NULL ? colon + 1 : name;
}

static void
set(struct buf *b, const char *text)
{
	buf_reset(b);
	buf_adds(b, text);
}

static void
on_open(void *arg, const char *name, const char *const *attributes)
{
	struct repomd *r = arg;

	name = local_name(name);
	r->takes_text = false;
	if (strcmp(name, "repomd") == 0) {
		r->is_repomd = true;
	} else if (strcmp(name, "data") == 0) {
		set(&r->role, xml_attribute(attributes, "type", ""));
		buf_reset(&r->path);
		buf_reset(&r->digest);
	} else if (strcmp(name, "location") == 0) {
		set(&r->path, xml_attribute(attributes, "href", ""));
	} else if (strcmp(name, "checksum") == 0) {
		r->takes_text = strcmp(xml_attribute(attributes, "type", ""), "sha256") == 0;
		buf_reset(&r->text);
	}
}

static void
on_text(void *arg, struct str text)
{
	struct repomd *r = arg;

	for (size_t i = 0; r->takes_text && i < text.len; i++)
		if (memchr(" \t\r\n", text.p[i], 4) == NULL)
			buf_addc(&r->text, text.p[i]);
}

static void
end_data(struct repomd *r)
{
	if (!buf_failed(&r->path) && !buf_failed(&r->digest) && !buf_failed(&r->role) &&
	    is_digest(buf_str(&r->digest)) && is_path(buf_str(&r->path)))
		r->ok = r->ok && add(r->files, buf_str(&r->path), buf_str(&r->role), buf_str(&r->digest), &r->err);
}

static void
on_close(void *arg, const char *name)
{
	struct repomd *r = arg;

	name = local_name(name);
	if (strcmp(name, "checksum") == 0 && r->takes_text) {
		buf_reset(&r->digest);
		buf_addstr(&r->digest, buf_str(&r->text));
	} else if (strcmp(name, "data") == 0) {
		end_data(r);
	}
	r->takes_text = false;
}

static bool
read_repomd(struct repomd *r, struct str text, struct err *err)
{
	static const struct xml_handler handler = { .on_open = on_open, .on_text = on_text, .on_close = on_close };
	struct xml *xml = xml_new(text.len + 1, &handler, r);
	bool ok = xml_feed(xml, text, err) && xml_finish(xml, err);

	xml_free(&xml);
	if (ok && !r->is_repomd)
		return err_set(err, ERR_PROTO, 0, "the text is no repomd.xml");
	if (ok && !r->ok)
		*err = r->err;
	return ok && r->ok;
}

bool
index_files_read_repomd(struct str text, struct index_files *ret, struct err *err)
{
	struct repomd r = { .files = ret, .ok = true };
	bool ok;

	*ret = (struct index_files){ 0 };
	buf_init(&r.role, TEXT_MAX);
	buf_init(&r.path, TEXT_MAX);
	buf_init(&r.digest, TEXT_MAX);
	buf_init(&r.text, TEXT_MAX);
	ok = read_repomd(&r, text, err);
	buf_fini(&r.role);
	buf_fini(&r.path);
	buf_fini(&r.digest);
	buf_fini(&r.text);
	if (ok)
		sort(ret);
	else
		index_files_fini(ret);
	return ok;
}
