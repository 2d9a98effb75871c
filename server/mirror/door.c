#include "server/mirror/door.h"

#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/json.h"
#include "server/core/loop.h"

#define HEAD_MAX (16 * 1024)
#define BODY_MAX (16 * 1024)
#define TOKEN_PATH "/token"
#define TOKEN_LIFE_S 300

/* host: where tokens are to be had, of a challenge. */
static void
reply(struct client *client, unsigned status, const char *text, struct str host)
{
	struct client_reply r = { .framing = CLIENT_BODY_LENGTH, .length = strlen(text), .text = str_of(text) };
	struct buf head;

	buf_init(&head, HEAD_MAX);
	http1_print_status(&head, status);
	http1_print_date(&head, "Date", (time_t)(loop_wall_ms() / 1000));
	http1_print_header(&head, "Content-Type", STR("application/json"));
	http1_print_header(&head, "Docker-Distribution-Api-Version", STR("registry/2.0"));
	http1_print_header(&head, "Cache-Control", STR("no-store"));
	if (host.len > 0) {
		buf_adds(&head, "WWW-Authenticate: Bearer realm=\"http://");
		buf_addstr(&head, host);
		buf_adds(&head, TOKEN_PATH "\",service=\"davit\"\r\n");
	}
	r.head = &head;
	client_reply(client, &r);
	buf_fini(&head);
}

void
door_challenge(struct client *client, struct str host)
{
	reply(client, 401,
	    "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"show an access token of this server as the password "
	    "of "
	    "any user\"}]}",
	    host);
}

/* The token is what was shown: nothing has to be kept, and it is good for as long as that is. Who has shown what is
 * none of ours, as the login of a registry that this is a mirror of, is anybody. */
static void
reply_token(struct client *client, const struct visit *visit, struct str authorization)
{
	bool is_ours = visit->visitor == VISITOR_ENGINE || visit->visitor == VISITOR_MEMBER;
	char *shown = is_ours ? visitor_token(authorization) : NULL;
	struct json_writer *w = json_writer_new(BODY_MAX);
	char *body;
	size_t len;

	json_write_object_open(w);
	json_member_string(w, "token", shown != NULL ? shown : VISITOR_NOBODYS_TOKEN);
	json_member_int(w, "expires_in", TOKEN_LIFE_S);
	json_write_object_close(w);
	body = json_writer_finish(&w, &len);
	reply(client, 200, body, STR(""));
	crypto_wipe_free(&body);
	crypto_wipe_free(&shown);
}

bool
door_answers(struct client *client, const struct http1_head *request, const struct visit *visit,
    struct str authorization, bool has_logins)
{
	bool is_wrong = visit->visitor == VISITOR_WRONG;
	struct str query = request->path, path = str_cut(&query, '?');
	bool is_token = str_is(path, TOKEN_PATH);

	if (request->method > HTTP1_HEAD || (!is_token && !str_is(path, "/v2/")))
		return false;
	if (visit->visitor == VISITOR_NOT_YET)
		reply(client, 503,
		    "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"which access tokens are good is not known "
		    "yet\"}]}",
		    STR(""));
	else if (has_logins && (is_wrong || (!is_token && visit->visitor == VISITOR_SILENT)))
		door_challenge(client, request->host);
	else if (is_token)
		reply_token(client, visit, authorization);
	else
		reply(client, 200, "{}", STR(""));
	return true;
}
