#include "proto/chunked.h"

#include <assert.h>
#include <stdio.h>

#include "proto/http1.h"

/* What is expected next. */
enum chunked_state {
	SIZE,      /* a digit of the size, or what ends it */
	EXTENSION, /* bytes up to the CR of the size line */
	QUOTED,    /* the same between quotes, where other readers take even a CR */
	ESCAPED,   /* behind a backslash in them */
	SIZE_LF,   /* the LF of the size line */
	DATA,      /* left bytes of the chunk */
	DATA_CR,   /* CR LF behind the chunk */
	DATA_LF,
	TRAILER,       /* the first byte of a trailer line, or the CR of the empty one */
	TRAILER_NAME,  /* up to the colon */
	TRAILER_VALUE, /* up to the CR */
	TRAILER_LF,
	END_LF, /* the LF of the empty line */
	DONE,
	REFUSED,
};

static int
refuse(struct chunked *c, const char *why)
{
	c->why = why;
	return REFUSED;
}

static int
hex_digit(unsigned char b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

static bool
is_control(unsigned char b)
{
	return (b < 0x20 && b != '\t') || b == 0x7f;
}

static int
step_size(struct chunked *c, unsigned char b)
{
	int digit = hex_digit(b);

	if (digit < 0) {
		if (c->digits == 0)
			return refuse(c, "a chunk's size is missing");
		if (b == ';')
			return EXTENSION;
		return b == '\r' ? SIZE_LF : refuse(c, "a chunk's size is malformed");
	}
	if (++c->digits > 16 || c->left > (uint64_t)INT64_MAX >> 4)
		return refuse(c, "a chunk's size is too large");
	c->left = c->left << 4 | (unsigned)digit;
	return SIZE;
}

static int
step_extension(struct chunked *c, unsigned char b)
{
	if (b == '\r' && c->state == EXTENSION)
		return SIZE_LF;
	if (is_control(b))
		return refuse(c, "a chunk's extension has a control byte");
	if (++c->extensions > CHUNKED_EXTENSIONS_MAX)
		return refuse(c, "the chunks' extensions are too long");
	if (c->state == QUOTED)
		return b == '"' ? EXTENSION : b == '\\' ? ESCAPED : QUOTED;
	return c->state == ESCAPED || b == '"' ? QUOTED : EXTENSION;
}

static int
expect_lf(struct chunked *c, unsigned char b, int next)
{
	return b == '\n' ? next : refuse(c, "a line of the chunked coding does not end with CR LF");
}

/* A name is a token: neither a fold nor a second message passes as a trailer. */
static int
step_trailer(struct chunked *c, unsigned char b)
{
	if (++c->trailers > CHUNKED_TRAILERS_MAX)
		return refuse(c, "the trailers are too long");
	if (c->state == TRAILER_VALUE) {
		if (b == '\r')
			return TRAILER_LF;
		return is_control(b) ? refuse(c, "a trailer has a control byte") : TRAILER_VALUE;
	}
	if (c->state == TRAILER && b == '\r')
		return END_LF;
	if (c->state == TRAILER_NAME && b == ':')
		return TRAILER_VALUE;
	if (!http1_is_token((struct str){ (const char *)&b, 1 }))
		return refuse(c, "a trailer's name is malformed");
	return TRAILER_NAME;
}

static int
step(struct chunked *c, unsigned char b)
{
	switch ((enum chunked_state)c->state) {
	case SIZE:
		return step_size(c, b);
	case EXTENSION:
	case QUOTED:
	case ESCAPED:
		return step_extension(c, b);
	case SIZE_LF:
		c->digits = 0;
		return expect_lf(c, b, c->left > 0 ? DATA : TRAILER);
	case DATA_CR:
		return b == '\r' ? DATA_LF : refuse(c, "a chunk is longer than its size");
	case DATA_LF:
		return expect_lf(c, b, SIZE);
	case TRAILER:
	case TRAILER_NAME:
	case TRAILER_VALUE:
		return step_trailer(c, b);
	case TRAILER_LF:
		return expect_lf(c, b, TRAILER);
	case END_LF:
		return expect_lf(c, b, DONE);
	case DATA:
	case DONE:
	case REFUSED:
		break;
	}
	assert(!"these states take no single byte");
	return REFUSED;
}

static enum chunked_verdict
take_data(struct chunked *c, struct str *in, struct str *ret)
{
	size_t len = in->len < c->left ? in->len : (size_t)c->left;

	*ret = (struct str){ in->p, len };
	in->p += len;
	in->len -= len;
	c->left -= len;
	if (c->left == 0)
		c->state = DATA_CR;
	return CHUNKED_DATA;
}

enum chunked_verdict
chunked_next(struct chunked *c, struct str *in, struct str *ret)
{
	*ret = STR("");
	while (c->state != DONE && c->state != REFUSED) {
		if (in->len == 0)
			return CHUNKED_NEED_MORE;
		if (c->state == DATA)
			return take_data(c, in, ret);
		c->state = step(c, (unsigned char)in->p[0]);
		if (c->state != REFUSED) {
			in->p++;
			in->len--;
		}
	}
	return c->state == DONE ? CHUNKED_DONE : CHUNKED_REFUSED;
}

const char *
chunked_why(const struct chunked *c)
{
	return c->why != NULL ? c->why : "";
}

size_t
chunked_print_size(char ret[CHUNKED_SIZE_LINE], size_t len)
{
	assert(len > 0); /* a chunk of none would end the body */
	return (size_t)snprintf(ret, CHUNKED_SIZE_LINE, "%zx\r\n", len);
}
