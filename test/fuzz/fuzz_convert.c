/* Any bytes as another system's pipeline file: the first byte chooses the system. What comes out is YAML again, and so
 * are the notes; the same bytes give the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/convert.h"
#include "proto/yaml.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strings notes = { 0 }, again = { 0 };
	char *text = NULL, *second = NULL;
	struct yml *doc;
	struct str input;
	struct err err;

	if (size == 0)
		return 0;
	input = (struct str){ (const char *)data + 1, size - 1 };
	if (convert_pipeline((enum convert_from)(data[0] % 4), input, "f", &text, &notes, &err)) {
		must(yml_parse(str_of(text), "out", &doc, &err) || err.code == ERR_LIMIT);
		yml_free(&doc);
		must(convert_pipeline((enum convert_from)(data[0] % 4), input, "f", &second, &again, &err));
		must(strcmp(text, second) == 0 && notes.count == again.count);
	}
	free(text);
	free(second);
	strings_fini(&notes);
	strings_fini(&again);
	return 0;
}
