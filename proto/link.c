#include "proto/link.h"

#include <ctype.h>
#include <stdlib.h>

#include "proto/mem.h"

/* MYSQL for mysql, MY_DB for my-db. */
static char *
prefix_of(const char *service)
{
	char *prefix = xstrdup(service);

	for (char *p = prefix; *p != '\0'; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	return prefix;
}

/* Takes name and value. */
static void
add(struct env *env, char *name, char *value)
{
	env_add(env, name, value);
	free(name);
	free(value);
}

void
link_env(struct env *env, const char *service, const char *address, unsigned port)
{
	char *prefix;

	if (port == 0)
		return;
	prefix = prefix_of(service);
	add(env, xasprintf("%s_PORT", prefix), xasprintf("tcp://%s:%u", address, port));
	add(env, xasprintf("%s_PORT_%u_TCP", prefix, port), xasprintf("tcp://%s:%u", address, port));
	add(env, xasprintf("%s_PORT_%u_TCP_ADDR", prefix, port), xstrdup(address));
	add(env, xasprintf("%s_PORT_%u_TCP_PORT", prefix, port), xasprintf("%u", port));
	add(env, xasprintf("%s_PORT_%u_TCP_PROTO", prefix, port), xstrdup("tcp"));
	free(prefix);
}
