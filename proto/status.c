#include "proto/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/url.h"
#include "proto/utf8.h"

#define DESCRIPTION_MAX 140 /* code points: GitHub's limit, the smallest one */
#define RETRY_MAX_S 3600
#define RATE_LIMIT_S 60 /* GitHub asks for a minute when a limit comes without a time */
#define BODY_MAX 8192
#define WORDS_MAX 120 /* bytes of the forge's message that our error repeats */

static const struct {
	const char *github;
	const char *gitlab;
	const char *gitea;
} words[] = {
	[STATUS_PENDING] = { "pending", "pending", "pending" },
	[STATUS_RUNNING] = { "pending", "running", "pending" },
	[STATUS_PASSED] = { "success", "success", "success" },
	[STATUS_FAILED] = { "failure", "failed", "failure" },
	[STATUS_CANCELLED] = { "error", "canceled", "error" },
	[STATUS_ERROR] = { "error", "failed", "error" },
};

bool
status_from_build(const char *build_state, enum status_state *ret)
{
	static const struct {
		const char *build;
		enum status_state state;
	} states[] = {
		{ "planning", STATUS_PENDING },
		{ "queued", STATUS_PENDING },
		{ "waiting", STATUS_PENDING },
		{ "running", STATUS_RUNNING },
		{ "passed", STATUS_PASSED },
		{ "failed", STATUS_FAILED },
		{ "timed_out", STATUS_FAILED },
		{ "cancelled", STATUS_CANCELLED },
		{ "error", STATUS_ERROR },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(build_state, states[i].build) == 0) {
			*ret = states[i].state;
			return true;
		}
	}
	return false;
}

bool
status_is_final(enum status_state state)
{
	return state >= STATUS_PASSED;
}

bool
status_commit_is_valid(const char *commit)
{
	size_t len = strlen(commit);

	return (len == 40 || len == 64) && strspn(commit, "0123456789abcdef") == len;
}

static bool
is_token(const char *token)
{
	for (const char *p = token; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~')
			return false;
	}
	return token[0] != '\0' && strlen(token) <= 4096;
}

/* The longest head of text that has at most DESCRIPTION_MAX code points. */
static struct str
cut_description(const char *text)
{
	struct str rest = str_of(text);
	size_t len;

	for (unsigned n = 0; n < DESCRIPTION_MAX && rest.len > 0; n++) {
		utf8_decode(rest, &len);
		rest = (struct str){ rest.p + len, rest.len - len };
	}
	return (struct str){ text, (size_t)(rest.p - text) };
}

static void
print_body(enum forge_kind kind, const struct status *status, struct status_request *ret)
{
	struct json_writer *w = json_writer_new(BODY_MAX * 8);
	const char *word = words[status->state].github;

	if (kind == FORGE_GITLAB)
		word = words[status->state].gitlab;
	else if (kind == FORGE_GITEA)
		word = words[status->state].gitea;
	json_write_object_open(w);
	json_member_string(w, "state", word);
	json_member_string(w, "context", status->context);
	json_write_key(w, "description");
	json_write_str(w, cut_description(status->description));
	if (status->target_url != NULL)
		json_member_string(w, "target_url", status->target_url);
	if (kind == FORGE_GITLAB && status->ref != NULL && strlen(status->ref) <= 255)
		json_member_string(w, "ref", status->ref);
	json_write_object_close(w);
	ret->body = json_writer_finish(&w, &ret->body_len);
}

static char *
print_path(enum forge_kind kind, const struct forge_repo *repo, const char *commit)
{
	struct buf b;

	buf_init(&b, BODY_MAX);
	buf_adds(&b, kind == FORGE_GITLAB ? "/projects/" : "/repos/");
	url_encode(&b, str_of(repo->path), kind == FORGE_GITLAB ? "" : "/");
	buf_addf(&b, "/statuses/%s", commit);
	assert(!buf_failed(&b)); /* forge_locate() bounds the path */
	return b.data;
}

static void
add_header(struct status_request *request, const char *name, char *value)
{
	assert(request->header_count < STATUS_HEADERS);
	request->headers[request->header_count++] = (struct status_header){ name, value };
}

static void
add_headers(enum forge_kind kind, const char *token, struct status_request *ret)
{
	add_header(ret, "Content-Type", xstrdup("application/json"));
	switch (kind) {
	case FORGE_GITHUB:
		add_header(ret, "Authorization", xasprintf("Bearer %s", token));
		add_header(ret, "Accept", xstrdup("application/vnd.github+json"));
		add_header(ret, "X-GitHub-Api-Version", xstrdup("2022-11-28"));
		break;
	case FORGE_GITLAB:
		add_header(ret, "PRIVATE-TOKEN", xstrdup(token));
		break;
	case FORGE_GITEA:
	case FORGE_GENERIC:
		add_header(ret, "Authorization", xasprintf("token %s", token));
		break;
	}
}

bool
status_encode(enum forge_kind kind, const struct forge_repo *repo, const struct status *status, const char *token,
    struct status_request *ret, struct err *err)
{
	struct status_request request = { .method = "POST" };

