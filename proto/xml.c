#include "proto/xml.h"

#include <assert.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

enum { FEED_MAX = 64 * 1024 /* at a time: between two, the length of the open tag is looked at */ };

struct xml {
	XML_Parser parser;
	const struct xml_handler *handler;
	void *arg;
	uint64_t bytes, bytes_max;
	unsigned depth;
	struct err err; /* the first */
};

static void
stop(struct xml *xml, enum err_code code, const char *text)
{
	if (xml->err.code != ERR_NONE)
		return;
	xml->err = err_make(code, 0, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(xml->parser), text);
	XML_StopParser(xml->parser, XML_FALSE);
}

static void XMLCALL
on_open(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct xml *xml = arg;

	if (++xml->depth > XML_DEPTH_MAX)
		stop(xml, ERR_LIMIT, "too many elements within each other");
	else
		xml->handler->on_open(xml->arg, name, (const char *const *)attributes);
}

static void XMLCALL
on_close(void *arg, const XML_Char *name)
{
	struct xml *xml = arg;

	xml->depth--;
	if (xml->err.code == ERR_NONE)
		xml->handler->on_close(xml->arg, name);
}

static void XMLCALL
on_text(void *arg, const XML_Char *text, int len)
{
	struct xml *xml = arg;

	if (xml->err.code == ERR_NONE)
		xml->handler->on_text(xml->arg, (struct str){ text, (size_t)len });
}

static void XMLCALL
on_entity(void *arg, const XML_Char *name, int is_parameter, const XML_Char *value, int len, const XML_Char *base,
    const XML_Char *system_id, const XML_Char *public_id, const XML_Char *notation)
{
	(void)name, (void)is_parameter, (void)value, (void)len, (void)base, (void)system_id, (void)public_id;
	(void)notation;
	stop(arg, ERR_PROTO, "it declares an entity, which is not allowed here");
}

struct xml *
xml_new(uint64_t bytes_max, const struct xml_handler *handler, void *arg)
{
	struct xml *xml = xcalloc(1, sizeof(*xml));

	*xml = (struct xml){ .handler = handler, .arg = arg, .bytes_max = bytes_max };
	xml->parser = XML_ParserCreate(NULL);
	assert(xml->parser != NULL);
	XML_SetUserData(xml->parser, xml);
	XML_SetElementHandler(xml->parser, on_open, on_close);
	XML_SetCharacterDataHandler(xml->parser, on_text);
	XML_SetEntityDeclHandler(xml->parser, on_entity);
	XML_SetParamEntityParsing(xml->parser, XML_PARAM_ENTITY_PARSING_NEVER);
	return xml;
}

void
xml_free(struct xml **xml)
{
	if (*xml == NULL)
		return;
	XML_ParserFree((*xml)->parser);
	free(*xml);
	*xml = NULL;
}

static bool
parse(struct xml *xml, struct str bytes, bool is_last, struct err *err)
{
	if (xml->err.code == ERR_NONE && XML_Parse(xml->parser, bytes.p, (int)bytes.len, is_last) == XML_STATUS_ERROR &&
	    xml->err.code == ERR_NONE)
		xml->err = err_make(ERR_PROTO, 0, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(xml->parser),
		    XML_ErrorString(XML_GetErrorCode(xml->parser)));
	if (xml->err.code != ERR_NONE)
		*err = xml->err;
	return xml->err.code == ERR_NONE;
}

/* An open tag is read from its beginning each time that more of it comes. */
static bool
check_limits(struct xml *xml, struct err *err)
{
	XML_Index at = XML_GetCurrentByteIndex(xml->parser);

	if (xml->bytes > xml->bytes_max)
		stop(xml, ERR_LIMIT, "the file is too large");
	else if (at >= 0 && xml->bytes - (uint64_t)at > XML_TOKEN_MAX)
		stop(xml, ERR_LIMIT, "a tag is too long");
	if (xml->err.code != ERR_NONE)
		*err = xml->err;
	return xml->err.code == ERR_NONE;
}

bool
xml_feed(struct xml *xml, struct str bytes, struct err *err)
{
	while (bytes.len > 0) {
		struct str piece = { bytes.p, bytes.len < FEED_MAX ? bytes.len : FEED_MAX };

		bytes = (struct str){ bytes.p + piece.len, bytes.len - piece.len };
		xml->bytes += piece.len;
		if (!parse(xml, piece, false, err) || !check_limits(xml, err))
			return false;
	}
	return true;
}

bool
xml_finish(struct xml *xml, struct err *err)
{
	return parse(xml, STR(""), true, err);
}

const char *
xml_attribute(const char *const *attributes, const char *name, const char *fallback)
{
	for (; attributes[0] != NULL; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return fallback;
}
