/* XML (1.0) as it comes, in events. expat is known here alone.
 *
 * Documents come from jobs, that is, from strangers: a declared entity is refused, nothing external is ever read, and
 * depth, bytes and the length of one tag are bounded. A document type (as Cobertura writes it) is passed over. */
#ifndef DAVIT_PROTO_XML_H
#define DAVIT_PROTO_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"

enum { XML_DEPTH_MAX = 64, XML_TOKEN_MAX = 1024 * 1024 };

struct xml;

struct xml_handler {
	/* attributes: name, value, name, value ..., NULL. Names are as written, with their prefix; texts are UTF-8. */
	void (*on_open)(void *arg, const char *name, const char *const *attributes);
	/* In as many pieces as the parser likes. */
	void (*on_text)(void *arg, struct str text);
	void (*on_close)(void *arg, const char *name);
};

struct xml *xml_new(uint64_t bytes_max, const struct xml_handler *handler, void *arg);
void xml_free(struct xml **xml);
/* ERR_PROTO (it is no XML, with its line), ERR_LIMIT. After an error, all further calls fail in the same way. */
bool xml_feed(struct xml *xml, struct str bytes, struct err *err);
/* The document ends here. */
bool xml_finish(struct xml *xml, struct err *err);

/* The attribute's value, or fallback. */
const char *xml_attribute(const char *const *attributes, const char *name, const char *fallback);

#endif
