#include "server/builder/feed.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/script.h"
#include "proto/tar.h"
#include "proto/wiring.h"
#include "server/builder/box.h"
#include "server/core/loop.h"

void
feed_init(struct feed *feed)
{
	*feed = (struct feed){ .workspace_fd = -1 };
}

void
feed_fini(struct feed *feed)
{
	if (feed->workspace_fd >= 0)
		close(feed->workspace_fd);
	free(feed->pieces);
	feed_init(feed);
}

/* As the first piece, without its end. */
static bool
open_workspace(struct feed *feed, const char *path, struct err *err)
{
	struct stat st;

	if (path == NULL)
		return true;
	feed->workspace_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (feed->workspace_fd < 0 || fstat(feed->workspace_fd, &st) != 0) {
		*err = err_errno("workspace %s", path);
		return false;
	}
	if (st.st_size < 2 * TAR_BLOCK)
		return err_set(err, ERR_IO, 0, "workspace %s is no archive", path);
	feed->pieces[feed->count++] = (struct docker_piece){ feed->workspace_fd, st.st_size - 2 * TAR_BLOCK };
	return true;
}

bool
feed_open(struct feed *feed, const struct feed_part *part, struct err *err)
{
	const struct builder_job *job = part->job;

	feed_fini(feed);
	if (!part->is_first)
		return true;
	feed->pieces = xcalloc(job->input_count + 1, sizeof(*feed->pieces));
	if (!open_workspace(feed, job->workspace_tar, err))
		return false;
	for (size_t i = 0; i < job->input_count; i++)
		feed->pieces[feed->count++] = job->inputs[i];
	return true;
}

/* What the job gets beside its own env: the owner's variables, then the links to its services. */
static void
collect_env(const struct feed_part *part, struct env *env)
{
	const struct env *own = part->job->env;

	for (size_t i = 0; own != NULL && i < own->count; i++)
		env_add(env, own->vars[i].name, own->vars[i].value);
	if (part->services != NULL)
		services_env(part->services, env);
}

static bool
make_script(const struct feed_part *part, char **ret, size_t *len, struct err *err)
{
	struct env env = { .count = 0 }, hosts = { .count = 0 };
	struct script_spec spec = { .job = part->job->spec,
		.first = part->first,
		.count = part->count,
		.status = part->status,
		.hold_s = part->hold_s,
		.preamble = part->wiring,
		.environment = &env,
		.hosts = &hosts,
		.hosts_file = "/etc/hosts",
		.workspace = BOX_WORKSPACE,
		.folder = BOX_FOLDER,
		.nonce = part->job->nonce };
	bool good;

	collect_env(part, &env);
	if (part->services != NULL && part->for_podman)
		services_hosts(part->services, &hosts);
	if (part->mirror_address[0] != '\0')
		env_add(&hosts, WIRING_HOST, part->mirror_address);
	good = script_make(&spec, ret, len, err);
	env_fini(&env);
	env_fini(&hosts);
	return good;
}

static void
add_folder(struct buf *tar, const char *folder)
{
	char *name = xasprintf("workspace/%s", folder);

	tar_add_dir(tar, name, 0777, loop_wall_ms() / 1000);
	free(name);
}

/* The script below a folder of root's alone, and with an empty workspace that folder. */
bool
feed_head(const struct feed_part *part, struct buf *ret, struct err *err)
{
	const struct builder_job *job = part->job;
	char *script;
	size_t len;

	if (!make_script(part, &script, &len, err))
		return false;
	buf_init(ret, len + 8 * TAR_BLOCK);
	tar_add_dir(ret, "davit", 0700, 0);
	tar_add_file(ret, "davit/script", 0600, 0, (struct str){ script, len });
	if (part->is_first && (job->workspace_tar == NULL || job->folder != NULL))
		tar_add_dir(ret, "workspace", 0755, loop_wall_ms() / 1000);
	if (part->is_first && job->folder != NULL)
		add_folder(ret, job->folder);
	explicit_bzero(script, len);
	free(script);
	assert(!buf_failed(ret));
	return true;
}
