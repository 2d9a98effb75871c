/* A push in git's own words: the commit's object, "tree ID", "parent ID", "author NAME <EMAIL> TIME ZONE" ..., an empty
 * line, the message. */
#include <stdlib.h>
#include <string.h>

#include "proto/hook_forge.h"

#define AUTHOR "author "

/* "NAME <EMAIL> TIME ZONE" */
static void
set_author(struct change *change, struct str line)
{
	struct str name = str_trim(str_cut(&line, '<')), email = str_cut(&line, '>');
	char *of_name = str_dup(name), *of_email = str_dup(email);

	hook_set_author(change, of_name, of_email);
	free(of_name);
	free(of_email);
}

static void
read_object(struct change *change, struct str object)
{
	char *message;

	while (object.len > 0) {
		struct str line = str_cut(&object, '\n');

		if (line.len == 0)
			break;
		if (str_has_prefix(line, AUTHOR) && change->author_name == NULL)
			set_author(change, (struct str){ line.p + strlen(AUTHOR), line.len - strlen(AUTHOR) });
	}
	if (object.len == 0)
		return;
	message = str_dup(object);
	hook_set_message(change, message);
	free(message);
}

bool
hook_decode_commit(const char *ref, const char *commit, const char *before, struct str object, struct hook_result *ret,
    struct err *err)
{
	*ret = (struct hook_result){ .outcome = HOOK_IGNORED };
	if (!hook_set_push(ret, ref, commit, before[0] != '\0' ? before : NULL, err)) {
		hook_result_fini(ret);
		return false;
	}
	read_object(&ret->change, object);
	hook_skip(ret);
	return true;
}
