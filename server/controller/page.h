/* The web page's files, which are compiled in (server/controller/web/). Each has a strong ETag. */
#ifndef DAVIT_CONTROLLER_PAGE_H
#define DAVIT_CONTROLLER_PAGE_H

#include <stddef.h>

struct asset {
	const char *name; /* "app.js" */
	const unsigned char *bytes;
	size_t len;
	const char *etag; /* with its quotes */
};

extern const struct asset assets[];
extern const size_t asset_count;

#endif
