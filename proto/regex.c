#include "proto/regex.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "proto/char_class.h"
#include "proto/str.h"
#include "proto/utf8.h"

#define REPEAT_MAX 100u
#define DEPTH_MAX 32
enum op {
	OP_CHAR,
	OP_ANY,
	OP_CLASS, /* [...] */
	OP_KIND,  /* \d and the like; c is the letter */
	OP_BEGIN,
	OP_END,
	OP_SPLIT, /* goes on at both */
	OP_JUMP,
	OP_MATCH,
};

/* Jumps are relative, so that a run of steps can be moved and copied. */
struct step {
	enum op op;
	uint32_t c;
	const char *class; /* behind the bracket and the ^ */
	bool negated;
	int x, y;
};

struct program {
	struct step steps[REGEX_MAX_STEPS + 1];
	int count;
	const char *at; /* in the pattern */
	unsigned depth;
	const char *problem;
};

static bool
refuse(struct program *p, const char *problem)
{
	if (p->problem == NULL)
		p->problem = problem;
	return false;
}

/* Makes room for count steps at index at. */
static bool
insert(struct program *p, int at, int count)
{
	if (p->count + count > REGEX_MAX_STEPS)
		return refuse(p, "is too large");
	memmove(&p->steps[at + count], &p->steps[at], (size_t)(p->count - at) * sizeof(p->steps[0]));
	p->count += count;
	return true;
}

static bool
emit(struct program *p, struct step step)
{
	if (!insert(p, p->count, 1))
		return false;
	p->steps[p->count - 1] = step;
	return true;
}

static bool
emit_copy(struct program *p, int from, int len)
{
	if (!insert(p, p->count, len))
		return false;
	memcpy(&p->steps[p->count - len], &p->steps[from], (size_t)len * sizeof(p->steps[0]));
	return true;
}

static bool
read_class(struct program *p)
{
	struct step step = { .op = OP_CLASS };
	const char *end;

	step.negated = *p->at == '^';
	step.class = p->at + step.negated;
	end = char_class_end(step.class);
	if (end == NULL)
		return refuse(p, "has a [ without its ]");
	p->at = end + 1;
	return emit(p, step);
}

static bool
read_escape(struct program *p)
{
	unsigned char c = (unsigned char)*p->at;

	if (c == '\0')
		return refuse(p, "ends with a backslash");
	if (strchr("dwsDWS", c) != NULL) {
		p->at++;
		return emit(p, (struct step){ .op = OP_KIND, .c = c });
	}
	if (isalnum(c))
		return refuse(p, "has an escape that is not known");
	return emit(p, (struct step){ .op = OP_CHAR, .c = utf8_take(&p->at) });
}

static bool read_choice(struct program *p);

static bool
read_group(struct program *p)
{
	if (p->at[0] == '?') {
		if (p->at[1] != ':')
			return refuse(p, "looks ahead or behind");
		p->at += 2;
	}
	if (++p->depth > DEPTH_MAX)
		return refuse(p, "is nested too deep");
	if (!read_choice(p))
		return false;
	if (*p->at != ')')
		return refuse(p, "has a ( without its )");
	p->depth--;
	p->at++;
	return true;
}

static bool
read_atom(struct program *p)
{
	switch (*p->at) {
	case '(':
		p->at++;
		return read_group(p);
	case '[':
		p->at++;
		return read_class(p);
	case '\\':
		p->at++;
		return read_escape(p);
	case '.':
		p->at++;
		return emit(p, (struct step){ .op = OP_ANY });
	case '^':
		p->at++;
		return emit(p, (struct step){ .op = OP_BEGIN });
	case '$':
		p->at++;
		return emit(p, (struct step){ .op = OP_END });
	case '*':
	case '+':
	case '?':
		return refuse(p, "repeats nothing");
	default:
		return emit(p, (struct step){ .op = OP_CHAR, .c = utf8_take(&p->at) });
	}
}

/* {m}, {m,} or {m,n} at p->at; max is UINT32_MAX without a bound. False: it is none, and stands for itself. */
static bool
read_bounds(struct program *p, unsigned *min, unsigned *max)
{
	struct str rest, low, high;
	const char *end = strchr(p->at, '}');
	uint64_t m, n = UINT32_MAX;

	if (*p->at != '{' || end == NULL)
		return false;
	rest = (struct str){ p->at + 1, (size_t)(end - p->at - 1) };
	high = rest;
	low = str_cut(&high, ',');
	if (!str_to_u64(low, REPEAT_MAX, &m))
		return false;
	if (low.len == rest.len)
		n = m;
	else if (high.len > 0 && !str_to_u64(high, REPEAT_MAX, &n))
		return false;
	if (n < m)
		return false;
	*min = (unsigned)m;
	*max = (unsigned)n;
	p->at = end + 1;
	return true;
}

static bool
make_optional(struct program *p, int start)
{
	if (!insert(p, start, 1))
		return false;
	p->steps[start] = (struct step){ .op = OP_SPLIT, .x = 1, .y = p->count - start };
	return true;
}

static bool
make_star(struct program *p, int start)
{
	int len = p->count - start;

	return make_optional(p, start) && emit(p, (struct step){ .op = OP_JUMP, .x = -(len + 1) }) &&
	       (p->steps[start].y = len + 2, true);
}

/* The steps from start on, min to max times. */
static bool
repeat(struct program *p, int start, unsigned min, unsigned max)
{
	int len = p->count - start;
	unsigned copies = max == UINT32_MAX ? min + 1 : max; /* the last one of an open end is starred */

	if (copies == 0) {
		p->count = start;
		return true;
	}
	for (unsigned i = 1; i < copies; i++)
		if (!emit_copy(p, start, len))
			return false;
	if (max == UINT32_MAX)
		return make_star(p, p->count - len);
	for (unsigned i = copies; i > min; i--) /* each optional one holds those behind it */
		if (!make_optional(p, start + (int)(i - 1) * len))
			return false;
	return true;
}

