#include "proto/hook.h"

#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/hook_forge.h"
#include "proto/mem.h"
#include "proto/url.h"

/* The first row that is seen decides: the later ones' headers are sent by the earlier ones too.
 * GitLab's X-Gitlab-Event-UUID is no delivery id: events that one webhook causes by another share it. */
/* clang-format off */
static const struct hook_forge forges[] = {
	{ .name = "forgejo", .seen_by = "X-Forgejo-Event", .event_header = "X-Forgejo-Event",
	  .delivery_header = "X-Forgejo-Delivery", .signature_header = "X-Forgejo-Signature", .signature_prefix = "",
	  .signs_field = true, .verify = hook_verify_hmac, .decode = hook_decode_github },
	{ .name = "gitea", .seen_by = "X-Gitea-Event", .event_header = "X-Gitea-Event",
	  .delivery_header = "X-Gitea-Delivery", .signature_header = "X-Gitea-Signature", .signature_prefix = "",
	  .signs_field = true, .verify = hook_verify_hmac, .decode = hook_decode_github },
	{ .name = "gogs", .seen_by = "X-Gogs-Event", .event_header = "X-Gogs-Event",
	  .delivery_header = "X-Gogs-Delivery", .signature_header = "X-Gogs-Signature", .signature_prefix = "",
	  .signs_field = true, .verify = hook_verify_hmac, .decode = hook_decode_github },
	{ .name = "github", .seen_by = "X-GitHub-Event", .event_header = "X-GitHub-Event",
	  .delivery_header = "X-GitHub-Delivery", .signature_header = "X-Hub-Signature-256", .signature_prefix = "sha256=",
	  .verify = hook_verify_hmac, .decode = hook_decode_github },
	{ .name = "gitlab", .seen_by = "X-Gitlab-Event", .event_header = "X-Gitlab-Event",
	  .delivery_header = "Idempotency-Key", .signature_header = "X-Gitlab-Token", .signature_prefix = "",
	  .verify = hook_verify_token, .decode = hook_decode_gitlab },
	{ .name = "generic", .seen_by = "X-Davit-Signature", .event_header = NULL,
	  .delivery_header = "X-Davit-Delivery", .signature_header = "X-Davit-Signature", .signature_prefix = "sha256=",
	  .verify = hook_verify_hmac, .decode = hook_decode_generic },
	{ .name = "generic", .seen_by = "webhook-signature", .event_header = NULL,
	  .delivery_header = "webhook-id", .signature_header = "webhook-signature", .signature_prefix = "",
	  .verify = hook_verify_standard, .decode = hook_decode_generic },
};
/* clang-format on */

/* --- headers that outlive their request --- */

#define FORGE_COUNT (sizeof(forges) / sizeof(forges[0]))
#define KEPT_MAX (4 * FORGE_COUNT + 8)

struct hook_kept {
	size_t count;
	struct {
		const char *name; /* of a table */
		char *value;
		size_t len;
		unsigned count;
	} items[KEPT_MAX];
};

static void
keep(struct hook_kept *kept, const struct hook_headers *headers, const char *name)
{
	struct str value;
	unsigned count;

	if (name == NULL)
		return;
	for (size_t i = 0; i < kept->count; i++)
		if (strcmp(kept->items[i].name, name) == 0)
			return;
	value = headers->get(headers->arg, name, &count);
	kept->items[kept->count].name = name;
	kept->items[kept->count].value = str_dup(value);
	kept->items[kept->count].len = value.len;
	kept->items[kept->count++].count = count;
}

