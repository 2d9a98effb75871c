#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/child.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/io/git.h"
#include "test/unit/repo.h"

/* Beside the source there is state/, git's state folder. */
struct probe {
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	struct git *git;
	struct git_conf conf;
	struct test_repo repo;
	char state_dir[80];
	struct git_op *op;
	struct git_op *others[8];
	int calls;
	int expected;
	struct err err;
	char text[256];
	size_t len;
	struct git_workspace *workspace;
};

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));
	struct err err;

	test_repo_make(&p->repo);
	snprintf(p->state_dir, sizeof(p->state_dir), "%s/state", p->repo.dir);
	assert_int_equal(mkdir(p->state_dir, 0700), 0);
	test_repo_commit(&p->repo, "echo one > file; mkdir sub; echo two > sub/file");
	p->loop = loop_new();
	p->children = children_new(p->loop);
	p->disk = disk_new(p->loop);
	p->conf = (struct git_conf){ .state_dir = p->state_dir, .allow_local = true, .fetch_timeout_ms = 30000 };
	p->git = git_new(p->loop, p->children, p->disk, &p->conf, &err);
	assert_non_null(p->git);
	*state = p;
	return 0;
}

static void
git_restart(struct probe *p)
{
	struct err err;

	git_free(&p->git);
	p->git = git_new(p->loop, p->children, p->disk, &p->conf, &err);
	assert_non_null(p->git);
	git_sweep(p->git);
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	git_workspace_release(&p->workspace);
	git_free(&p->git);
	children_free(&p->children);
	disk_free(&p->disk);
	loop_free(&p->loop);
	test_repo_remove(&p->repo);
	free(p);
	return 0;
}

/* --- the inside --- */

static void
on_done(void *arg, const struct err *err)
{
	struct probe *p = arg;

	p->op = NULL;
	p->err = err == NULL ? ERR_OK : *err;
	if (++p->calls >= p->expected)
		loop_stop(p->loop);
}

static void
on_read(void *arg, struct str text, const struct err *err)
{
	struct probe *p = arg;

	p->len = text.len;
	snprintf(p->text, sizeof(p->text), "%.*s", (int)text.len, text.p);
	on_done(p, err);
}

static void
on_workspace(void *arg, struct git_workspace *workspace, const struct err *err)
{
	struct probe *p = arg;

	assert_true((workspace == NULL) == (err != NULL));
	git_workspace_release(&p->workspace);
	p->workspace = workspace;
	on_done(p, err);
}

static void
wait_for(struct probe *p, int calls)
{
	p->expected = p->calls + calls;
	loop_run(p->loop);
}

static void
on_look_again(void *arg)
{
	struct probe *p = arg;

	loop_stop(p->loop);
}

static void
turn(struct probe *p)
{
	struct timer *timer = timer_new(p->loop, on_look_again, p);

	timer_start(timer, 20);
	loop_run(p->loop);
	timer_free(&timer);
}

static struct git_source
source(const struct probe *p)
{
	return (struct git_source){ .repo = "acme-app", .url = p->repo.url, .ref = "refs/heads/main" };
}

static enum err_code
fetch_from(struct probe *p, const struct git_source *from)
{
	int before = p->calls;

	p->op = git_fetch(p->git, from, p->repo.commit, on_done, p);
	assert_int_equal(p->calls, before);
	wait_for(p, 1);
	return p->err.code;
}

static void
fetch(struct probe *p)
{
	struct git_source from = source(p);

	if (fetch_from(p, &from) != ERR_NONE)
		fail_msg("fetch: %s", p->err.text);
}

static enum err_code
has(struct probe *p, const char *commit)
{
	git_has(p->git, "acme-app", commit, on_done, p);
	wait_for(p, 1);
	return p->err.code;
}

static enum err_code
read_path(struct probe *p, const char *path, size_t max)
{
	git_read(p->git, "acme-app", p->repo.commit, path, max, on_read, p);
	wait_for(p, 1);
	return p->err.code;
}

static struct git_checkout
checkout(const struct probe *p, const char *ref)
{
	return (struct git_checkout){ .repo = "acme-app",
		.commit = p->repo.commit,
		.ref = ref,
		.origin = "https://me@forge.example/acme/app.git" };
}

/* The workspace's tar, unpacked as a container would have it: in p->repo.dir/out/workspace. */
static void
make_workspace(struct probe *p, const char *ref, bool full)
{
	struct git_checkout wanted = checkout(p, ref);

	wanted.full = full;
	git_workspace(p->git, &wanted, on_workspace, p);
	wait_for(p, 1);
	if (p->err.code != ERR_NONE)
		fail_msg("workspace: %s", p->err.text);
	test_repo_run(&p->repo, "rm -rf out; mkdir out; tar -C out -xf '%s'", git_workspace_path(p->workspace));
}

