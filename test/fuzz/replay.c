/* The driver of the fuzz targets where there is no libFuzzer: runs the target on each file given, and on some cuts and
 * some wrong bytes of it, always the same ones. So every build checks the targets and their seeds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1024 * 1024)
#define PLACES 64 /* where a file is cut and altered, spread over it evenly */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of exactly its size, so that the sanitizers see a read past its end. */
static void
run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void
run_variations(uint8_t *data, size_t size)
{
	static const uint8_t wrong[] = { 0x00, '\n', '"', '0', 0x7f, 0xff };
	size_t step = size / PLACES + 1;

	run(data, size);
	for (size_t at = 0; at < size; at += step) {
		uint8_t right = data[at];

		run(data, at);
		data[at] = wrong[at / step % sizeof(wrong)];
		run(data, size);
		data[at] = right;
	}
}

static int
replay(const char *path)
{
	uint8_t *data = malloc(FILE_MAX);
	FILE *file = fopen(path, "rb");
	size_t size;

	if (file == NULL || data == NULL) {
		perror(path);
		free(data);
		return 1;
	}
	size = fread(data, 1, FILE_MAX, file);
	fclose(file);
	run_variations(data, size);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	return bad;
}
