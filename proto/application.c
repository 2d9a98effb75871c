#include "proto/application.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"

enum member_kind { MEMBER_TEXT, MEMBER_LIST, MEMBER_ENV, MEMBER_NUMBER, MEMBER_SIZE, MEMBER_FLAG };

/* A member of a service: what the writer, the reader and the end of one have in common. */
struct member {
	const char *name;
	enum member_kind kind;
	size_t offset;
};

#define MEMBER(name, kind)                                              \
	{                                                               \
#name, kind, offsetof(struct application_service, name) \
	}

static const struct member members[] = {
	MEMBER(name, MEMBER_TEXT),
	MEMBER(image, MEMBER_TEXT),
	MEMBER(command, MEMBER_LIST),
	MEMBER(entrypoint, MEMBER_LIST),
	MEMBER(env, MEMBER_ENV),
	MEMBER(ports, MEMBER_LIST),
	MEMBER(dnsrr, MEMBER_FLAG),
	MEMBER(volumes, MEMBER_LIST),
	MEMBER(networks, MEMBER_LIST),
	MEMBER(labels, MEMBER_LIST),
	MEMBER(replicas, MEMBER_NUMBER),
	MEMBER(user, MEMBER_TEXT),
	MEMBER(workdir, MEMBER_TEXT),
	MEMBER(hostname, MEMBER_TEXT),
	MEMBER(restart, MEMBER_TEXT),
	MEMBER(stop_signal, MEMBER_TEXT),
	MEMBER(pull, MEMBER_TEXT),
	MEMBER(grace_s, MEMBER_NUMBER),
	MEMBER(memory, MEMBER_SIZE),
	MEMBER(nano_cpus, MEMBER_SIZE),
	MEMBER(init, MEMBER_FLAG),
	MEMBER(read_only, MEMBER_FLAG),
	MEMBER(tmpfs, MEMBER_LIST),
	MEMBER(health, MEMBER_LIST),
	MEMBER(health_interval_s, MEMBER_NUMBER),
	MEMBER(health_timeout_s, MEMBER_NUMBER),
	MEMBER(health_start_s, MEMBER_NUMBER),
	MEMBER(health_retries, MEMBER_NUMBER),
	MEMBER(probe_path, MEMBER_TEXT),
	MEMBER(probe_port, MEMBER_NUMBER),
	MEMBER(stable_s, MEMBER_NUMBER),
	MEMBER(gate_s, MEMBER_NUMBER),
	MEMBER(drain_s, MEMBER_NUMBER),
};

static const char *const publish_names[] = {
	[APPLICATION_PUBLISH_ANYWHERE] = "anywhere",
	[APPLICATION_PUBLISH_INGRESS] = "ingress",
	[APPLICATION_PUBLISH_HOST] = "host",
};

#define MEMBER_COUNT (sizeof(members) / sizeof(members[0]))

static const void *
member_of(const struct application_service *service, const struct member *member)
{
	return (const char *)service + member->offset;
}

/* --- the end --- */

static void
member_fini(struct application_service *service, const struct member *member)
{
	void *at = (char *)service + member->offset;

	switch (member->kind) {
	case MEMBER_TEXT:
		free(*(char **)at);
		break;
	case MEMBER_LIST:
		strings_fini(at);
		break;
	case MEMBER_ENV:
		env_fini(at);
		break;
	case MEMBER_NUMBER:
	case MEMBER_SIZE:
	case MEMBER_FLAG:
		break;
	}
}

void
application_free(struct application **application)
{
	struct application *a = *application;

	*application = NULL;
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->service_count; i++)
		for (size_t k = 0; k < MEMBER_COUNT; k++)
			member_fini(&a->services[i], &members[k]);
	free(a->services);
	free(a);
}

/* --- JSON --- */

static void
write_list(struct json_writer *w, const char *name, const struct strings *list)
{
	if (list->count == 0)
		return;
	json_write_key(w, name);
	json_write_array_open(w);
	for (size_t i = 0; i < list->count; i++)
		json_write_string(w, list->items[i]);
	json_write_array_close(w);
}

