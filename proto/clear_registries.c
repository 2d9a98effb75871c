#include "proto/clear_registries.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/docker_reply_private.h"
#include "proto/json.h"
#include "proto/url.h"

/* One that has a blank within is none. */
static void
add(struct clear_registries *registries, const char *name)
{
	size_t used = strlen(registries->list);

	if (name[0] != '\0' && strchr(name, ' ') == NULL && used + strlen(name) + 2 <= sizeof(registries->list))
		snprintf(registries->list + used, sizeof(registries->list) - used, "%s ", name);
}

bool
clear_registries_read(struct str info, struct clear_registries *ret, struct err *err)
{
	const struct json_value *names, *networks;
	struct json *doc;

	if (!docker_reply_parse(info, "description of itself", JSON_OBJECT, &doc, err))
		return false;
	ret->list[0] = '\0';
	names = json_path(json_root(doc), "RegistryConfig.IndexConfigs");
	networks = json_path(json_root(doc), "RegistryConfig.InsecureRegistryCIDRs");
	for (size_t i = 0; json_type(names) == JSON_OBJECT && i < json_count(names); i++)
		if (!json_bool(json_get(json_at(names, i), "Secure"), true))
			add(ret, json_key_at(names, i));
	for (size_t i = 0; json_type(networks) == JSON_ARRAY && i < json_count(networks); i++)
		add(ret, json_string(json_at(networks, i), ""));
	json_free(&doc);
	return true;
}

static bool
read_address(struct str text, uint32_t *ret)
{
	*ret = 0;
	for (int i = 0; i < 4; i++) {
		uint64_t part;

		if (!str_to_u64(str_cut(&text, '.'), 255, &part))
			return false;
		*ret = *ret << 8 | (uint32_t)part;
	}
	return text.len == 0;
}

/* "10.0.0.0/8" */
static bool
is_in_network(struct str network, uint32_t address)
{
	struct str bits = network, base = str_cut(&bits, '/');
	uint32_t first;
	uint64_t n;

	if (!read_address(base, &first) || !str_to_u64(bits, 32, &n))
		return false;
	return n == 0 || (first ^ address) >> (32 - n) == 0;
}

static bool
is_here(struct str host)
{
	uint32_t address;

	return str_is(host, "localhost") || str_is(host, "::1") ||
	       (read_address(host, &address) && address >> 24 == 127);
}

bool
clear_registries_have(const struct clear_registries *registries, const char *registry)
{
	struct str rest = str_of(registries->list), host;
	uint32_t address;
	unsigned port;

	if (!url_split_host(str_of(registry), &host, &port))
		return false;
	while (rest.len > 0) {
		struct str one = str_cut(&rest, ' ');

		if (str_is(one, registry) || (read_address(host, &address) && is_in_network(one, address)))
			return true;
	}
	return is_here(host);
}
