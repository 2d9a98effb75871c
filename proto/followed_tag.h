/* An environment follows a tag in a registry: what is to be done when it is seen where that tag is. A digest counts once,
 * so that what failed, or was rolled back, does not come again by itself. */
#ifndef DAVIT_PROTO_FOLLOWED_TAG_H
#define DAVIT_PROTO_FOLLOWED_TAG_H

#include <stdbool.h>

struct followed_tag {
	const char *image;    /* with the tag, as written */
	const char *known;    /* the digest that it was at; "": not known */
	const char *deployed; /* what is deployed, see proto/built_image.h; "": not known */
	bool is_deploying;
};

enum followed_tag_verdict {
	FOLLOWED_TAG_SAME,
	FOLLOWED_TAG_RECORD, /* that is what is deployed, or the first that is known */
	FOLLOWED_TAG_WAIT,   /* a deployment is under way, and may bring it */
	FOLLOWED_TAG_DEPLOY,
};
enum followed_tag_verdict followed_tag_judge(const struct followed_tag *tag, const char *digest);

#endif