static void
write_env(struct json_writer *w, const char *name, const struct env *env)
{
	struct strings list = { 0 };

	for (size_t i = 0; i < env->count; i++) {
		char *text = xasprintf("%s=%s", env->vars[i].name, env->vars[i].value);

		strings_add(&list, str_of(text));
		free(text);
	}
	write_list(w, name, &list);
	strings_fini(&list);
}

/* What is zero or empty says nothing. */
static void
write_member(struct json_writer *w, const struct member *member, const void *at)
{
	switch (member->kind) {
	case MEMBER_TEXT:
		if (*(char *const *)at != NULL)
			json_member_string(w, member->name, *(char *const *)at);
		break;
	case MEMBER_LIST:
		write_list(w, member->name, at);
		break;
	case MEMBER_ENV:
		write_env(w, member->name, at);
		break;
	case MEMBER_NUMBER:
		if (*(const unsigned *)at != 0)
			json_member_int(w, member->name, *(const unsigned *)at);
		break;
	case MEMBER_SIZE:
		if (*(const uint64_t *)at != 0)
			json_member_int(w, member->name, (int64_t) * (const uint64_t *)at);
		break;
	case MEMBER_FLAG:
		if (*(const bool *)at)
			json_member_bool(w, member->name, true);
		break;
	}
}

void
application_write(struct json_writer *w, const struct application *application)
{
	json_write_array_open(w);
	for (size_t i = 0; i < application->service_count; i++) {
		const struct application_service *service = &application->services[i];

		json_write_object_open(w);
		for (size_t k = 0; k < MEMBER_COUNT; k++)
			write_member(w, &members[k], member_of(service, &members[k]));
		json_member_string(w, "publish", publish_names[service->publish]);
		json_member_bool(w, "stop_first", service->order == APPLICATION_STOP_FIRST);
		json_write_object_close(w);
	}
	json_write_array_close(w);
}

static void
read_env(const struct json_value *value, struct env *env)
{
	for (size_t i = 0; i < json_count(value); i++) {
		struct str text = str_of(json_string(json_at(value, i), "")), name = str_cut(&text, '=');
		char *copy = str_dup(name);

		env_add(env, copy, text.p != NULL ? text.p : "");
		free(copy);
	}
}

static void
read_member(const struct json_value *value, const struct member *member, void *at)
{
	int64_t n = json_int(value, 0);

	switch (member->kind) {
	case MEMBER_TEXT:
		if (json_type(value) == JSON_STRING)
			*(char **)at = xstrdup(json_string(value, ""));
		break;
	case MEMBER_LIST:
		for (size_t i = 0; i < json_count(value); i++)
			strings_add(at, str_of(json_string(json_at(value, i), "")));
		break;
	case MEMBER_ENV:
		read_env(value, at);
		break;
	case MEMBER_NUMBER:
		*(unsigned *)at = n > 0 && n <= INT32_MAX ? (unsigned)n : 0;
		break;
	case MEMBER_SIZE:
		*(uint64_t *)at = n > 0 ? (uint64_t)n : 0;
		break;
	case MEMBER_FLAG:
		*(bool *)at = json_bool(value, false);
		break;
	}
}

static enum application_publish
read_publish(const struct json_value *value)
{
	enum application_publish publish = APPLICATION_PUBLISH_HOST;

	while (publish != APPLICATION_PUBLISH_ANYWHERE && strcmp(json_string(value, ""), publish_names[publish]) != 0)
		publish--;
	return publish;
}

static bool
read_service(const struct json_value *item, struct application_service *service, struct err *err)
{
	for (size_t k = 0; k < MEMBER_COUNT; k++)
		read_member(json_get(item, members[k].name), &members[k], (char *)service + members[k].offset);
	service->publish = read_publish(json_get(item, "publish"));
	if (json_bool(json_get(item, "stop_first"), false))
		service->order = APPLICATION_STOP_FIRST;
	return (service->name != NULL && application_name_is_valid(service->name) && service->image != NULL &&
		   service->replicas > 0 && service->replicas <= APPLICATION_REPLICAS_MAX) ||
	       err_set(err, ERR_PROTO, 0, "the description of the application is damaged");
}