static void
assert_line(struct probe *p, const char *script, const char *line)
{
	char got[256];

	test_repo_line(&p->repo, got, sizeof(got), script);
	assert_string_equal(got, line);
}

/* Until the script prints that: what is done in the background has no other end that can be seen. */
static void
await_line(struct probe *p, const char *script, const char *wanted)
{
	char line[256];

	for (int64_t end = loop_mono_ms() + 60000;;) {
		test_repo_line(&p->repo, line, sizeof(line), script);
		if (strcmp(line, wanted) == 0)
			return;
		if (loop_mono_ms() > end)
			fail_msg("%s: \"%s\" instead of \"%s\"", script, line, wanted);
		turn(p);
	}
}

/* --- fetch, has, read --- */

static void
test_fetch_and_read(void **state)
{
	struct probe *p = *state;

	assert_int_equal(has(p, p->repo.commit), ERR_NOT_FOUND);
	assert_string_equal(p->err.text, "the repository has not been fetched yet");
	fetch(p);
	assert_int_equal(has(p, p->repo.commit), ERR_NONE);
	assert_int_equal(read_path(p, "file", 100), ERR_NONE);
	assert_string_equal(p->text, "one\n");
	assert_int_equal(read_path(p, "sub/file", 4), ERR_NONE);
	assert_string_equal(p->text, "two\n");
	assert_int_equal(read_path(p, "none", 100), ERR_NOT_FOUND);
	assert_int_equal(read_path(p, "sub", 1000), ERR_INPUT);
	assert_string_equal(p->err.text, "it is a folder");
	assert_int_equal(read_path(p, "a\nb", 100), ERR_INPUT);
	assert_int_equal(has(p, "0123456789012345678901234567890123456789"), ERR_NOT_FOUND);
}

/* The cat-file process started before the second fetch. */
static void
test_reader_sees_what_a_fetch_brings(void **state)
{
	struct probe *p = *state;

	fetch(p);
	for (int i = 0; i < 5; i++) {
		char script[64];
		char text[32];

		snprintf(script, sizeof(script), "echo round %d > file", i);
		snprintf(text, sizeof(text), "round %d\n", i);
		test_repo_commit(&p->repo, script);
		assert_int_equal(read_path(p, "file", 100), ERR_NOT_FOUND);
		fetch(p);
		assert_int_equal(read_path(p, "file", 100), ERR_NONE);
		assert_string_equal(p->text, text);
	}
	test_repo_run(&p->repo,
	    "git --git-dir=state/git/acme-app.git repack -qad; git --git-dir=state/git/acme-app.git pack-refs --all");
	assert_int_equal(read_path(p, "file", 100), ERR_NONE);
	assert_string_equal(p->text, "round 4\n");
	assert_int_equal(children_count(p->children), 1);
}

static void
test_known_commit_needs_no_source(void **state)
{
	struct probe *p = *state;

	fetch(p);
	test_repo_run(&p->repo, "mv source elsewhere");
	fetch(p);
	git_restart(p);
	fetch(p);
}

static void
test_limits_of_read(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->repo, "head -c 100000 /dev/zero | tr '\\0' z > big; : > empty");
	fetch(p);
	assert_int_equal(read_path(p, "big", 100000), ERR_NONE);
	assert_int_equal(p->len, 100000);
	assert_int_equal(read_path(p, "big", 99999), ERR_LIMIT);
	assert_string_equal(p->err.text, "it is larger than 99999 bytes");
	assert_int_equal(read_path(p, "empty", 10), ERR_NONE);
	assert_int_equal(p->len, 0);
	/* Those behind the large one are answered too. */
	git_read(p->git, "acme-app", p->repo.commit, "big", 10, on_read, p);
	for (int i = 0; i < 50; i++)
		git_read(p->git, "acme-app", p->repo.commit, "file", 10, on_read, p);
	wait_for(p, 51);
	assert_string_equal(p->text, "one\n");
}

static void
test_reader_survives_its_process(void **state)
{
	struct probe *p = *state;

	fetch(p);
	assert_int_equal(read_path(p, "file", 10), ERR_NONE);
	test_repo_run(&p->repo,
	    "for p in /proc/[0-9]*; do cat $p/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q -- "
	    "\"^git --git-dir=$PWD/state/git/acme-app.git cat-file\" && kill -9 ${p#/proc/}; done || true");
	assert_int_equal(read_path(p, "file", 10), ERR_NONE);
	assert_string_equal(p->text, "one\n");
}

