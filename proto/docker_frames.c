#include "proto/docker_frames.h"

#include <string.h>

/* Moves what *in has of a header; true when it is whole. */
static bool
take_head(struct docker_frames *f, struct str *in)
{
	size_t len = sizeof(f->head) - f->head_len;

	if (len > in->len)
		len = in->len;
	memcpy(f->head + f->head_len, in->p, len);
	f->head_len += len;
	in->p += len;
	in->len -= len;
	return f->head_len == sizeof(f->head);
}

static bool
parse_head(struct docker_frames *f)
{
	const unsigned char *h = f->head;

	f->head_len = 0;
	if (h[0] > DOCKER_ENGINE_ERROR || h[1] != 0 || h[2] != 0 || h[3] != 0)
		return false;
	f->stream = (enum docker_stream)h[0];
	f->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	return true;
}

enum docker_frames_next
docker_frames_next(struct docker_frames *f, struct str *in, enum docker_stream *stream, struct str *piece)
{
	while (f->left == 0) {
		if (in->len == 0 || !take_head(f, in))
			return DOCKER_FRAMES_MORE;
		if (!parse_head(f))
			return DOCKER_FRAMES_BAD;
	}
	if (in->len == 0)
		return DOCKER_FRAMES_MORE;
	*stream = f->stream;
	*piece = (struct str){ in->p, in->len < f->left ? in->len : f->left };
	f->left -= (uint32_t)piece->len;
	in->p += piece->len;
	in->len -= piece->len;
	return DOCKER_FRAMES_PIECE;
}

bool
docker_frames_at_boundary(const struct docker_frames *f)
{
	return f->left == 0 && f->head_len == 0;
}
