#include "proto/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

#define BLOCK_SIZE 8192

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char bytes[];
};

static struct arena_block *
block_new(struct arena *arena, size_t size)
{
	struct arena_block *block = xcalloc(1, sizeof(*block) + size);

	block->size = size;
	block->next = arena->blocks;
	arena->blocks = block;
	return block;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;
	size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	void *p;

	if (block == NULL || block->size - block->used < rounded)
		block = block_new(arena, rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE);
	p = block->bytes + block->used;
	block->used += rounded;
	return p;
}

char *
arena_str(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.len + 1);

	if (s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

void
arena_fini(struct arena *arena)
{
	for (struct arena_block *next; arena->blocks != NULL; arena->blocks = next) {
		next = arena->blocks->next;
		free(arena->blocks);
	}
}