static void
test_fetch_errors(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);
	char none[96];

	snprintf(none, sizeof(none), "%s/none", p->repo.dir);
	from.url = none;
	assert_int_equal(fetch_from(p, &from), ERR_NOT_FOUND);
	assert_string_equal(p->err.text, "repository not found: there is none at its URL");
	from = source(p);
	strcpy(p->repo.commit, "0123456789012345678901234567890123456789");
	assert_int_equal(fetch_from(p, &from), ERR_NOT_FOUND);
	assert_string_equal(p->err.text,
	    "commit 0123456789012345678901234567890123456789 is not on the server (was it force-pushed away?)");
	from.ref = "refs/heads/gone";
	assert_int_equal(fetch_from(p, &from), ERR_NOT_FOUND);
	from.ref = NULL;
	assert_int_equal(fetch_from(p, &from), ERR_NOT_FOUND);
	from.ref = from.fetch_url = from.token = "";
	assert_int_equal(fetch_from(p, &from), ERR_NOT_FOUND);
	from.url = "http://127.0.0.1:1/x";
	assert_int_equal(fetch_from(p, &from), ERR_UNAVAILABLE);
}

static void
test_bad_names(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);

	from.url = "ext::sh -c id";
	assert_int_equal(fetch_from(p, &from), ERR_INPUT);
	from = source(p);
	from.fetch_url =
	    "http://169.254.169.254/latest/meta-data"; /* a fork is fetched from the repository's server alone */
	assert_int_equal(fetch_from(p, &from), ERR_INPUT);
	from = source(p);
	from.ref = "main";
	assert_int_equal(fetch_from(p, &from), ERR_INPUT);
	from = source(p);
	from.repo = "../x";
	assert_int_equal(fetch_from(p, &from), ERR_INPUT);
	from = source(p);
	from.token = "a\nusername=b";
	assert_int_equal(fetch_from(p, &from), ERR_INPUT);
	strcpy(p->repo.commit, "main");
	from = source(p);
	assert_int_equal(fetch_from(p, &from), ERR_INPUT);
	assert_int_equal(has(p, "HEAD"), ERR_INPUT);
	git_fetch(p->git, &from, "x", on_done, p);
	p->op = git_fetch(p->git, &from, "x", on_done, p);
	git_cancel(&p->op);
	wait_for(p, 1);
}

static void
test_local_needs_permission(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);

	p->conf.allow_local = false;
	git_restart(p);
	assert_int_equal(fetch_from(p, &from), ERR_INPUT);
}

/* A server that gives no commits by id: the ref brings the history with the commit in it. */
static void
test_fetch_by_ref(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);
	char older[65];

	test_repo_run(&p->repo,
	    "git -C source config protocol.version 0; git -C source config uploadpack.allowAnySHA1InWant false");
	strcpy(older, p->repo.commit);
	test_repo_commit(&p->repo, "echo new > file");
	strcpy(p->repo.commit, older);
	from.fetch_url = "/no/such/fork"; /* nor is it where a fork's should be */
	assert_int_equal(fetch_from(p, &from), ERR_NONE);
	assert_int_equal(has(p, older), ERR_NONE);
}

static void
test_stale_locks(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);

	test_repo_run(&p->repo, "mkdir -p state/git/acme-app.git; : > state/git/acme-app.git/config.lock");
	fetch(p);
	test_repo_commit(&p->repo, "echo 2 > file");
	test_repo_run(&p->repo, ": > state/git/acme-app.git/refs/davit/%s.lock", p->repo.commit);
	fetch(p);
	test_repo_commit(&p->repo, "echo 3 > file");
	test_repo_run(&p->repo, ": > state/git/acme-app.git/refs/davit/tip.lock");
	from.fetch_url = "/no/such/fork";
	assert_int_equal(fetch_from(p, &from), ERR_NONE);
	assert_int_equal(has(p, p->repo.commit), ERR_NONE);
}

/* As a power cut leaves what was not synced. */
static void
test_damaged_mirrors(void **state)
{
	static const char *const damages[] = { ": > state/git/acme-app.git/HEAD",
		"find state/git/acme-app.git/objects -type f -exec chmod u+w {} + -exec truncate -s 0 {} +",
		"echo 1111111111111111111111111111111111111111 > state/git/acme-app.git/refs/davit/1",
		"rm -r state/git/acme-app.git" };
	struct probe *p = *state;

	fetch(p);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		test_repo_commit(&p->repo, "echo >> file");
		test_repo_run(&p->repo, "%s", damages[i]);
		fetch(p);
		assert_int_equal(has(p, p->repo.commit), ERR_NONE);
	}
}

