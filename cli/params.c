#include "cli/params.h"

#include <stdio.h>
#include <string.h>

#include "proto/str.h"

static bool
write_param(struct json_writer *w, const char *option, const char *text)
{
	struct str value = str_of(text), name = str_cut(&value, '=');
	char key[128];

	if (strchr(text, '=') == NULL || name.len == 0 || name.len >= sizeof(key)) {
		fprintf(stderr, "davit: %s wants NAME=VALUE, not %s\n", option, text);
		return false;
	}
	memcpy(key, name.p, name.len);
	key[name.len] = '\0';
	json_write_key(w, key);
	json_write_str(w, value);
	return true;
}

bool
params_write(struct json_writer *w, const char *option, const char *member, int argc, char **argv)
{
	bool open = false, ok = true;

	for (int i = 0; i + 1 < argc && ok; i += 2) {
		if (strcmp(argv[i], option) != 0)
			continue;
		if (!open) {
			json_write_key(w, member);
			json_write_object_open(w);
			open = true;
		}
		ok = write_param(w, option, argv[i + 1]);
	}
	if (open && ok)
		json_write_object_close(w);
	return ok;
}
