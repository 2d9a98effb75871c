#include "proto/heads.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/ref.h"

static const char peeled[] = "^{}";

static void
set_id(char to[COMMIT_SIZE], struct str id)
{
	memcpy(to, id.p, id.len);
	to[id.len] = '\0';
}

/* Of "REF^{}": what the tag in front of it is for. */
static void
set_peeled(struct heads *heads, struct str ref, struct str id)
{
	struct head *tag = heads->count > 0 ? &heads->items[heads->count - 1] : NULL;

	if (tag == NULL || !str_is(ref, tag->ref))
		return; /* of one that was left out */
	memcpy(tag->object, tag->commit, COMMIT_SIZE);
	set_id(tag->commit, id);
}

static bool
is_built(struct str ref)
{
	return (str_has_prefix(ref, "refs/heads/") || str_has_prefix(ref, "refs/tags/")) && ref_is_valid(ref);
}

static bool
add(struct heads *heads, struct str ref, struct str id, struct err *err)
{
	struct head *head;

	if (heads->count == HEADS_MAX)
		return err_set(err, ERR_LIMIT, 0, "the repository has more than %d branches and tags", HEADS_MAX);
	if ((heads->count & (heads->count - 1)) == 0)
		heads->items = xrealloc(heads->items, (heads->count * 2 + 1) * sizeof(*heads->items));
	head = &heads->items[heads->count++];
	*head = (struct head){ .ref = str_dup(ref) };
	set_id(head->commit, id);
	return true;
}

static bool
parse_line(struct heads *heads, struct str line, struct err *err)
{
	struct str ref = line, id = str_cut(&ref, '\t');
	size_t suffix = strlen(peeled);

	if (!commit_is_valid(id) || ref.len == 0)
		return err_set(err, ERR_PROTO, 0, "git ls-remote printed something else than ids and refs");
	if (ref.len > suffix && memcmp(ref.p + ref.len - suffix, peeled, suffix) == 0)
		set_peeled(heads, (struct str){ ref.p, ref.len - suffix }, id);
	else if (is_built(ref))
		return add(heads, ref, id, err);
	return true;
}

bool
heads_parse(struct str lines, struct heads *ret, struct err *err)
{
	struct heads heads = { 0 };

	while (lines.len > 0)
		if (!parse_line(&heads, str_cut(&lines, '\n'), err)) {
			heads_fini(&heads);
			return false;
		}
	*ret = heads;
	return true;
}

void
heads_fini(struct heads *heads)
{
	for (size_t i = 0; i < heads->count; i++)
		free(heads->items[i].ref);
	free(heads->items);
	*heads = (struct heads){ 0 };
}