struct hook_kept *
hook_headers_keep(const struct hook_headers *headers)
{
	static const char *const others[] = { "Content-Type", "Content-Encoding", "webhook-id", "webhook-timestamp",
		"webhook-signature" };
	struct hook_kept *kept = xcalloc(1, sizeof(*kept));

	for (size_t i = 0; i < FORGE_COUNT; i++) {
		keep(kept, headers, forges[i].seen_by);
		keep(kept, headers, forges[i].event_header);
		keep(kept, headers, forges[i].delivery_header);
		keep(kept, headers, forges[i].signature_header);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		keep(kept, headers, others[i]);
	return kept;
}

struct str
hook_kept_header(void *arg, const char *name, unsigned *count)
{
	const struct hook_kept *kept = arg;

	for (size_t i = 0; i < kept->count; i++)
		if (strcmp(kept->items[i].name, name) == 0) {
			*count = kept->items[i].count;
			return (struct str){ kept->items[i].value, kept->items[i].len };
		}
	*count = 0;
	return STR("");
}

void
hook_kept_free(struct hook_kept **kept)
{
	struct hook_kept *k = *kept;

	if (k == NULL)
		return;
	*kept = NULL;
	for (size_t i = 0; i < k->count; i++) {
		if (k->items[i].value != NULL)
			explicit_bzero(k->items[i].value, k->items[i].len); /* GitLab's is the secret itself */
		free(k->items[i].value);
	}
	free(k);
}

/* --- detect, verify, decode --- */

const struct hook_forge *
hook_detect(const struct hook_headers *headers)
{
	for (size_t i = 0; i < sizeof(forges) / sizeof(forges[0]); i++) {
		unsigned count;

		headers->get(headers->arg, forges[i].seen_by, &count);
		if (count > 0)
			return &forges[i];
	}
	return NULL;
}

const char *
hook_forge_name(const struct hook_forge *forge)
{
	return forge->name;
}

struct str
hook_delivery(const struct hook_forge *forge, const struct hook_headers *headers)
{
	unsigned count;
	struct str id = headers->get(headers->arg, forge->delivery_header, &count);

	return count == 1 ? id : STR("");
}

/* The media type without its parameters: "application/json; charset=utf-8" is application/json. */
static struct str
content_type(const struct hook_headers *headers)
{
	unsigned count;
	struct str value = headers->get(headers->arg, "Content-Type", &count);

	return count == 1 ? str_trim(str_cut(&value, ';')) : STR("");
}

static bool
is_form(const struct hook_headers *headers)
{
	return str_is_nocase(content_type(headers), "application/x-www-form-urlencoded");
}

/* The payload field of a form, decoded into field. */
static bool
read_form(struct str body, struct buf *field, struct err *err)
{
	if (!url_query_get(body, "payload", field))
		return err_set(err, ERR_INPUT, 0, "the form has no well-formed field \"payload\"");
	return true;
}

bool
hook_verify(const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err)
{
	struct hook_request signed_request = *request;
	struct buf field;
	bool ok;

	if (secret.len == 0)
		return err_set(
		    err, ERR_AUTH, 0, "the repository has no webhook secret: set one there and at the forge");
	if (!forge->signs_field || !is_form(&request->headers))
		return forge->verify(forge, request, secret, err);
	buf_init(&field, HOOK_BODY_MAX);
	ok = read_form(request->body, &field, NULL);
	signed_request.body = buf_str(&field);
	if (ok)
		ok = forge->verify(forge, &signed_request, secret, err);
	else
		err_set(err, ERR_AUTH, 0, "the form has no field \"payload\" that a signature could be for");
	buf_fini(&field);
	return ok;
}

static bool
check_content(const struct hook_headers *headers, struct err *err)
{
	struct str type = content_type(headers);
	unsigned count;
	struct str encoding = headers->get(headers->arg, "Content-Encoding", &count);

	if (count > 0 && !str_is_nocase(encoding, "identity"))
		return err_set(err, ERR_REFUSED, 415, "the body has a Content-Encoding: send it as it is");
	if (!str_is_nocase(type, "application/json") && !is_form(headers))
		return err_set(err, ERR_REFUSED, 415, "Content-Type must be application/json");
	return true;
}

static bool
decode_json(const struct hook_forge *forge, const struct hook_request *request, struct str text,
    struct hook_result *ret, struct err *err)
{
	const struct json_limits limits = { .bytes = HOOK_BODY_MAX, .depth = 32, .values = 1000 * 1000 };
	const struct hook_headers *headers = &request->headers;
	struct str event = STR("");
	struct json *doc;
	unsigned count;
	bool ok = true;

	if (forge->event_header != NULL)
		event = headers->get(headers->arg, forge->event_header, &count);
	if (!json_parse(text, &limits, &doc, err))
		return false;
	if (json_type(json_root(doc)) != JSON_OBJECT)
		ok = err_set(err, ERR_INPUT, 0, "the payload is not a JSON object");
	ok = ok && forge->decode(event, json_root(doc), ret, err);
	sha256_hex(text, ret->digest);
	json_free(&doc);
	return ok;
}

/* A tag is pushed for what is built of it: the commit was skipped when its branch was pushed. Not every forge sends the
 * message with a pull request; its title is a place that people see. */
static bool
asks_for_no_build(const struct change *change)
{
	if (change->event == CHANGE_TAG)
		return false;
	return hook_message_skips(change->message) ||
	       (change->event == CHANGE_PULL_REQUEST && hook_message_skips(change->title));
}

void
hook_skip(struct hook_result *ret)
{
	if (ret->outcome == HOOK_CHANGE && asks_for_no_build(&ret->change))
		hook_ignore(ret, "the %s asks for no build",
		    hook_message_skips(ret->change.message) ? "commit's message" : "pull request's title");
}

bool
hook_decode(
    const struct hook_forge *forge, const struct hook_request *request, struct hook_result *ret, struct err *err)
{
	struct buf field;
	bool ok;

	*ret = (struct hook_result){ .outcome = HOOK_IGNORED };
	if (!check_content(&request->headers, err))
		return false;
	if (is_form(&request->headers)) {
		buf_init(&field, HOOK_BODY_MAX);
		ok = read_form(request->body, &field, err) && decode_json(forge, request, buf_str(&field), ret, err);
		buf_fini(&field);
	} else {
		ok = decode_json(forge, request, request->body, ret, err);
	}
	if (ok)
		hook_skip(ret);
	else
		hook_result_fini(ret);
	return ok;
}

void
hook_result_fini(struct hook_result *result)
{
	change_fini(&result->change);
}

bool
hook_tells_head(const struct hook_result *result)
{
	struct str ref = str_of(result->change.ref);

	return result->change.event != CHANGE_PULL_REQUEST && result->outcome != HOOK_CLOSED &&
	       (str_has_prefix(ref, "refs/heads/") || str_has_prefix(ref, "refs/tags/"));
}
