/* Masking, measured: throughput of proto/mask over the file given, in pieces of 64 KiB as the engine delivers them,
 * with COUNT secrets of 32 to 64 random characters. Writes the secrets to the file SECRETS, one a line, for the peers.
 * usage: mask FILE COUNT SECRETS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/mask.h"
#include "proto/mem.h"

enum { PIECE = 65536, ROUNDS = 3 };

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct str
read_all(const char *path)
{
	FILE *file = fopen(path, "re");
	struct str s = { NULL, 0 };
	char *bytes;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
		perror(path);
		exit(1);
	}
	s.len = (size_t)ftell(file);
	rewind(file);
	bytes = xcalloc(1, s.len + 1);
	s.len = fread(bytes, 1, s.len, file);
	s.p = bytes;
	fclose(file);
	return s;
}

static struct mask *
make(unsigned count, const char *path)
{
	static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	struct mask *mask = mask_new();
	FILE *file = fopen(path, "we");

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned char random[64];
		char value[65] = "";
		size_t len = 32 + i % 33;

		random_bytes(random, sizeof(random));
		for (size_t k = 0; k < len; k++)
			value[k] = characters[random[k] % 64];
		mask_add(mask, str_of(value));
		fprintf(file, "%s\n", value);
	}
	mask_close(mask);
	fclose(file);
	return mask;
}

static double
measure(const struct mask *mask, struct str text)
{
	struct mask_stream stream;
	struct buf out;
	double begin = now();

	buf_init(&out, PIECE + MASK_HELD_MAX + 1);
	mask_stream_init(&stream, mask);
	for (size_t at = 0; at < text.len; at += PIECE) {
		size_t len = text.len - at < PIECE ? text.len - at : PIECE;

		mask_feed(&stream, (struct str){ text.p + at, len }, &out);
		buf_reset(&out);
	}
	mask_finish(&stream, &out);
	buf_fini(&out);
	return now() - begin;
}

int
main(int argc, char **argv)
{
	struct mask *mask;
	struct str text;
	double begin, best = 0;

	if (argc != 4)
		return 2;
	text = read_all(argv[1]);
	begin = now();
	mask = make((unsigned)atoi(argv[2]), argv[3]);
	printf("made in %.2f ms\n", (now() - begin) * 1000);
	for (int round = 0; round < ROUNDS; round++) {
		double rate = (double)text.len / measure(mask, text) / 1e6;

		best = rate > best ? rate : best;
	}
	printf("%.0f MB/s\n", best);
	mask_free(&mask);
	free((char *)text.p);
	return 0;
}