static void
test_fetch_survives_force_push_and_prune(void **state)
{
	struct probe *p = *state;
	char first[65];

	fetch(p);
	strcpy(first, p->repo.commit);
	test_repo_run(&p->repo,
	    "cd source; git commit -q --amend -m other; git reflog expire --expire=all --all; git gc -q --prune=all");
	test_repo_line(&p->repo, p->repo.commit, sizeof(p->repo.commit), "git -C source rev-parse HEAD");
	fetch(p);
	test_repo_run(&p->repo, "git --git-dir=state/git/acme-app.git gc -q --prune=all");
	assert_int_equal(has(p, first), ERR_NONE);
	assert_int_equal(has(p, p->repo.commit), ERR_NONE);
}

static void
test_hostile_refs(void **state)
{
	static const char *const refs[] = { "refs/heads/-x", "refs/heads/--upload-pack=touch${IFS}pwned",
		"refs/heads/`touch${IFS}pwned`", "refs/heads/$(touch${IFS}pwned)", "refs/heads/a;touch${IFS}pwned",
		"refs/heads/a|b", "refs/heads/<script>", "refs/heads/a\"b" };
	struct probe *p = *state;

	for (unsigned i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		struct git_source from = source(p);
		char script[256];
		char ref[128];

		snprintf(script, sizeof(script), "echo %u > file", i);
		test_repo_commit(&p->repo, script);
		test_repo_run(&p->repo, "cd source; git update-ref '%s' %s", refs[i], p->repo.commit);
		from.ref = refs[i];
		from.fetch_url = "/no/such/fork"; /* by ref */
		assert_int_equal(fetch_from(p, &from), ERR_NONE);
		make_workspace(p, refs[i], false);
		assert_line(p, "git -C out/workspace status --porcelain", "");
		test_repo_line(&p->repo, ref, sizeof(ref), "git -C out/workspace symbolic-ref HEAD");
		assert_string_equal(ref, refs[i]);
		assert_line(p, "git -C out/workspace rev-parse HEAD", p->repo.commit);
	}
	assert_line(p, "find . -name pwned; ls \"$OLDPWD/pwned\" 2>/dev/null || true", "");
}

static void
test_mirror_is_tidied(void **state)
{
	struct probe *p = *state;
	char script[64];

	p->conf.tidy_after = 4;
	git_restart(p);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(script, sizeof(script), "echo %u > file", i);
		test_repo_commit(&p->repo, script);
		fetch(p);
	}
	await_line(p,
	    "test $(grep -c ' refs/davit/' state/git/acme-app.git/packed-refs) -ge 4 2>/dev/null && echo packed || "
	    "true",
	    "packed");
	await_line(p, "ls state/git/acme-app.git/gc.pid 2>/dev/null || true", ""); /* it has ended */
	assert_int_equal(has(p, p->repo.commit), ERR_NONE);
	assert_line(p, "git --git-dir=state/git/acme-app.git for-each-ref refs/davit | wc -l", "6");
	assert_line(p, "git --git-dir=state/git/acme-app.git fsck 2>&1 | grep -v '^notice: HEAD' || true", "");
}

static void
commit_at(struct probe *p, const char *date)
{
	char script[64];

	snprintf(script, sizeof(script), "echo %s > file", date);
	setenv("GIT_COMMITTER_DATE", date, 1);
	test_repo_commit(&p->repo, script);
	unsetenv("GIT_COMMITTER_DATE");
}

/* What was asked for a moment ago stays; what is asked for again comes back. */
static void
test_the_oldest_commits_are_dropped(void **state)
{
	struct probe *p = *state;
	char oldest[65] = "", date[32];

	for (unsigned i = 1; i <= 6; i++) {
		snprintf(date, sizeof(date), "2024-01-%02uT00:00:00Z", i);
		commit_at(p, date);
		if (i == 1)
			strcpy(oldest, p->repo.commit);
		fetch(p);
	}
	p->conf.tidy_after = 1;
	p->conf.max_refs = 3;
	git_restart(p); /* which has forgotten what was asked for */
	commit_at(p, "2023-01-01T00:00:00Z");
	fetch(p);
	await_line(p, "git --git-dir=state/git/acme-app.git for-each-ref refs/davit | wc -l",
	    "4"); /* the newest three, and this one, whose date is the oldest */
	assert_int_equal(has(p, p->repo.commit), ERR_NONE);
	assert_int_equal(has(p, oldest), ERR_NOT_FOUND);
	strcpy(p->repo.commit, oldest);
	fetch(p);
	assert_int_equal(has(p, oldest), ERR_NONE);
}

/* --- credentials --- */

/* A forge in a process of its own: answers every request with the same reply, and appends the requests to a file. */
struct forge {
	int fd;
	unsigned port;
	pid_t pid;
};