	if (kind == FORGE_GENERIC)
		return err_set(err, ERR_INPUT, 0, "a repository of kind \"generic\" has no forge that takes statuses");
	if (!status_commit_is_valid(status->commit))
		return err_set(err, ERR_INPUT, 0, "the commit is no object id, so that it can have no status");
	if (!is_token(token))
		return err_set(err, ERR_INPUT, 0,
		    "the repository's token is missing or holds a blank: set it again (davit repo add ... --token-file)");
	print_body(kind, status, &request);
	if (request.body == NULL)
		return err_set(err, ERR_LIMIT, 0, "the status is larger than %d bytes", BODY_MAX * 8);
	request.path = print_path(kind, repo, status->commit);
	add_headers(kind, token, &request);
	*ret = request;
	return true;
}

void
status_request_fini(struct status_request *request)
{
	for (size_t i = 0; i < request->header_count; i++)
		free(request->headers[i].value);
	free(request->path);
	free(request->body);
	*request = (struct status_request){ 0 };
}

/* The forge's own explanation: "message" with all three, or GitLab's "error"; for people, hence without control bytes.
 */
static void
read_words(struct str body, char ret[WORDS_MAX + 1])
{
	static const struct json_limits limits = { 64 * 1024, 16, 1000 };
	struct json *doc = NULL;
	struct err err;
	const char *text = "no explanation";
	size_t len = 0;

	if (json_parse(body, &limits, &doc, &err))
		text = json_string(json_get(json_root(doc), "message"),
		    json_string(json_get(json_root(doc), "error"), "no explanation"));
	for (; text[len] != '\0' && len < WORDS_MAX; len++)
		ret[len] = (unsigned char)text[len] < ' ' || text[len] == 0x7f ? ' ' : text[len];
	while (text[len] != '\0' && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--; /* no half character */
	ret[len] = '\0';
	json_free(&doc);
}

static bool
contains(struct str text, const char *part)
{
	return memmem(text.p, text.len, part, strlen(part)) != NULL;
}

static struct str
either(const struct http1_head *head, const char *a, const char *b)
{
	return http1_find(head, a) != NULL ? http1_value(head, a) : http1_value(head, b);
}

/* Seconds to wait, 0 when the forge gives none. GitHub and GitLab say when their window ends, as a time since 1970. */
static int64_t
wait_asked(const struct http1_head *head, int64_t now_s)
{
	uint64_t n;

	if (str_to_u64(http1_value(head, "Retry-After"), INT64_MAX, &n))
		return n < 1 ? 1 : (n > RETRY_MAX_S ? RETRY_MAX_S : (int64_t)n);
	if (http1_find(head, "Retry-After") != NULL)
		return RATE_LIMIT_S; /* a date: rare, and not worth a parser */
	if (!str_is(either(head, "X-RateLimit-Remaining", "RateLimit-Remaining"), "0") ||
	    !str_to_u64(either(head, "X-RateLimit-Reset", "RateLimit-Reset"), INT64_MAX, &n))
		return 0;
	if ((int64_t)n <= now_s)
		return 1;
	return (int64_t)n - now_s > RETRY_MAX_S ? RETRY_MAX_S : (int64_t)n - now_s;
}

/* What an operator can do about an answer that will not change by itself. */
static const char *
advice(unsigned code)
{
	switch (code) {
	case 401:
		return "the repository's token is wrong or has expired: set a new one";
	case 403:
		return "the repository's token may not set statuses: give it that right";
	case 404:
	case 410:
		return "the forge does not know the repository or commit, or the token may not see it";
	default:
		return "the forge does not take the status";
	}
}

static struct status_judgement
retry(int64_t after_s, unsigned code, const char *said)
{
	return (struct status_judgement){ STATUS_RETRY, after_s,
		err_make(ERR_UNAVAILABLE, (int)code, "the forge answered %u: %s", code, said) };
}

static struct status_judgement
stop(unsigned code, const char *said)
{
	if (code >= 300 && code < 400)
		return (struct status_judgement){ STATUS_STOP, 0,
			err_make(ERR_REFUSED, (int)code,
			    "the forge answered %u: the repository or the API has moved; correct its address", code) };
	return (struct status_judgement){ STATUS_STOP, 0,
		err_make(code == 401 || code == 403 ? ERR_AUTH : ERR_REFUSED, (int)code,
		    "the forge answered %u (%s): %s", code, said, advice(code)) };
}

struct status_judgement
status_judge(enum forge_kind kind, const struct http1_head *head, struct str body, int64_t now_s)
{
	unsigned code = head->status;
	int64_t wait = wait_asked(head, now_s);
	char said[WORDS_MAX + 1];

	/* GitLab's machine of states refuses "running" on what runs: it has our word already */
	if ((code >= 200 && code < 300) ||
	    (kind == FORGE_GITLAB && code == 400 && contains(body, "Cannot transition status")))
		return (struct status_judgement){ STATUS_DONE, 0, ERR_OK };
	read_words(body, said);
	if (code == 429 || (code == 403 && (wait > 0 || contains(body, "rate limit"))))
		return retry(wait > 0 ? wait : RATE_LIMIT_S, code, said);
	if (code >= 500 || code == 408 || code == 409 || code == 425)
		return retry(wait, code, said);
	return stop(code, said);
}
