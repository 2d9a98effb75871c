/* Tags of an image that follow from what is built: the forms of `tags: {image: NAME, as: [FORM ...]}`.
 *
 *   version     of a tag v1.2.3 or 1.2.3 (semver.org): 1.2.3; of v1.2.3-rc.1: 1.2.3-rc.1
 *   minor       1.2, major: 1, latest: latest; none of the three of a pre-release
 *   tag         the tag as it is, with '-' for what no image's tag may have
 *   branch      the branch, likewise: feature-x of feature/x
 *   branch-sha  feature-x-2b6dae9
 *   init        main-init, of a repository's first alone
 *   sha         sha-2b6dae9
 *   pull        pull-7 */
#ifndef DAVIT_PROTO_IMAGE_TAG_H
#define DAVIT_PROTO_IMAGE_TAG_H

#include <stdbool.h>
#include <stddef.h>

#define IMAGE_TAG_SIZE 129 /* with its NUL */
#define IMAGE_TAG_FIRST "init"

/* What is built; NULL: it has no such thing. */
struct image_tag_facts {
	const char *branch; /* not of a pull request */
	const char *tag;
	const char *commit;
	const char *pull; /* number of a pull request */
	bool first;       /* it is the repository's first build of an image */
};

/* false: there is no such form. ret is "" when what is built has no tag of it. */
bool image_tag_make(const char *form, const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE]);
/* The forms that there are; NULL behind the last one. */
const char *image_tag_form(size_t i);

#endif