static void
forge_listen(struct forge *forge)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	forge->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(forge->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(forge->fd, 8), 0);
	assert_int_equal(getsockname(forge->fd, (struct sockaddr *)&address, &len), 0);
	forge->port = ntohs(address.sin_port);
}

static void
forge_serve(struct forge *forge, const char *record, const char *reply)
{
	char request[8192];
	int fd;

	forge->pid = fork();
	if (forge->pid != 0)
		return;
	while ((fd = accept(forge->fd, NULL, NULL)) >= 0) {
		FILE *f = fopen(record, "a");
		size_t len = 0;
		ssize_t got;

		while ((got = read(fd, request + len, sizeof(request) - 1 - len)) > 0) {
			request[len += (size_t)got] = '\0';
			if (strstr(request, "\r\n\r\n") != NULL)
				break;
		}
		fwrite(request, 1, len, f);
		fclose(f);
		if (write(fd, reply, strlen(reply)) < 0)
			_exit(1);
		close(fd);
	}
	_exit(0);
}

static void
forge_end(struct forge *forge)
{
	kill(forge->pid, SIGKILL);
	assert_int_equal(waitpid(forge->pid, NULL, 0), forge->pid);
	close(forge->fd);
}

static const char unauthorized[] = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
				   "Content-Length: 0\r\nConnection: close\r\n\r\n";

static enum err_code
fetch_with_token(struct probe *p, const struct forge *forge)
{
	struct git_source from = source(p);
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/acme/app.git", forge->port);
	from.url = url;
	from.user = "robot";
	from.token = "s3cret'\"$(id)";
	return fetch_from(p, &from);
}

static void
test_token_goes_to_its_server(void **state)
{
	struct probe *p = *state;
	struct forge forge;
	char *record = xasprintf("%s/requests", p->repo.dir);

	forge_listen(&forge);
	forge_serve(&forge, record, unauthorized);
	assert_int_equal(fetch_with_token(p, &forge), ERR_AUTH);
	forge_end(&forge);
	assert_string_equal(p->err.text, "the server refuses the repository's token");
	assert_line(p, "grep -c '^GET /acme/app.git/info/refs?service=git-upload-pack' requests", "2");
	assert_line(
	    p, "sed -n 's/^Authorization: Basic //p' requests | tr -d '\\r' | base64 -d", "robot:s3cret'\"$(id)");
	free(record);
}

static void
test_token_does_not_follow_a_redirect(void **state)
{
	struct probe *p = *state;
	struct forge forge;
	struct forge elsewhere;
	char *record = xasprintf("%s/requests", p->repo.dir);
	char *other_record = xasprintf("%s/elsewhere", p->repo.dir);
	char *redirect;

	forge_listen(&forge);
	forge_listen(&elsewhere);
	redirect = xasprintf("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/acme/app.git/info/refs?service="
			     "git-upload-pack\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	    elsewhere.port);
	forge_serve(&forge, record, redirect);
	forge_serve(&elsewhere, other_record, unauthorized);
	assert_int_equal(fetch_with_token(p, &forge), ERR_AUTH);
	forge_end(&forge);
	forge_end(&elsewhere);
	assert_line(p, "grep -c ^GET elsewhere", "1");
	assert_line(p, "grep -i ^authorization requests elsewhere || true", "");
	free(redirect);
	free(record);
	free(other_record);
}

/* --- one fetch at a time --- */

static void
test_equal_fetches_are_one(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);

	for (unsigned i = 0; i < 8; i++)
		p->others[i] = git_fetch(p->git, &from, p->repo.commit, on_done, p);
	git_cancel(&p->others[0]);
	git_cancel(&p->others[3]);
	assert_null(p->others[3]);
	wait_for(p, 6);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_int_equal(p->calls, 6);
}

static void
on_done_cancel_others(void *arg, const struct err *err)
{
	struct probe *p = arg;

	for (unsigned i = 1; i < 8; i++)
		git_cancel(&p->others[i]);
	on_done(p, err);
}

static void
test_callback_may_cancel_siblings(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);

	p->others[0] = git_fetch(p->git, &from, p->repo.commit, on_done_cancel_others, p);
	for (unsigned i = 1; i < 8; i++)
		p->others[i] = git_fetch(p->git, &from, p->repo.commit, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->calls, 1);
	assert_int_equal(p->err.code, ERR_NONE);
}

