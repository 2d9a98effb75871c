/* The variables of an application's service, with what they refer to. */
#include <stdlib.h>
#include <string.h>

#include "proto/application.h"
#include "proto/buf.h"
#include "proto/script.h"

enum { VALUE_MAX = 128 * 1024 };

/* The last one of that name; NULL: none. */
static const char *
find(const struct env *env, struct str name)
{
	for (size_t i = env->count; i-- > 0;)
		if (str_is(name, env->vars[i].name))
			return env->vars[i].value;
	return NULL;
}

/* "$NAME" or "${NAME}" at s; where it ends, or NULL when a dollar sign alone stands there. */
static const char *
reference(const char *s, struct str *name)
{
	bool is_braced = s[1] == '{';
	const char *start = s + (is_braced ? 2 : 1);
	size_t len = script_name_len(start);

	*name = (struct str){ start, len };
	if (len == 0 || (is_braced && start[len] != '}'))
		return NULL;
	return start + len + is_braced;
}

static bool
expand(const char *text, const struct env *known, const struct env *before, struct buf *out, struct err *err)
{
	while (*text != '\0') {
		struct str name;
		const char *end = *text == '$' ? reference(text, &name) : NULL, *value;

		if (end == NULL) {
			text += text[0] == '$' && text[1] == '$';
			buf_addc(out, *text++);
			continue;
		}
		value = find(before, name);
		if (value == NULL)
			value = find(known, name);
		if (value == NULL)
			return err_set(err, ERR_INPUT, 0,
			    "there is no variable %.*s: set it in the environment, or name the secret in secrets:",
			    (int)(name.len < 60 ? name.len : 60), name.p);
		buf_adds(out, value);
		text = end;
	}
	return !buf_failed(out) || err_set(err, ERR_LIMIT, 0, "is longer than %d bytes", VALUE_MAX);
}

bool
application_env(const struct env *values, const struct env *known, struct env *ret, struct err *err)
{
	struct env env = { 0 };
	struct buf value;

	for (size_t i = 0; i < values->count; i++) {
		bool ok;

		buf_init(&value, VALUE_MAX);
		ok = expand(values->vars[i].value, known, &env, &value, err);
		if (ok)
			env_add(&env, values->vars[i].name, value.len > 0 ? value.data : "");
		if (value.len > 0)
			explicit_bzero(value.data, value.len);
		buf_fini(&value);
		if (!ok) {
			*err = err_prefix(*err, "the variable %.60s", values->vars[i].name);
			env_fini(&env);
			return false;
		}
	}
	*ret = env;
	return true;
}
