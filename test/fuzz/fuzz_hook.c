/* Any bytes as a webhook: the first line's bytes choose forge, event and content type, the second line is the
 * signature, the rest is the body. Signatures are never right; what decodes is sound. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/hook.h"
#include "proto/ref.h"

struct fuzz_headers {
	const char *seen_by;
	const char *event;
	const char *type;
	struct str signature;
};

static const char *const forges[] = { "X-Forgejo-Event", "X-Gitea-Event", "X-Gogs-Event", "X-GitHub-Event",
	"X-Gitlab-Event", "X-Davit-Signature", "webhook-signature" };
static const char *const events[] = { "push", "pull_request", "ping", "x" };

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static struct str
get(void *arg, const char *name, unsigned *count)
{
	const struct fuzz_headers *h = arg;

	*count = 1;
	if (strcasecmp(name, "Content-Type") == 0)
		return str_of(h->type);
	if (strcasestr(name, "Signature") != NULL && strcasecmp(name, h->seen_by) != 0)
		return h->signature;
	if (strcasecmp(name, "X-Gitlab-Token") == 0)
		return h->signature;
	if (strcasecmp(name, "webhook-timestamp") == 0 || strcasecmp(name, "webhook-id") == 0)
		return STR("1770000000");
	if (strcasecmp(name, h->seen_by) == 0)
		return strstr(name, "-Event") != NULL ? str_of(h->event) : h->signature;
	*count = 0;
	return STR("");
}

static void
check_change(const struct change *c)
{
	must(ref_is_valid(str_of(c->ref)) && commit_is_valid(str_of(c->commit)) && c->branch != NULL);
	must(c->before == NULL || commit_is_valid(str_of(c->before)));
	must(c->event != CHANGE_PULL_REQUEST || c->pull_number > 0);
	must(c->title == NULL || strpbrk(c->title, "\r\n") == NULL);
	must(c->author_email == NULL || strpbrk(c->author_email, " \r\n<>") == NULL);
	must(c->web_url == NULL || strncasecmp(c->web_url, "http", 4) == 0);
	must(c->fetch_url == NULL || strncasecmp(c->fetch_url, "http", 4) == 0);
	must(!hook_message_skips(c->message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	struct str choice = str_cut(&rest, '\n'), signature = str_cut(&rest, '\n');
	uint8_t bits = choice.len > 0 ? (uint8_t)choice.p[0] : 0;
	struct fuzz_headers headers = { .seen_by = forges[bits % 7],
		.event = events[bits / 7 % 4],
		.type = bits & 128 ? "application/x-www-form-urlencoded" : "application/json",
		.signature = signature };
	struct hook_request request = { .headers = { get, &headers }, .body = rest, .now_s = 1770000000 };
	const struct hook_forge *forge = hook_detect(&request.headers);
	struct hook_result result;
	struct err err = ERR_OK;

	must(forge != NULL);
	must(!hook_verify(forge, &request, STR("a secret that no input knows"), &err) && err.code == ERR_AUTH);
	if (hook_decode(forge, &request, &result, &err)) {
		if (result.outcome == HOOK_CHANGE)
			check_change(&result.change);
		hook_result_fini(&result);
	} else {
		must(err.code == ERR_INPUT || err.code == ERR_LIMIT);
	}
	return 0;
}