static void
test_many_commits_at_once(void **state)
{
	struct probe *p = *state;
	struct git_source from = source(p);

	for (unsigned i = 0; i < 6; i++) {
		char script[64];

		snprintf(script, sizeof(script), "echo %u > file", i);
		test_repo_commit(&p->repo, script);
		git_fetch(p->git, &from, p->repo.commit, on_done, p);
	}
	wait_for(p, 6);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_int_equal(has(p, p->repo.commit), ERR_NONE);
	assert_line(p, "git --git-dir=state/git/acme-app.git for-each-ref refs/davit | wc -l", "6");
}

/* In each state of a fetch and of a workspace: cancel leaves nothing behind that teardown would find. */
static void
on_cancel_now(void *arg)
{
	struct probe *p = arg;

	git_cancel(&p->op);
	loop_stop(p->loop);
}

static void
test_cancel_at_any_time(void **state)
{
	struct probe *p = *state;

	for (int ms = 0; ms < 40; ms += 3) {
		struct timer *timer = timer_new(p->loop, on_cancel_now, p);
		struct git_source from = source(p);
		struct git_checkout wanted;
		char script[64];

		snprintf(script, sizeof(script), "echo cancel %d > file", ms);
		test_repo_commit(&p->repo, script);
		p->op = git_fetch(p->git, &from, p->repo.commit, on_done, p);
		timer_start(timer, ms);
		p->expected = p->calls + 2;
		loop_run(p->loop);
		fetch(p); /* the mirror takes the next one */
		wanted = checkout(p, NULL);
		p->op = git_workspace(p->git, &wanted, on_workspace, p);
		timer_start(timer, ms);
		p->expected = p->calls + 2;
		loop_run(p->loop);
		timer_free(&timer);
		make_workspace(p, NULL, false);
	}
}

/* --- workspaces --- */

/* An older process may still be about to end. */
static void
test_workspaces_of_another_process(void **state)
{
	struct probe *p = *state;

	test_repo_run(&p->repo, "mkdir state/workspace/1.2; echo old > state/workspace/1.2/1.tar");
	git_free(&p->git);
	p->git = git_new(p->loop, p->children, p->disk, &p->conf, &p->err);
	assert_non_null(p->git);
	fetch(p);
	make_workspace(p, NULL, false);
	assert_line(p, "cat state/workspace/1.2/1.tar", "old");
	git_sweep(p->git);
	await_line(p, "ls state/workspace | wc -l", "1");
	assert_line(p, "git -C out/workspace rev-parse HEAD", p->repo.commit);
	assert_int_equal(access(git_workspace_path(p->workspace), R_OK), 0); /* our own stays */
}

static void
test_workspace_of_a_branch(void **state)
{
	struct probe *p = *state;

	test_repo_run(&p->repo, "cd source; git checkout -q -b feature/x");
	test_repo_commit(&p->repo,
	    "echo text > new; ln -s new link; echo 'x y' > 'with blank'; printf '#!/bin/sh\\n' > run; chmod +x run");
	fetch(p);
	make_workspace(p, "refs/heads/feature/x", false);
	assert_true(git_workspace_size(p->workspace) > 1024);
	assert_line(p, "git -C out/workspace status --porcelain --branch", "## feature/x...origin/feature/x");
	assert_line(p, "git -C out/workspace rev-parse HEAD", p->repo.commit);
	assert_line(p, "git -C out/workspace log --oneline | wc -l", "1");
	assert_line(p, "git -C out/workspace remote get-url origin", "https://forge.example/acme/app.git");
	assert_line(p, "git -C out/workspace fsck 2>&1 | grep -v '^notice: HEAD' || true", "");
	assert_line(p, "git -C out/workspace config branch.feature/x.merge", "refs/heads/feature/x");
	assert_line(p, "cat out/workspace/new; readlink out/workspace/link; test -x out/workspace/run", "text");
	assert_line(p, "cd out/workspace; echo more >> new; git status --porcelain", " M new");
	assert_line(p,
	    "cd out/workspace; git checkout -q -b other; git -c user.name=a -c user.email=a@b commit -qam x; "
	    "git status --porcelain",
	    "");
	test_repo_run(&p->repo, "tar --numeric-owner -tvf '%s' > list", git_workspace_path(p->workspace));
	assert_line(p, "awk '{print $2}' list | sort -u", "0/0");
	assert_line(p, "awk '{print $6}' list | grep -v ^workspace/ || true", "");
	assert_line(p, "cut -c1-10 list | grep -- '^.....w\\|^........w' | grep -v ^l || true", "");
}

