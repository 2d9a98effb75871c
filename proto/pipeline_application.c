/* application: of a job that deploys: one service, or several in the words of compose files, of which those are taken
 * that mean something here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/application.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"

enum {
	LONGEST_S = 24 * 3600, /* of a gate, and of all else that is waited for */
	RETRIES_MAX = 1000,
};

/* A service that is being read, with what only its place in the application needs. */
struct draft_service {
	struct application_service service;
	struct strings after; /* depends_on */
	bool has_order, has_drain;
	const struct yml_node *at;
	bool is_placed;
};

static bool
read_number(
    struct pipeline *p, const char *name, const struct yml_node *value, unsigned least, unsigned most, unsigned *ret)
{
	uint64_t n;

	if (!yml_to_u64(value, most, &n) || n < least)
		return yml_err(p->doc, value, p->err, "%s wants a number from %u to %u", name, least, most);
	*ret = (unsigned)n;
	return true;
}

static bool
read_duration(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	unsigned *ret = at;

	return pipeline_duration(value, LONGEST_S, ret) || pipeline_wants(p, value, name, "a duration from 1s to 1d");
}

static bool
read_env(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	(void)name;
	return pipeline_read_env(p, value, PIPELINE_ENV_JOB, at);
}

/* A list of words, or a text of words without anything that only a shell understands. */
static bool
read_words(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	const char *text;
	struct str rest;

	if (yml_type(value) != YML_SCALAR)
		return pipeline_read_texts(p, name, value, at);
	if (!pipeline_text(p, value, TEXT_LITERAL, &text) || !pipeline_count(p, value, strlen(text)))
		return false;
	if (strpbrk(text, "\"'\\$`|&;<>()*?\n") != NULL)
		return yml_err(p->doc, value, p->err,
		    "%s: no shell reads it here; write a list of words, as in [sh, -c, \"...\"]", name);
	for (rest = str_of(text); rest.len > 0;) {
		struct str word = str_cut(&rest, ' ');

		if (word.len > 0)
			strings_add(at, word);
	}
	return true;
}

static bool
read_replicas(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return read_number(p, name, value, 1, APPLICATION_REPLICAS_MAX, at);
}

static bool
read_drain(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct draft_service *draft = at;

	draft->has_drain = true;
	if (strcmp(yml_text(value), "0s") == 0)
		return true;
	return read_duration(p, name, value, &draft->service.drain_s);
}

static bool
read_word_of(struct pipeline *p, const char *name, const struct yml_node *value, const char *const *words, char **ret)
{
	struct nearest near = nearest_to(yml_text(value));
	char hint[100];

	for (size_t i = 0; words[i] != NULL; i++) {
		nearest_offer(&near, words[i]);
		if (strcmp(yml_text(value), words[i]) != 0)
			continue;
		free(*ret);
		*ret = xstrdup(words[i]);
		return true;
	}
	return yml_err(
	    p->doc, value, p->err, "%s: \"%.40s\" is none%s", name, yml_text(value), nearest_hint(&near, hint));
}

static bool
read_order(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	static const char *const words[] = { "start-first", "stop-first", NULL };
	struct draft_service *draft = at;
	char *word = NULL;

	if (!read_word_of(p, name, value, words, &word))
		return false;
	draft->has_order = true;
	draft->service.order = strcmp(word, words[0]) == 0 ? APPLICATION_START_FIRST : APPLICATION_STOP_FIRST;
	free(word);
	return true;
}

static bool
read_restart(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	static const char *const words[] = { "no", "always", "unless-stopped", "on-failure", NULL };

	return read_word_of(p, name, value, words, at);
}

static bool
read_pull(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	static const char *const words[] = { "always", "missing", "never", NULL };

	return read_word_of(p, name, value, words, at);
}

/* --- ports, volumes, networks --- */

/* A port in compose's long form. */
struct long_port {
	unsigned target, published;
	char *protocol, *mode;
};

static bool
read_port_number(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return read_number(p, name, value, 1, 65535, at);
}

static bool
read_protocol(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	static const char *const words[] = { "tcp", "udp", NULL };

	return read_word_of(p, name, value, words, at);
}

static bool
read_mode(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	static const char *const words[] = { "ingress", "host", NULL };

	return read_word_of(p, name, value, words, at);
}

