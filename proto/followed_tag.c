#include "proto/followed_tag.h"

#include <string.h>

#include "proto/built_image.h"

enum followed_tag_verdict
followed_tag_judge(const struct followed_tag *tag, const char *digest)
{
	struct built_image there;
	bool is_known = built_image_find(tag->deployed, tag->image, &there);

	if (strcmp(tag->known, digest) == 0)
		return FOLLOWED_TAG_SAME;
	if (is_known ? str_is(built_image_digest(&there), digest) : tag->known[0] == '\0')
		return FOLLOWED_TAG_RECORD;
	return tag->is_deploying ? FOLLOWED_TAG_WAIT : FOLLOWED_TAG_DEPLOY;
}
