/* Places where davitd dies on purpose, for tests: CRASH_POINT(name), each with a row in crash_points.h. Only in a build
 * configured with --enable-crash-points; in any other nothing is left of it but the check that the name is known.
 *
 * DAVIT_CRASH=name:n kills the process (SIGKILL) when it passes the point for the n-th time.
 * DAVIT_CRASH_PAGE=FILE is for a test that chooses while the process runs: a struct crash_page, shared by mmap. */
#ifndef DAVIT_CORE_CRASH_H
#define DAVIT_CORE_CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/err.h"
#include "server/core/crash_points.h"

enum crash_point {
#define CRASH_ENUM(name, what) CRASH_##name,
	CRASH_POINTS(CRASH_ENUM)
#undef CRASH_ENUM
	    CRASH_COUNT
};

enum { CRASH_NAME_MAX = 56 };

struct crash_page {
	char name[CRASH_NAME_MAX];    /* of the point that kills, NUL-terminated; "": none */
	uint32_t left;                /* passes until it does */
	uint32_t unused;              /* keeps what follows in line */
	uint32_t passed[CRASH_COUNT]; /* how often each was passed */
};

#ifdef DAVIT_CRASH_POINTS
#define CRASH_POINT(name) crash_point(CRASH_##name)
#else
#define CRASH_POINT(name) ((void)CRASH_##name)
#endif

/* Reads the environment. False when it asks for what cannot be. */
bool crash_init(struct err *err);
void crash_point(enum crash_point point);
/* A line for each: name, tab, what has happened. */
void crash_list(FILE *to);

#endif