static const struct pipeline_field port_fields[] = {
	{ "target", read_port_number, offsetof(struct long_port, target) },
	{ "published", read_port_number, offsetof(struct long_port, published) },
	{ "protocol", read_protocol, offsetof(struct long_port, protocol) },
	{ "mode", read_mode, offsetof(struct long_port, mode) },
};

/* Its text in the short form, and where it is published; false: what is missing was said. */
static bool
read_long_port(struct pipeline *p, const struct yml_node *value, char **text, enum application_publish *publish)
{
	struct long_port port = { 0 };
	char range[16] = "";
	bool ok = PIPELINE_READ_FIELDS(p, value, "a port", port_fields, &port) &&
		  (port.target != 0 ||
		      yml_err(p->doc, value, p->err, "ports: there is no target:, the port of the container"));

	if (port.published != 0)
		snprintf(range, sizeof(range), "%u:", port.published);
	*text = xasprintf("%s%u/%s", range, port.target, port.protocol != NULL ? port.protocol : "tcp");
	if (port.mode != NULL)
		*publish = strcmp(port.mode, "host") == 0 ? APPLICATION_PUBLISH_HOST : APPLICATION_PUBLISH_INGRESS;
	free(port.protocol);
	free(port.mode);
	return ok;
}

static bool
keep_port(struct pipeline *p, const struct yml_node *value, const char *text, struct strings *ports)
{
	struct application_port port;
	struct err wrong;
	char *printed;

	if (!application_port(text, &port, &wrong))
		return yml_err(p->doc, value, p->err, "ports: %s", wrong.text);
	if (ports->count == PIPELINE_LIST_MAX)
		return yml_err(p->doc, value, p->err, "ports has more than %d items", PIPELINE_LIST_MAX);
	printed = application_port_text(&port);
	strings_add(ports, str_of(printed));
	free(printed);
	return true;
}

static bool
add_port(struct pipeline *p, const struct yml_node *value, struct application_service *service)
{
	enum application_publish publish = APPLICATION_PUBLISH_ANYWHERE;
	const char *written;
	char *text = NULL;
	bool ok;

	if (yml_type(value) == YML_MAPPING)
		ok = read_long_port(p, value, &text, &publish);
	else if (yml_type(value) != YML_SCALAR)
		return pipeline_wants(p, value, "ports", "texts such as \"8080:80\"");
	else if ((ok = pipeline_text(p, value, TEXT_VALUE, &written)))
		text = xstrdup(written);
	ok = ok && keep_port(p, value, text, &service->ports);
	free(text);
	if (ok && service->ports.count > 1 && publish != service->publish)
		return yml_err(p->doc, value, p->err, "ports: all ports of a service have the same mode");
	service->publish = publish;
	return ok;
}

static bool
read_ports(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct draft_service *draft = at;

	if (yml_type(value) != YML_SEQUENCE)
		return pipeline_wants(p, value, name, "a list such as [\"8080:80\"]");
	for (size_t i = 0; i < yml_count(value); i++)
		if (!add_port(p, yml_at(value, i), &draft->service))
			return false;
	return true;
}

/* NAME:/path or NAME:/path:ro: nothing of the machine's own files. */
static bool
check_volume(struct pipeline *p, const struct yml_node *at, const char *text)
{
	struct str rest = str_of(text), name = str_cut(&rest, ':'), path = str_cut(&rest, ':');
	char *copy = str_dup(name);
	bool is_name = application_name_is_valid(copy);

	free(copy);
	if (name.len > 0 && strchr("/.~", name.p[0]) != NULL)
		return yml_err(p->doc, at, p->err,
		    "volumes: \"%.60s\" is a folder of the machine, which no application sees; write NAME:/path", text);
	if (!is_name || path.len < 2 || path.p[0] != '/' || memmem(path.p, path.len, "..", 2) != NULL ||
	    (rest.len > 0 && !str_is(rest, "ro") && !str_is(rest, "rw")))
		return yml_err(p->doc, at, p->err,
		    "volumes: \"%.60s\" is none; write NAME:/path or NAME:/path:ro, the name of a-z, 0-9 and -", text);
	return true;
}