static void
test_workspace_detached_and_tag(void **state)
{
	struct probe *p = *state;

	fetch(p);
	make_workspace(p, "refs/pull/7/head", false);
	assert_line(p, "git -C out/workspace status --porcelain --branch", "## HEAD (no branch)");
	assert_line(p, "git -C out/workspace rev-parse HEAD", p->repo.commit);
	make_workspace(p, "refs/tags/v1.0", false);
	assert_line(p, "git -C out/workspace describe --tags", "v1.0");
	assert_line(p, "git -C out/workspace status --porcelain --branch", "## HEAD (no branch)");
	make_workspace(p, NULL, false);
	assert_line(p, "git -C out/workspace status --porcelain --branch", "## HEAD (no branch)");
}

static void
test_workspace_full(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->repo, "echo 2 > file");
	test_repo_commit(&p->repo, "echo 3 > file");
	fetch(p);
	make_workspace(p, "refs/heads/main", true);
	assert_line(p, "git -C out/workspace log --oneline | wc -l", "3");
	assert_line(p, "git -C out/workspace rev-parse --is-shallow-repository", "false");
	assert_line(p, "git -C out/workspace status --porcelain", "");
	assert_line(p, "git -C out/workspace fsck 2>&1 | grep -v '^notice: HEAD' || true", "");
}

static void
test_sha256_repository(void **state)
{
	struct probe *p = *state;

	test_repo_run(&p->repo, "rm -rf source; git init -q -b main --object-format=sha256 source");
	test_repo_commit(&p->repo, "echo one > file");
	test_repo_commit(&p->repo, "echo two > file");
	assert_int_equal(strlen(p->repo.commit), 64);
	fetch(p);
	assert_int_equal(read_path(p, "file", 10), ERR_NONE);
	assert_string_equal(p->text, "two\n");
	make_workspace(p, "refs/heads/main", false);
	assert_line(p, "git -C out/workspace status --porcelain --branch", "## main...origin/main");
	assert_line(p, "git -C out/workspace rev-parse HEAD", p->repo.commit);
}

static void
test_workspace_is_made_once(void **state)
{
	struct probe *p = *state;
	struct git_checkout wanted = checkout(p, "refs/heads/main");
	struct git_workspace *first;

	fetch(p);
	for (int i = 0; i < 5; i++)
		git_workspace(p->git, &wanted, on_workspace, p);
	wait_for(p, 5);
	assert_int_equal(p->err.code, ERR_NONE);
	first = p->workspace;
	git_workspace(p->git, &wanted, on_workspace, p);
	wait_for(p, 1);
	assert_ptr_equal(p->workspace, first);
	assert_line(p, "ls state/workspace/*/*.tar | wc -l", "1");
	wanted.ref = NULL;
	git_workspace(p->git, &wanted, on_workspace, p);
	wait_for(p, 1);
	assert_line(p, "ls state/workspace/*/*.tar | wc -l", "2");
}

static void
test_workspaces_kept_are_bounded(void **state)
{
	struct probe *p = *state;
	struct git_workspace *held;

	p->conf.max_workspaces = 2;
	git_restart(p);
	fetch(p);
	make_workspace(p, "refs/heads/held", false);
	held = p->workspace;
	p->workspace = NULL;
	for (char branch[] = "refs/heads/a"; branch[11] < 'f'; branch[11]++)
		make_workspace(p, branch, false);
	test_repo_run(&p->repo, "test -f '%s'", git_workspace_path(held)); /* the oldest, but in use */
	git_workspace_release(&held);
	git_workspace_release(&p->workspace);
	await_line(p, "ls state/workspace/*/*.tar | wc -l", "2"); /* files go in the background */
	git_restart(p);                                           /* nothing of the old process is trusted */
	await_line(p, "ls state/workspace/*/*.tar 2>/dev/null | wc -l", "0");
}

static void
test_workspace_of_an_unknown_commit(void **state)
{
	struct probe *p = *state;
	struct git_checkout wanted = checkout(p, NULL);

	git_workspace(p->git, &wanted, on_workspace, p);
	wait_for(p, 1);
	assert_int_not_equal(p->err.code, ERR_NONE);
	fetch(p);
	wanted.commit = "0123456789012345678901234567890123456789";
	git_workspace(p->git, &wanted, on_workspace, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	wanted.commit = "HEAD";
	git_workspace(p->git, &wanted, on_workspace, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_INPUT);
	make_workspace(p, NULL, false); /* a failed one stands in nobody's way */
}

/* --- hostile repositories --- */

static void
test_links_and_attributes_do_nothing_here(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->repo,
	    "ln -s /etc/passwd passwd; ln -s .. up; echo '* filter=evil' > .gitattributes; "
	    "echo '[filter \"evil\"]\n smudge = touch pwned\n clean = touch pwned' > .gitconfig; "
	    "mkdir hooks; echo 'touch pwned' > hooks/post-checkout; chmod +x hooks/post-checkout; "
	    "echo 'file export-ignore' >> .gitattributes; "
	    "printf '[submodule \"s\"]\\n path = s\\n url = ./s\\n' > .gitmodules");
	fetch(p);
	assert_int_equal(read_path(p, "passwd", 100), ERR_NONE);
	assert_string_equal(p->text, "/etc/passwd"); /* the link's own text: nothing is followed */
	make_workspace(p, "refs/heads/main", false);
	assert_line(p, "readlink out/workspace/passwd", "/etc/passwd");
	assert_line(p, "cat out/workspace/file", "one"); /* no archive: nothing is left out */
	assert_line(p, "git -C out/workspace status --porcelain", "");
	assert_line(p, "find . -name pwned", "");
}

