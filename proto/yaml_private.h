/* What yaml.c (the tree) and yaml_read.c (libyaml's events to a tree) share. */
#ifndef DAVIT_PROTO_YAML_PRIVATE_H
#define DAVIT_PROTO_YAML_PRIVATE_H

#include <stdarg.h>

#include "proto/arena.h"
#include "proto/yaml.h"

struct yml_pair {
	const struct yml_node *key;
	const struct yml_node *value;
	size_t order; /* place among the mapping's pairs; those of merged mappings follow its own */
	bool merged;
};

/* Kept small: a file of the largest size has a hundred thousand of them. */
struct yml_node {
	enum yml_type type;
	bool plain;
	bool open;       /* being read: an alias to it would be a cycle */
	uint8_t height;  /* levels of sequences and mappings, its own included */
	uint32_t values; /* nodes in it after expansion, itself included */
	uint32_t count;
	struct yml_mark mark;
	const char *file; /* the document's, so that a node says where it stands when several documents are read */
	union {
		const char *text;              /* YML_SCALAR, YML_NULL */
		const struct yml_node **items; /* YML_SEQUENCE */
		struct yml_pair *pairs;        /* YML_MAPPING */
	};
};

struct yml {
	struct arena arena;
	char *file;
	const struct yml_node *root;
};

/* "FILE:LINE:COLUMN: ..."; returns false. */
bool yml_fail_at(const char *file, struct yml_mark at, struct err *err, enum err_code code, const char *fmt, va_list ap)
    __attribute__((format(printf, 5, 0)));

/* What the parser stumbled over. */
struct yml_problem {
	const char *text;
	struct yml_mark at;
	const char *context; /* NULL: none */
	struct yml_mark context_at;
};

/* Says in words of ours what is wrong with the text, and where; returns false. */
bool yml_explain(const char *file, struct str text, const struct yml_problem *problem, struct err *err);

#endif