bool
application_read(const struct json_value *value, struct application **ret, struct err *err)
{
	size_t count = json_type(value) == JSON_ARRAY ? json_count(value) : 0;
	struct application *a;

	if (count == 0 || count > APPLICATION_SERVICES_MAX)
		return err_set(err, ERR_PROTO, 0, "the description of the application is damaged");
	a = xcalloc(1, sizeof(*a));
	a->services = xcalloc(count, sizeof(*a->services));
	for (size_t i = 0; i < count; i++) {
		a->service_count++;
		if (!read_service(json_at(value, i), &a->services[i], err)) {
			application_free(&a);
			return false;
		}
	}
	*ret = a;
	return true;
}

/* --- ports --- */

bool
application_name_is_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= APPLICATION_NAME_MAX && name[len] == '\0' && name[0] != '-' && name[len - 1] != '-';
}

static bool
read_port(struct str text, unsigned *ret)
{
	uint64_t n;

	if (!str_to_u64(text, 65535, &n) || n == 0)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* "8080", "8080-8081", or nothing before the colon. */
static bool
read_range(struct str text, struct application_port *port)
{
	struct str first;

	if (text.len == 0)
		return true;
	first = str_cut(&text, '-');
	if (!read_port(first, &port->first))
		return false;
	port->last = port->first;
	return text.len == 0 || (read_port(text, &port->last) && port->last >= port->first);
}

static bool
read_protocol(struct str *text, struct application_port *port)
{
	const char *slash = memchr(text->p, '/', text->len);
	struct str protocol = STR("tcp");

	if (slash != NULL) {
		protocol = (struct str){ slash + 1, text->len - (size_t)(slash + 1 - text->p) };
		text->len = (size_t)(slash - text->p);
	}
	if (!str_is(protocol, "tcp") && !str_is(protocol, "udp"))
		return false;
	memcpy(port->protocol, protocol.p, 3);
	return true;
}

/* Behind the last colon stands the container's port, before the one before it an address (which may have colons). */
static bool
read_parts(struct str text, struct application_port *port)
{
	const char *colon = memrchr(text.p, ':', text.len), *at;
	struct str inner, outer = { text.p, 0 }, address = { text.p, 0 };

	inner = colon != NULL ? (struct str){ colon + 1, text.len - (size_t)(colon + 1 - text.p) } : text;
	if (colon != NULL)
		outer.len = (size_t)(colon - text.p);
	at = memrchr(outer.p, ':', outer.len);
	if (at != NULL) {
		address.len = (size_t)(at - text.p);
		outer = (struct str){ at + 1, outer.len - (size_t)(at + 1 - text.p) };
	}
	if (address.len > 1 && address.p[0] == '[' && address.p[address.len - 1] == ']')
		address = (struct str){ address.p + 1, address.len - 2 };
	if (address.len >= sizeof(port->address) || strspn(address.p, "0123456789abcdefABCDEF.:") < address.len)
		return false;
	memcpy(port->address, address.p, address.len);
	return read_range(outer, port) && read_port(inner, &port->port);
}

bool
application_port(const char *text, struct application_port *ret, struct err *err)
{
	struct application_port port = { 0 };
	struct str rest = str_of(text);

	if (!read_protocol(&rest, &port) || !read_parts(rest, &port))
		return err_set(err, ERR_INPUT, 0,
		    "\"%.60s\" is no port; write 80, \"8080:80\", \"127.0.0.1:8080:80/tcp\", or \"8080-8081:80\" for "
		    "two replicas",
		    text);
	*ret = port;
	return true;
}

char *
application_port_text(const struct application_port *port)
{
	char range[16] = "";

	if (port->first != 0 && port->last != port->first)
		snprintf(range, sizeof(range), "%u-%u", port->first, port->last);
	else if (port->first != 0)
		snprintf(range, sizeof(range), "%u", port->first);
	return xasprintf(
	    "%s%s%s:%u/%s", port->address, port->address[0] != '\0' ? ":" : "", range, port->port, port->protocol);
}

bool
application_has_fixed_ports(const struct application_service *service)
{
	struct application_port port;
	struct err ignored;

	if (service->publish == APPLICATION_PUBLISH_INGRESS)
		return false;
	for (size_t i = 0; i < service->ports.count; i++)
		if (application_port(service->ports.items[i], &port, &ignored) && port.first != 0)
			return true;
	return false;
}
