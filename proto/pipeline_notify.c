/* notify: {email: {recipients, on_success, on_failure}}, or the recipients alone. */
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/pipeline_private.h"

#define RECIPIENT_MAX 50

static bool
is_mail_address(const char *s)
{
	const char *at = strchr(s, '@');

	if (at == NULL || at == s || at[1] == '\0' || strchr(at + 1, '@') != NULL || strlen(s) > 254)
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || strchr("<>()[],;:\\\"", *s) != NULL)
			return false;
	return true;
}

static bool
add_recipient(struct pipeline *p, const struct yml_node *node, struct notify_spec *notify)
{

	if (yml_type(node) == YML_NULL)
		return true;
	if (!is_mail_address(yml_text(node)))
		return pipeline_wants(p, node, "recipients", "an address such as dev@example.org");
	if (notify->recipient_count == RECIPIENT_MAX)
		return yml_err(p->doc, node, p->err, "more than %d recipients", RECIPIENT_MAX);
	*(char **)pipeline_append(&notify->recipients, &notify->recipient_count, sizeof(char *)) =
	    xstrdup(yml_text(node));
	return true;
}

static bool
read_recipients(struct pipeline *p, const char *name, const struct yml_node *node, void *at)
{
	(void)name;
	if (yml_type(node) != YML_SEQUENCE)
		return add_recipient(p, node, at);
	for (size_t i = 0; i < yml_count(node); i++)
		if (!add_recipient(p, yml_at(node, i), at))
			return false;
	return true;
}

/* on and off, as of old, or a word. */
static bool
read_when(struct pipeline *p, const char *key, const struct yml_node *node, void *at)
{
	static const char *const words[] = {
		[NOTIFY_NEVER] = "never",
		[NOTIFY_ALWAYS] = "always",
		[NOTIFY_CHANGE] = "change",
	};
	enum notify_when *ret = at;
	bool on;

	if (yml_to_bool(node, &on)) {
		*ret = on ? NOTIFY_ALWAYS : NOTIFY_NEVER;
		return true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(yml_text(node), words[i]) == 0) {
			*ret = (enum notify_when)i;
			return true;
		}
	}
	return pipeline_wants(p, node, key, "always, never or change");
}

static const struct pipeline_field email_fields[] = {
	{ "recipients", read_recipients, 0 },
	{ "on_success", read_when, offsetof(struct notify_spec, on_success) },
	{ "on_failure", read_when, offsetof(struct notify_spec, on_failure) },
};

static bool
read_email(struct pipeline *p, const char *name, const struct yml_node *email, void *at)
{
	if (yml_type(email) != YML_MAPPING)
		return read_recipients(p, name, email, at);
	return PIPELINE_READ_FIELDS(p, email, "email", email_fields, at);
}

static const struct pipeline_field notify_fields[] = {
	{ "email", read_email, 0 },
};

bool
pipeline_read_notify(struct pipeline *p, const struct yml_node *notify)
{
	if (yml_type(notify) != YML_MAPPING && yml_type(notify) != YML_NULL)
		return pipeline_wants(p, notify, "notify", "a mapping with email:");
	return PIPELINE_READ_FIELDS(p, notify, "notify", notify_fields, &p->plan->notify);
}
