/* What conf.c (the table of options and the walk over the file) and conf_value.c (one value) share. */
#ifndef DAVIT_SERVER_CONF_PRIVATE_H
#define DAVIT_SERVER_CONF_PRIVATE_H

#include "proto/yaml.h"
#include "server/conf.h"

enum conf_type {
	TEXT,      /* char * */
	URL,       /* char *; words: the schemes; empty is allowed where the default is empty */
	LISTEN,    /* struct conf_strings of addresses to listen on */
	ADDRESSES, /* struct conf_strings: IP addresses as inet_ntop writes them */
	NETWORKS,  /* struct conf_strings: IPv4 addresses or a.b.c.d/n */
	PLATFORMS, /* struct conf_strings, as proto/platform.h spells them */
	MAP,       /* struct conf_map */
	WORD,      /* an enum; words: its names in order */
	BOOL,      /* bool */
	NUMBER,    /* unsigned */
	DURATION,  /* unsigned, seconds */
	SIZE,      /* uint64_t, bytes */
	CPUS,      /* unsigned, thousandths */
	LIST,      /* pointer and count of structs, whose options follow with the list's key in front */
};

struct conf_option {
	const char *key;
	enum conf_type type;
	size_t offset;        /* in struct conf, or in the list's item */
	const char *fallback; /* as written in the file; NULL: must be written */
	const char *help;
	uint64_t min;
	uint64_t max;
	const char *const *words; /* NULL at the end */
	size_t item_size;         /* LIST */
	size_t count_offset;      /* LIST */
};

struct conf_reader {
	const struct yml *doc;
	struct err *err;
};

/* Sets the field from the node; the type is not LIST. */
bool conf_set_value(struct conf_reader *r, const struct conf_option *o, void *field, const struct yml_node *node);
void conf_value_fini(const struct conf_option *o, void *field);
/* Refuses the node: "builder.timeout: \"soon\" is not WHAT (HELP)". Returns false. */
bool conf_wants(struct conf_reader *r, const struct conf_option *o, const struct yml_node *node, const char *what);
/* Frees *field and puts a copy of text there. */
void conf_replace(char **field, const char *text);

#endif