/* Trees that git itself would never write: an entry of that name with a config file in it. */
static void
commit_with_entry(struct probe *p, const char *name)
{
	test_repo_run(&p->repo,
	    "cd source; blob=$(echo '[core] fsmonitor = touch pwned' | git hash-object -w --stdin); "
	    "sub=$(printf '100644 blob %%s\\tconfig\\n' $blob | git mktree); "
	    "{ printf '40000 %s\\0'; perl -e 'print pack(\"H*\", shift)' $sub; } > ../raw; "
	    "tree=$(git hash-object -t tree --literally -w ../raw); git commit-tree -m evil $tree > ../evil; "
	    "git update-ref refs/heads/evil $(cat ../evil)",
	    name);
	test_repo_line(&p->repo, p->repo.commit, sizeof(p->repo.commit), "cat evil");
}

static void
test_dot_git_in_a_tree(void **state)
{
	static const char *const names[] = { ".git", ".GIT", "git~1", ".git ", ".g\xe2\x80\x8cit", "..", "." };
	struct probe *p = *state;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct git_source from = source(p);
		struct git_checkout wanted;

		commit_with_entry(p, names[i]);
		from.ref = "refs/heads/evil";
		if (fetch_from(p, &from) == ERR_NONE)
			fail_msg("a tree with \"%s\" was fetched", names[i]);
		assert_int_equal(p->err.code, ERR_REFUSED);
		/* What came by another way, or from before git refused it, is not checked out either. */
		test_repo_run(&p->repo,
		    "cp -r source/.git/objects/?? state/git/acme-app.git/objects/ 2>/dev/null; "
		    "git --git-dir=state/git/acme-app.git update-ref refs/davit/%s %s",
		    p->repo.commit, p->repo.commit);
		wanted = checkout(p, NULL);
		git_workspace(p->git, &wanted, on_workspace, p);
		wait_for(p, 1);
		if (p->err.code == ERR_NONE)
			fail_msg("a tree with \"%s\" was checked out", names[i]);
	}
	assert_line(p, "find . -name pwned", "");
}

static void
test_forget(void **state)
{
	struct probe *p = *state;

	fetch(p);
	make_workspace(p, "refs/heads/main", false);
	git_forget(p->git, "acme-app");
	git_forget(p->git, "never-heard-of");
	git_forget(p->git, "../x");
	assert_int_equal(has(p, p->repo.commit), ERR_NOT_FOUND);
	fetch(p);
	assert_int_equal(has(p, p->repo.commit), ERR_NONE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fetch_and_read),
		TEST(test_reader_sees_what_a_fetch_brings),
		TEST(test_known_commit_needs_no_source),
		TEST(test_limits_of_read),
		TEST(test_reader_survives_its_process),
		TEST(test_fetch_errors),
		TEST(test_bad_names),
		TEST(test_local_needs_permission),
		TEST(test_fetch_by_ref),
		TEST(test_stale_locks),
		TEST(test_damaged_mirrors),
		TEST(test_fetch_survives_force_push_and_prune),
		TEST(test_hostile_refs),
		TEST(test_mirror_is_tidied),
		TEST(test_the_oldest_commits_are_dropped),
		TEST(test_token_goes_to_its_server),
		TEST(test_token_does_not_follow_a_redirect),
		TEST(test_equal_fetches_are_one),
		TEST(test_callback_may_cancel_siblings),
		TEST(test_many_commits_at_once),
		TEST(test_cancel_at_any_time),
		TEST(test_workspaces_of_another_process),
		TEST(test_workspace_of_a_branch),
		TEST(test_workspace_detached_and_tag),
		TEST(test_workspace_full),
		TEST(test_sha256_repository),
		TEST(test_workspace_is_made_once),
		TEST(test_workspaces_kept_are_bounded),
		TEST(test_workspace_of_an_unknown_commit),
		TEST(test_links_and_attributes_do_nothing_here),
		TEST(test_dot_git_in_a_tree),
		TEST(test_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