static bool
read_volumes(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct strings *volumes = at;

	if (!pipeline_read_texts(p, name, value, volumes))
		return false;
	for (size_t i = 0; i < volumes->count; i++)
		if (!check_volume(p, value, volumes->items[i]))
			return false;
	return true;
}

static bool
check_name(struct pipeline *p, const struct yml_node *at, const char *what, const char *name)
{
	return application_name_is_valid(name) ||
	       yml_err(p->doc, at, p->err, "%s: \"%.60s\" is no name; use a-z, 0-9 and - within, at most %d", what,
		   name, APPLICATION_NAME_MAX);
}

static bool
read_networks(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct strings *networks = at;

	if (!pipeline_read_texts(p, name, value, networks))
		return false;
	for (size_t i = 0; i < networks->count; i++)
		if (!check_name(p, value, name, networks->items[i]))
			return false;
	return true;
}

/* A list, or compose's mapping of names to conditions. */
static bool
read_after(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	if (yml_type(value) != YML_MAPPING)
		return pipeline_read_texts(p, name, value, at);
	for (size_t i = 0; i < yml_count(value); i++)
		strings_add(at, str_of(yml_text(yml_key_at(value, i))));
	return true;
}

/* --- health and gate --- */

/* A text is for a shell, as compose has it. */
static bool
read_test(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct strings *test = at;
	const char *text, *kind;

	if (yml_type(value) == YML_SCALAR) {
		if (!pipeline_text(p, value, TEXT_LITERAL, &text) || !pipeline_count(p, value, strlen(text)))
			return false;
		strings_add(test, STR("CMD-SHELL"));
		strings_add(test, str_of(text));
		return true;
	}
	if (!pipeline_read_texts(p, name, value, test))
		return false;
	kind = test->count > 0 ? test->items[0] : "";
	return (test->count > 1 && (strcmp(kind, "CMD") == 0 || strcmp(kind, "CMD-SHELL") == 0)) ||
	       (test->count == 1 && strcmp(kind, "NONE") == 0) ||
	       pipeline_wants(p, value, name, "a command as a text, or a list that begins with CMD, CMD-SHELL or NONE");
}

static bool
read_retries(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return read_number(p, name, value, 1, RETRIES_MAX, at);
}

static bool
read_disable(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct strings *test = at;
	bool off;

	if (!pipeline_read_bool(p, name, value, &off))
		return false;
	if (off)
		strings_add(test, STR("NONE"));
	return true;
}

#define SERVICE(member) offsetof(struct draft_service, service.member)

static const struct pipeline_field health_fields[] = {
	{ "test", read_test, SERVICE(health) },
	{ "interval", read_duration, SERVICE(health_interval_s) },
	{ "timeout", read_duration, SERVICE(health_timeout_s) },
	{ "start_period", read_duration, SERVICE(health_start_s) },
	{ "retries", read_retries, SERVICE(health_retries) },
	{ "disable", read_disable, SERVICE(health) },
};

static bool
read_health(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	if (yml_type(value) != YML_MAPPING)
		return pipeline_wants(p, value, name, "a mapping with test: and interval:");
	return PIPELINE_READ_FIELDS(p, value, name, health_fields, at);
}

static bool
read_tcp(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct draft_service *draft = at;

	return read_number(p, name, value, 1, 65535, &draft->service.probe_port);
}

