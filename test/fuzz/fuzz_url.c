/* What is taken as a URL or a path has no byte that would mean something else to the next reader. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_url(struct str text)
{
	struct url url;
	struct err err;

	if (!url_parse(text, URL_WITH_USERINFO, &url, &err))
		return;
	must(url.scheme == URL_UNIX || (url.host != NULL && url.host[0] != '\0' && url.port > 0 && url.port < 65536));
	must(url.path[0] == '\0' || url.path[0] == '/');
	must(strpbrk(url.path, " \r\n\t") == NULL);
	url_fini(&url);
}

/* A normalised path, encoded again and read again, is itself. */
static void
check_path(struct str text)
{
	struct buf path, encoded, again;
	struct str query;
	struct err err;

	buf_init(&path, URL_MAX);
	buf_init(&encoded, 4 * URL_MAX);
	buf_init(&again, URL_MAX);
	if (url_path(text, &path, &query, &err)) {
		must(path.data[0] == '/' && strlen(path.data) == path.len);
		must(strstr(path.data, "//") == NULL && strstr(path.data, "/../") == NULL);
		must(url_encode(&encoded, buf_str(&path), "/"));
		must(url_path(buf_str(&encoded), &again, &query, &err));
		must(str_eq(buf_str(&path), buf_str(&again)));
	}
	buf_fini(&path);
	buf_fini(&encoded);
	buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };

	if (size > URL_MAX)
		return 0;
	check_url(text);
	check_path(text);
	return 0;
}
