/* The records as the API shows them. Secrets are never in it: only whether they are set. */
#ifndef DAVIT_CONTROLLER_API_JSON_H
#define DAVIT_CONTROLLER_API_JSON_H

#include "proto/json.h"
#include "server/store/records.h"

#define API_JSON_MAX (4u << 20) /* bytes of one answer */

void api_write_repo(struct json_writer *w, const struct repo *repo, const char *webhook);
void api_write_schedule(struct json_writer *w, const struct schedule *schedule);
/* deployment: that it has now; NULL when that is not asked for. */
void api_write_environment(
    struct json_writer *w, const struct environment *environment, const struct deployment *deployment);
void api_write_deployment(struct json_writer *w, const struct deployment *deployment);
/* Without its jobs' array when it has none. */
void api_write_build(struct json_writer *w, const struct build *build);
void api_write_job(struct json_writer *w, const struct job *job);
/* The build alone; free() it; NULL when it is too large. */
char *api_build_text(const struct build *build);

#endif
