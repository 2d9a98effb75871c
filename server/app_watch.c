#include "server/app_watch.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "server/app_secrets.h"
#include "server/core/log.h"
#include "server/store/store.h"

static char credentials[] = "DOCKER_AUTH_CONFIG"; /* as lists of secrets have names */

/* build -> repository -> secret; whatever is not there, the registry is asked without a login. */
struct watch_login {
	const struct app_watch_deps *deps;
	struct build *build;
	struct repo *repo;
	struct store_op *op;
	struct app_secrets *secrets;
	struct secret_spec secret;
	struct deploy_spec deploy;
	struct job_spec spec;
	watch_login_fn *fn;
	void *arg;
};

void
app_watch_login_cancel(struct watch_login **login)
{
	struct watch_login *l = *login;

	if (l == NULL)
		return;
	*login = NULL;
	store_cancel(&l->op);
	app_secrets_free(&l->secrets);
	build_free(&l->build);
	repo_free(&l->repo);
	free(l->deploy.environment);
	free(l);
}

static void
login_end(struct watch_login *l, const struct env *env)
{
	watch_login_fn *fn = l->fn;
	void *arg = l->arg;

	app_watch_login_cancel(&l);
	fn(arg, env);
}

static void
on_secrets(void *arg, const struct err *err)
{
	struct watch_login *l = arg;
	struct env env = { 0 };

	if (err != NULL)
		log_debug("watch of %s: %s", l->repo->id, err->text);
	else
		app_secrets_add(l->secrets, &env);
	login_end(l, err == NULL ? &env : NULL);
	env_fini(&env);
}

/* What is asked for is what the deployment would be given. */
static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct watch_login *l = arg;
	struct app_secrets_job job = { .id = "watch", .spec = &l->spec, .repo = repo, .build = l->build };

	l->op = NULL;
	l->repo = repo;
	if (err != NULL) {
		login_end(l, NULL);
		return;
	}
	free(l->build->event);
	l->build->event = xstrdup("deploy");
	l->secrets = app_secrets_start(l->deps->loop, l->deps->disk, l->deps->store, &job, on_secrets, l);
}

static void
on_build(void *arg, struct build *build, const struct err *err)
{
	struct watch_login *l = arg;

	l->op = NULL;
	l->build = build;
	if (err != NULL)
		login_end(l, NULL);
	else
		l->op = store_repo_get(l->deps->store, build->repo, on_repo, l);
}

struct watch_login *
app_watch_login(void *arg, const struct environment *environment, const struct deployment *deployment,
    watch_login_fn *fn, void *fn_arg)
{
	struct watch_login *l = xcalloc(1, sizeof(*l));

	*l = (struct watch_login){ .deps = arg, .fn = fn, .arg = fn_arg };
	l->secret = (struct secret_spec){ .name = credentials, .variable = credentials };
	l->deploy.environment = xstrdup(environment->name);
	l->spec.secrets = &l->secret;
	l->spec.secret_count = 1;
	l->spec.deploy = &l->deploy;
	l->op = store_build_get(l->deps->store, deployment->build, on_build, l);
	return l;
}