/* PORT/PATH: "8080/health". */
static bool
read_http(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct application_service *service = &((struct draft_service *)at)->service;
	struct str rest, port;
	const char *text;
	uint64_t n;

	if (!pipeline_text(p, value, TEXT_VALUE, &text) || !pipeline_count(p, value, strlen(text)))
		return false;
	rest = str_of(text);
	port = str_cut(&rest, '/');
	if (!str_to_u64(port, 65535, &n) || n == 0 ||
	    strspn(rest.p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%/?") !=
		rest.len)
		return pipeline_wants(p, value, name, "PORT/PATH, as in 8080/health");
	service->probe_port = (unsigned)n;
	free(service->probe_path);
	service->probe_path = xasprintf("/%.*s", (int)rest.len, rest.p);
	return true;
}

static const struct pipeline_field gate_fields[] = {
	{ "http", read_http, 0 },
	{ "tcp", read_tcp, 0 },
	{ "stable", read_duration, SERVICE(stable_s) },
	{ "timeout", read_duration, SERVICE(gate_s) },
};

static bool
read_gate(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	if (yml_type(value) != YML_MAPPING)
		return pipeline_wants(p, value, name, "a mapping with http: or tcp:, stable: and timeout:");
	return PIPELINE_READ_FIELDS(p, value, name, gate_fields, at);
}

/* --- compose's deploy:, and what it has no words for --- */

static const struct pipeline_field limit_fields[] = {
	{ "cpus", pipeline_read_cpus, SERVICE(nano_cpus) },
	{ "memory", pipeline_read_memory, SERVICE(memory) },
};

static bool
read_limits(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return PIPELINE_READ_FIELDS(p, value, name, limit_fields, at);
}

static const struct pipeline_field resource_fields[] = { { "limits", read_limits, 0 } };

static bool
read_resources(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return PIPELINE_READ_FIELDS(p, value, name, resource_fields, at);
}

static const struct pipeline_field update_fields[] = {
	{ "order", read_order, 0 },
	{ "monitor", read_duration, SERVICE(stable_s) },
};

static bool
read_update(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return PIPELINE_READ_FIELDS(p, value, name, update_fields, at);
}

static bool
read_endpoint_mode(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	static const char *const words[] = { "vip", "dnsrr", NULL };
	char *word = NULL;

	if (!read_word_of(p, name, value, words, &word))
		return false;
	*(bool *)at = strcmp(word, "dnsrr") == 0;
	free(word);
	return true;
}

static const struct pipeline_field compose_fields[] = {
	{ "endpoint_mode", read_endpoint_mode, SERVICE(dnsrr) },
	{ "replicas", read_replicas, SERVICE(replicas) },
	{ "resources", read_resources, 0 },
	{ "update_config", read_update, 0 },
};

static bool
read_deploy(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return PIPELINE_READ_FIELDS(p, value, name, compose_fields, at);
}

static const struct pipeline_field own_fields[] = {
	{ "gate", read_gate, 0 },
	{ "drain", read_drain, 0 },
	{ "order", read_order, 0 },
};

static bool
read_own(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return PIPELINE_READ_FIELDS(p, value, name, own_fields, at);
}

/* --- a service --- */

static const struct pipeline_field service_fields[] = {
	{ "image", pipeline_read_image_name, SERVICE(image) },
	{ "command", read_words, SERVICE(command) },
	{ "entrypoint", read_words, SERVICE(entrypoint) },
	{ "environment", read_env, SERVICE(env) },
	{ "env", read_env, SERVICE(env) },
	{ "ports", read_ports, 0 },
	{ "volumes", read_volumes, SERVICE(volumes) },
	{ "networks", read_networks, SERVICE(networks) },
	{ "labels", pipeline_read_pairs, SERVICE(labels) },
	{ "replicas", read_replicas, SERVICE(replicas) },
	{ "user", pipeline_read_text, SERVICE(user) },
	{ "working_dir", pipeline_read_text, SERVICE(workdir) },
	{ "hostname", pipeline_read_text, SERVICE(hostname) },
	{ "restart", read_restart, SERVICE(restart) },
	{ "stop_signal", pipeline_read_text, SERVICE(stop_signal) },
	{ "stop_grace_period", read_duration, SERVICE(grace_s) },
	{ "pull_policy", read_pull, SERVICE(pull) },
	{ "mem_limit", pipeline_read_memory, SERVICE(memory) },
	{ "cpus", pipeline_read_cpus, SERVICE(nano_cpus) },
	{ "init", pipeline_read_bool, SERVICE(init) },
	{ "read_only", pipeline_read_bool, SERVICE(read_only) },
	{ "tmpfs", pipeline_read_texts, SERVICE(tmpfs) },
	{ "healthcheck", read_health, 0 },
	{ "depends_on", read_after, offsetof(struct draft_service, after) },
	{ "deploy", read_deploy, 0 },
	{ "gate", read_gate, 0 },
	{ "drain", read_drain, 0 },
	{ "order", read_order, 0 },
	{ "x-davit", read_own, 0 },
};

/* A proxy that finds containers by these has to hear of the new one before the old one goes. */
static bool
is_behind_a_proxy(const struct application_service *service)
{
	for (size_t i = 0; i < service->labels.count; i++)
		if (strncmp(service->labels.items[i], "traefik.", 8) == 0)
			return true;
	for (size_t i = 0; i < service->env.count; i++)
		if (strcmp(service->env.vars[i].name, "VIRTUAL_HOST") == 0)
			return true;
	return false;
}

static bool
has_shared_volume(const struct application_service *service)
{
	for (size_t i = 0; i < service->volumes.count; i++) {
		size_t len = strlen(service->volumes.items[i]);

		if (len < 3 || strcmp(service->volumes.items[i] + len - 3, ":ro") != 0)
			return true;
	}
	return false;
}

static bool
check_ports(struct pipeline *p, const struct draft_service *draft)
{
	const struct application_service *service = &draft->service;
	struct application_port port;

	/* Those with a mode are a swarm's, where replicas are on nodes of their own, or share the port. */
	for (size_t i = 0; i < service->ports.count && service->publish == APPLICATION_PUBLISH_ANYWHERE; i++) {
		application_port(service->ports.items[i], &port, NULL);
		if (port.first != 0 && port.last - port.first + 1 < service->replicas)
			return yml_err(p->doc, draft->at, p->err,
			    "ports: each of the %u replicas needs a port of its own; write \"%u-%u:%u\", or in a "
			    "swarm {published: %u, target: %u, mode: ingress}",
			    service->replicas, port.first, port.first + service->replicas - 1, port.port, port.first,
			    port.port);
	}
	return true;
}

static bool
complete(struct pipeline *p, struct draft_service *draft, const char *image)
{
	struct application_service *service = &draft->service;
	bool is_exclusive = application_has_fixed_ports(service);

	if (service->image == NULL && image != NULL)
		service->image = xstrdup(image);
	if (service->image == NULL)
		return yml_err(p->doc, draft->at, p->err,
		    "the service %.40s has no image; write image: NAME, as in image: nginx:1.27", service->name);
	if (service->replicas == 0)
		service->replicas = 1;
	if (service->stable_s == 0)
		service->stable_s = APPLICATION_STABLE_S;
	if (service->gate_s == 0)
		service->gate_s = APPLICATION_GATE_S;
	if (service->grace_s == 0)
		service->grace_s = APPLICATION_GRACE_S;
	if (!draft->has_drain && is_behind_a_proxy(service))
		service->drain_s = APPLICATION_DRAIN_S;
	if (draft->has_order && service->order == APPLICATION_START_FIRST && is_exclusive)
		return yml_err(p->doc, draft->at, p->err,
		    "order: start-first cannot be where ports of the machine are taken: the old container has them");
	if (is_exclusive || (!draft->has_order && has_shared_volume(service)))
		service->order = APPLICATION_STOP_FIRST;
	return check_ports(p, draft);
}

static bool
read_service(struct pipeline *p, const char *name, const struct yml_node *key, const struct yml_node *value,
    const char *image, struct draft_service *draft)
{
	draft->at = key != NULL ? key : value;
	if (!check_name(p, draft->at, "services", name))
		return false;
	draft->service.name = xstrdup(name);
	if (yml_type(value) != YML_MAPPING)
		return pipeline_wants(p, value, name, "a mapping with image: and ports:");
	return PIPELINE_READ_FIELDS(p, value, "a service", service_fields, draft) && complete(p, draft, image);
}

/* --- the application --- */

struct draft_application {
	const char *image; /* of the service that is written first: what the history shows */
	struct draft_service *services;
	size_t count;
};

static void
draft_fini(struct draft_application *draft, struct application **ret)
{
	struct application *a = xcalloc(1, sizeof(*a));

	a->services = xcalloc(draft->count + 1, sizeof(*a->services));
	for (size_t i = 0; i < draft->count; i++) {
		a->services[a->service_count++] = draft->services[i].service;
		strings_fini(&draft->services[i].after);
	}
	free(draft->services);
	*ret = a;
}

static struct draft_service *
find(const struct draft_application *draft, const char *name)
{
	for (size_t i = 0; i < draft->count; i++)
		if (strcmp(draft->services[i].service.name, name) == 0)
			return &draft->services[i];
	return NULL;
}

/* Whether all that it depends on stands before it. */
static bool
may_follow(const struct draft_application *draft, const struct draft_service *service)
{
	for (size_t i = 0; i < service->after.count; i++)
		if (!find(draft, service->after.items[i])->is_placed)
			return false;
	return true;
}

static bool
check_after(struct pipeline *p, const struct draft_application *draft)
{
	for (size_t i = 0; i < draft->count; i++)
		for (size_t k = 0; k < draft->services[i].after.count; k++)
			if (find(draft, draft->services[i].after.items[k]) == NULL)
				return yml_err(p->doc, draft->services[i].at, p->err,
				    "depends_on: there is no service \"%.40s\"", draft->services[i].after.items[k]);
	return true;
}

/* The first of those that may follow is next: the file's order, but for depends_on. */
static bool
put_in_order(struct pipeline *p, struct draft_application *draft)
{
	struct draft_service *ordered = xcalloc(draft->count + 1, sizeof(*ordered));
	size_t placed = 0, i = 0;

	while (i < draft->count) {
		struct draft_service *service = &draft->services[i++];

		if (service->is_placed || !may_follow(draft, service))
			continue;
		service->is_placed = true;
		ordered[placed++] = *service;
		i = 0;
	}
	if (placed < draft->count) {
		for (i = 0; draft->services[i].is_placed; i++)
			;
		free(ordered);
		return yml_err(p->doc, draft->services[i].at, p->err,
		    "depends_on: the service %.40s depends on itself, by way of others",
		    draft->services[i].service.name);
	}
	free(draft->services);
	draft->services = ordered;
	return true;
}

static bool
read_services(struct pipeline *p, const struct yml_node *node, const char *image, struct draft_application *draft)
{
	if (yml_type(node) != YML_MAPPING || yml_count(node) == 0)
		return pipeline_wants(p, node, "services", "a mapping of names to services");
	if (yml_count(node) > APPLICATION_SERVICES_MAX)
		return yml_err(p->doc, node, p->err, "more than %d services", APPLICATION_SERVICES_MAX);
	draft->services = xcalloc(yml_count(node), sizeof(*draft->services));
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i);

		draft->count++;
		if (!read_service(p, yml_text(key), key, yml_at(node, i), image, &draft->services[i]))
			return false;
	}
	draft->image = draft->services[0].service.image;
	return check_after(p, draft) && put_in_order(p, draft);
}