static bool
read_repeated(struct program *p)
{
	unsigned min = 1, max = 1;
	int start = p->count;

	if (!read_atom(p))
		return false;
	if (*p->at == '*' || *p->at == '+' || *p->at == '?') {
		min = *p->at == '+';
		max = *p->at == '?' ? 1 : UINT32_MAX;
		p->at++;
	} else if (!read_bounds(p, &min, &max)) {
		return true;
	}
	if (*p->at == '?') /* the fewest possible: the same for a whole text */
		p->at++;
	if (*p->at == '*' || *p->at == '+' || *p->at == '?')
		return refuse(p, "repeats a repetition");
	return repeat(p, start, min, max);
}

static bool
read_choice(struct program *p)
{
	int start = p->count, end;

	while (*p->at != '\0' && *p->at != '|' && *p->at != ')')
		if (!read_repeated(p))
			return false;
	if (*p->at != '|')
		return true;
	p->at++;
	if (!make_optional(p, start) || !emit(p, (struct step){ .op = OP_JUMP }))
		return false;
	end = p->count;
	p->steps[start].y = end - start;
	if (!read_choice(p))
		return false;
	p->steps[end - 1].x = p->count - (end - 1);
	return true;
}

static bool
compile(struct program *p, const char *pattern)
{
	p->count = 0;
	p->at = pattern;
	p->depth = 0;
	p->problem = NULL;
	if (strlen(pattern) > REGEX_MAX_BYTES)
		return refuse(p, "is too long");
	if (!read_choice(p))
		return false;
	if (*p->at == ')')
		return refuse(p, "has a ) without its (");
	p->steps[p->count] = (struct step){ .op = OP_MATCH };
	return true;
}

/* --- the automaton --- */

static bool
is_kind(uint32_t kind, uint32_t c)
{
	bool ascii = c < 0x80, is = false;

	if (tolower((int)kind) == 'd')
		is = ascii && isdigit((int)c);
	else if (tolower((int)kind) == 'w')
		is = ascii && (isalnum((int)c) || c == '_');
	else
		is = ascii && isspace((int)c);
	return isupper((int)kind) ? !is : is;
}

/* A member of a class: a character, or \d and the like, whose letter is then in *kind. */
static uint32_t
take_member(const char **s, uint32_t *kind)
{
	*kind = 0;
	if (**s == '\\') {
		(*s)++;
		if (strchr("dwsDWS", **s) != NULL)
			*kind = (unsigned char)**s;
	}
	return utf8_take(s);
}

static bool
class_has(const struct step *step, uint32_t c)
{
	const char *s = step->class, *end = char_class_end(s);
	uint32_t kind, low, high;

	while (s < end) {
		low = high = take_member(&s, &kind);
		if (kind == 0 && *s == '-' && s + 1 < end) {
			s++;
			high = take_member(&s, &kind);
		}
		if (kind != 0 ? is_kind(kind, c) : c >= low && c <= high)
			return !step->negated;
	}
	return step->negated;
}

static bool
takes(const struct step *step, uint32_t c)
{
	switch (step->op) {
	case OP_CHAR:
		return step->c == c;
	case OP_ANY:
		return true;
	case OP_CLASS:
		return class_has(step, c);
	case OP_KIND:
		return is_kind(step->c, c);
	case OP_BEGIN:
	case OP_END:
	case OP_SPLIT:
	case OP_JUMP:
	case OP_MATCH:
		break;
	}
	return false;
}

/* Adds the step and all that is reached from it without a character. */
static void
enter(const struct program *p, bool *set, int first, bool at_begin, bool at_end)
{
	int stack[2 * (REGEX_MAX_STEPS + 1)], depth = 0;

	stack[depth++] = first;
	while (depth > 0) {
		int i = stack[--depth];
		const struct step *step = &p->steps[i];

		if (set[i])
			continue;
		set[i] = true;
		if (step->op == OP_SPLIT)
			stack[depth++] = i + step->y;
		if (step->op == OP_SPLIT || step->op == OP_JUMP)
			stack[depth++] = i + step->x;
		else if ((step->op == OP_BEGIN && at_begin) || (step->op == OP_END && at_end))
			stack[depth++] = i + 1;
	}
}

static bool
run(const struct program *p, const char *text)
{
	bool sets[2][REGEX_MAX_STEPS + 1] = { { false } };
	unsigned now = 0;

	enter(p, sets[now], 0, true, *text == '\0');
	while (*text != '\0') {
		uint32_t c = utf8_take(&text);
		bool *next = sets[1 - now];

		memset(next, 0, (size_t)p->count + 1);
		for (int i = 0; i < p->count; i++)
			if (sets[now][i] && takes(&p->steps[i], c))
				enter(p, next, i + 1, false, *text == '\0');
		now = 1 - now;
	}
	return sets[now][p->count];
}

bool
regex_check(const char *pattern, struct err *err)
{
	struct program p;

	return compile(&p, pattern) || err_set(err, ERR_INPUT, 0, "the expression \"%.60s\" %s", pattern, p.problem);
}

unsigned
regex_cost(const char *pattern)
{
	struct program p;

	return compile(&p, pattern) ? (unsigned)p.count + 1 : 0;
}

bool
regex_match(const char *pattern, const char *text)
{
	struct program p;

	return compile(&p, pattern) && run(&p, text);
}