/* volumes: and networks: of compose only say that there are such; those of the machine cannot be had. */
static bool
check_names(struct pipeline *p, const struct yml_node *node, const char *what)
{
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *value = yml_at(node, i);

		if (!check_name(p, yml_key_at(node, i), what, yml_text(yml_key_at(node, i))))
			return false;
		if (yml_type(value) != YML_NULL && yml_count(value) > 0)
			return yml_err(p->doc, value, p->err,
			    "%s: nothing can be said of %.40s; it is the application's own, of the engine's own kind",
			    what, yml_text(yml_key_at(node, i)));
	}
	return true;
}

static bool
read_compose(struct pipeline *p, const struct yml_node *node, const char *image, struct draft_application *draft)
{
	static const char *const known[] = { "services", "volumes", "networks", "version", "name" };

	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i);
		struct nearest near = nearest_to(yml_text(key));
		size_t k = 0;

		while (k < sizeof(known) / sizeof(known[0]) && strcmp(yml_text(key), known[k]) != 0)
			nearest_offer(&near, known[k++]);
		if (k == sizeof(known) / sizeof(known[0]))
			return pipeline_unknown(p, key, "an application", &near);
	}
	return check_names(p, yml_get(node, "volumes"), "volumes") &&
	       check_names(p, yml_get(node, "networks"), "networks") &&
	       read_services(p, yml_get(node, "services"), image, draft);
}

bool
pipeline_read_application(struct pipeline *p, const struct yml_node *node, struct deploy_spec *deploy)
{
	struct draft_application draft = { 0 };
	bool ok;

	if (pipeline_find_key(node, "services") != NULL) {
		ok = read_compose(p, node, deploy->image, &draft);
	} else {
		draft.services = xcalloc(1, sizeof(*draft.services));
		draft.count = 1;
		ok = read_service(p, "app", NULL, node, deploy->image, draft.services);
		draft.image = draft.services[0].service.image;
	}
	application_free(&deploy->application);
	draft_fini(&draft, &deploy->application);
	if (ok && deploy->image == NULL)
		deploy->image = xstrdup(draft.image);
	return ok;
}
