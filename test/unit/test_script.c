#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/marker.h"
#include "proto/mem.h"
#include "proto/script.h"
#include "proto/tar.h"

#define NONCE "0123456789abcdef0123456789abcdef"

/* What a run gave: its output without markers, and what the markers said. */
struct outcome {
	int exit_code;
	struct buf output;
	struct buf events; /* "begin script,end script 0," */
};

static char workspace[] = "/tmp/davit-script-XXXXXX";
static char folder[] = "/tmp/davit-folder-XXXXXX";

/* The whole job in one container. */
static struct script_spec
spec_of(const struct job_spec *job, const struct env *environment)
{
	return (struct script_spec){ .job = job,
		.count = job->segment_count,
		.environment = environment,
		.workspace = workspace,
		.folder = folder,
		.nonce = NONCE };
}

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct outcome *o = arg;

	if (event->kind == MARKER_BEGIN)
		buf_addf(&o->events, "begin %s,", event->name);
	else
		buf_addf(&o->events, "end %s %u,", event->name, event->exit_code);
}

/* With these bytes as its standard input. Both of its outputs go into one pipe. */
static struct outcome
run_command(const char *const *command, const char *input, size_t len)
{
	struct outcome o;
	struct marker marker;
	int in[2], out[2], status;
	char bytes[4096];
	ssize_t n;
	pid_t child;
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(input, 1, len, file), len);
	rewind(file);
	in[0] = fileno(file);
	assert_int_equal(pipe(out), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		close(out[0]);
		close(out[1]);
		setenv("IMAGE_VAR", "from the image", 1);
		execvp(command[0], (char *const *)command);
		_exit(127);
	}
	close(out[1]);
	buf_init(&o.output, 1 << 22);
	buf_init(&o.events, 4096);
	marker_init(&marker, NONCE, on_marker, &o);
	while ((n = read(out[0], bytes, sizeof(bytes))) > 0)
		marker_feed(&marker, (struct str){ bytes, (size_t)n }, &o.output);
	marker_finish(&marker, &o.output);
	close(out[0]);
	fclose(file);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	o.exit_code = WEXITSTATUS(status);
	return o;
}

/* As a container's shell would: from its standard input. */
static struct outcome
run(const char *shell, const char *script, size_t len)
{
	const char *const busybox[] = { "busybox", "sh", NULL };
	const char *const other[] = { shell, NULL };

	return run_command(strcmp(shell, "busybox") == 0 ? busybox : other, script, len);
}

static void
outcome_fini(struct outcome *o)
{
	buf_fini(&o->output);
	buf_fini(&o->events);
}

static void
segment_add(struct job_spec *job, const char *name, const char *const *commands)
{
	struct segment_spec *s;

	job->segments = xrealloc(job->segments, (job->segment_count + 1) * sizeof(*job->segments));
	s = &job->segments[job->segment_count++];
	*s = (struct segment_spec){ .name = xstrdup(name) };
	for (; *commands != NULL; commands++) {
		s->commands = xrealloc(s->commands, (s->command_count + 1) * sizeof(*s->commands));
		s->commands[s->command_count++] = xstrdup(*commands);
	}
}

#define SEGMENT(job, name, ...) segment_add(job, name, (const char *const[]){ __VA_ARGS__, NULL })

static const char *const shells[] = { "sh", "dash", "bash", "busybox" };

static void
forget_status(void)
{
	char path[sizeof(folder) + 16];

	snprintf(path, sizeof(path), "%s/status", folder);
	unlink(path);
}

/* Runs the script with every shell that is there (sh must be) and compares. */
static void
expect_of(const struct script_spec *spec, int exit_code, const char *events, const char *output)
{
	unsigned ran = 0;
	struct err err;
	char *script;
	size_t len;

	assert_true(script_make(spec, &script, &len, &err));
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		struct outcome o = run(shells[i], script, len);

		if (o.exit_code == 127 && o.events.len == 0) {
			print_message("%s is not here\n", shells[i]);
		} else {
			if (o.exit_code != exit_code || strcmp(o.events.data, events) != 0 ||
			    (output != NULL && strcmp(o.output.data, output) != 0))
				fail_msg("%s: exit %d, %s\n%s", shells[i], o.exit_code, o.events.data, o.output.data);
			ran++;
		}
		outcome_fini(&o);
		forget_status();
	}
	assert_true(ran > 0);
	free(script);
}

/* The same of a whole job, and ends it. */
static void
expect(struct job_spec *job, const struct env *environment, int exit_code, const char *events, const char *output)
{
	struct script_spec spec = spec_of(job, environment);

	expect_of(&spec, exit_code, events, output);
	job_spec_fini(job);
}

#define SHOWN(command) "\033[1m$ " command "\033[0m\n"

static void
test_commands_run_in_order_and_are_shown(void **state)
{
	struct job_spec job = { 0 };

	(void)state;
	SEGMENT(&job, "install", "echo one");
	SEGMENT(&job, "script", "echo 'two words'", "printf %s unfinished");
	expect(&job, NULL, 0, "begin install,end install 0,begin script,end script 0,",
	    SHOWN("echo one") "one\n" SHOWN("echo 'two words'") "two words\n" SHOWN(
		"printf %s unfinished") "unfinished");
}

static void
test_first_failing_segment_ends_the_job(void **state)
{
	struct job_spec job = { 0 };

	(void)state;
	SEGMENT(&job, "before_script", "echo a", "(exit 3)", "echo never");
	SEGMENT(&job, "script", "echo never");
	expect(&job, NULL, 3, "begin before_script,end before_script 3,", SHOWN("echo a") "a\n" SHOWN("(exit 3)"));
	SEGMENT(&job, "script", "exit 7");
	expect(&job, NULL, 7, "begin script,end script 7,", NULL);
	SEGMENT(&job, "script", "false || true", "if false; then :; fi", "kill -9 $$");
	expect(&job, NULL, 137, "begin script,end script 137,", NULL);
}

static void
test_segments_share_files_but_no_variables(void **state)
{
	struct job_spec job = { 0 };

	(void)state;
	SEGMENT(
	    &job, "install", "export LEFT=over", "mkdir -p sub", "cd sub", "pwd | sed 's,.*/,,'", "echo kept >file");
	SEGMENT(&job, "script", "echo \"[$LEFT]\"", "cat sub/file", "cd sub", "X=1", "echo $X", "cat file");
	expect(&job, NULL, 0, "begin install,end install 0,begin script,end script 0,",
	    SHOWN("export LEFT=over") SHOWN("mkdir -p sub") SHOWN("cd sub") SHOWN("pwd | sed 's,.*/,,'") "sub\n" SHOWN(
		"echo kept >file") SHOWN("echo \"[$LEFT]\"") "[]\n" SHOWN("cat sub/file") "kept\n" SHOWN("cd sub")
		SHOWN("X=1") SHOWN("echo $X") "1\n" SHOWN("cat file") "kept\n");
}

/* Where the file is missing or cannot be written the job runs all the same. */
static void
test_hosts_of_services(void **state)
{
	struct job_spec job = { 0 };
	struct script_spec spec;
	struct env hosts = { 0 };
	static const char before[] = "127.0.0.1\tlocalhost\n9.9.9.9\tdb # davit\n::1 v6 \\n no newline";
	char file[] = "/tmp/davit-test-hosts-XXXXXX", command[64], output[256];
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	assert_true(write(fd, before, sizeof(before) - 1) > 0);
	close(fd);
	env_add(&hosts, "db", "10.0.0.2");
	env_add(&hosts, "web", "10.0.0.3");
	snprintf(command, sizeof(command), "cat %s", file);
	snprintf(output, sizeof(output),
	    SHOWN("%s") "127.0.0.1\tlocalhost\n::1 v6 \\n no newline\n10.0.0.2\tdb # davit\n10.0.0.3\tweb # davit\n",
	    command);
	SEGMENT(&job, "script", command);
	spec = spec_of(&job, NULL);
	spec.hosts = &hosts;
	spec.hosts_file = file;
	expect_of(&spec, 0, "begin script,end script 0,", output);
	spec.hosts_file = "/no/such/file";
	expect_of(&spec, 0, "begin script,end script 0,", output);
	job_spec_fini(&job);
	env_fini(&hosts);
	unlink(file);
}

static void
test_environment_is_literal_and_jobs_env_refers(void **state)
{
	struct job_spec job = { 0 };
	struct env server = { 0 };

	(void)state;
	env_add(&server, "MESSAGE", "it's $HOME `id` \"x\" \\ \n$(id)");
	env_add(&server, "HOST", "10.0.0.2");
	env_add(&job.env, "A", "${IMAGE_VAR}!");
	env_add(&job.env, "A", "$A$HOST.");
	env_add(&job.env, "DOLLARS", "$$HOST a$ $1 ${} ${HOST ${HOST:-x} `id` \"q\" \\n 中文$");
	SEGMENT(&job, "script", "printf '%s|' \"$MESSAGE\" \"$A\" \"$DOLLARS\"");
	expect(&job, &server, 0, "begin script,end script 0,",
	    SHOWN("printf '%s|' \"$MESSAGE\" \"$A\" \"$DOLLARS\"") "it's $HOME `id` \"x\" \\ \n$(id)|from the "
								   "image!10.0.0.2.|"
								   "$HOST a$ $1 ${} ${HOST ${HOST:-x} `id` \"q\" \\n "
								   "中文$|");
	env_fini(&server);
}

static void
test_commands_that_go_over_lines_and_items(void **state)
{
	struct job_spec job = { 0 };

	(void)state;
	SEGMENT(&job, "script", "echo a \\", "b", "cat <<EOF\nin $((1 + 1))\nEOF", "cat <<-'END'", "\tx $y", "\tEND",
	    "for i in 1 2\ndo\n\techo $i\ndone", "echo last \\");
	expect(&job, NULL, 0, "begin script,end script 0,",
	    SHOWN("echo a \\\nb") "a b\n" SHOWN("cat <<EOF\nin $((1 + 1))\nEOF") "in 2\n" SHOWN(
		"cat <<-'END'\n\tx $y\n\tEND") "x $y\n" SHOWN("for i in 1 2\ndo\n\techo $i\ndone") "1\n2\n" SHOWN("echo"
														  " las"
														  "t "
														  "\\") "last\n");
	SEGMENT(&job, "script", "if true; then", "echo yes", "fi", "echo $((1 << 2)) '<<NEVER'", "echo end # comment");
	expect(&job, NULL, 0, "begin script,end script 0,",
	    SHOWN("if true; then") SHOWN("echo yes") "yes\n" SHOWN("fi")
		SHOWN("echo $((1 << 2)) '<<NEVER'") "4 <<NEVER\n" SHOWN("echo end # comment") "end\n");
	SEGMENT(&job, "script", "echo 'open");
	SEGMENT(&job, "after", "echo never");
	expect(&job, NULL, 2, "begin script,end script 2,", NULL);
}

static void
test_commands_find_an_empty_input_and_no_script(void **state)
{
	struct job_spec job = { 0 };

	(void)state;
	SEGMENT(&job, "script", "cat", "{ cat <&3; } 2>/dev/null || echo closed", "echo 一二三 ąść 🚢");
	expect(&job, NULL, 0, "begin script,end script 0,",
	    SHOWN("cat") SHOWN("{ cat <&3; } 2>/dev/null || echo closed") "closed\n" SHOWN(
		"echo 一二三 ąść 🚢") "一二三 ąść 🚢\n");
}

/* Above every limit of argv, and of what one pipe holds. */
static void
test_large_segments(void **state)
{
	struct job_spec job = { 0 };
	char *command = xcalloc(1, 200001);
	struct segment_spec *s;

	(void)state;
	memset(command, 'x', 200000);
	memcpy(command, ": ", 2);
	SEGMENT(&job, "script", "n=0");
	s = &job.segments[0];
	s->commands = xrealloc(s->commands, 2004 * sizeof(*s->commands));
	for (int i = 0; i < 2000; i++)
		s->commands[s->command_count++] = xstrdup("n=$((n + 1))");
	s->commands[s->command_count++] = command;
	s->commands[s->command_count++] = xstrdup("exit $((n / 100))");
	expect(&job, NULL, 20, "begin script,end script 20,", NULL);
}

static void
test_markers_of_another_nonce_are_output(void **state)
{
	struct job_spec job = { 0 };

	(void)state;
	SEGMENT(&job, "script", "printf '\\036ffffffffffffffffffffffffffffffff end script 0\\n'");
	expect(&job, NULL, 0, "begin script,end script 0,",
	    SHOWN("printf '\\036ffffffffffffffffffffffffffffffff end script 0\\n'") "\036ffffffffffffffffffffffffffffff"
										    "ff end script 0\n");
}

static void
test_missing_workspace_has_its_own_code(void **state)
{
	struct job_spec job = { 0 };
	struct script_spec spec;
	struct outcome o;
	struct err err;
	char *script;
	size_t len;

	(void)state;
	SEGMENT(&job, "script", "echo never");
	spec = spec_of(&job, NULL);
	spec.workspace = "/nonexistent/it's";
	assert_true(script_make(&spec, &script, &len, &err));
	o = run("sh", script, len);
	assert_int_equal(o.exit_code, SCRIPT_NO_WORKSPACE);
	assert_string_equal(o.events.data, "");
	outcome_fini(&o);
	free(script);
	job_spec_fini(&job);
}

/* A container's work in a folder of its own: what the script_boot of every shell makes of the first len bytes. */
static void
expect_boot(const struct buf *tar, size_t len, int exit_code, const char *output)
{
	char work[sizeof(folder) + 16], own[sizeof(folder) + 16], remove[sizeof(folder) + 16];

	snprintf(work, sizeof(work), "%s/workspace", folder);
	snprintf(own, sizeof(own), "%s/davit", folder);
	snprintf(remove, sizeof(remove), "rm -rf %s/*", folder);
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		bool is_busybox = strcmp(shells[i], "busybox") == 0;
		const char *const command[] = { shells[i], "sh", "-c", script_boot, folder, work, own, NULL };
		const char *const own_command[] = { shells[i], "-c", script_boot, folder, work, own, NULL };
		struct outcome o = run_command(is_busybox ? command : own_command, tar->data, len);

		if (o.exit_code != 127) { /* it is here */
			assert_int_equal(o.exit_code, exit_code);
			assert_string_equal(o.output.data, output);
		}
		outcome_fini(&o);
		assert_int_equal(system(remove), 0);
	}
}

static void
test_an_input_that_ends_between_two_members_is_not_run(void **state)
{
	struct buf tar;
	size_t cut;

	(void)state;
	buf_init(&tar, 64 * TAR_BLOCK);
	tar_add_dir(&tar, "davit", 0700, 0);
	tar_add_file(&tar, "davit/script", 0600, 0, STR("echo runs\nexit 3\n"));
	tar_add_file(&tar, "workspace/a", 0600, 0, STR("a"));
	cut = tar.len;
	tar_add_file(&tar, "davit/" SCRIPT_BOOT_WHOLE, 0600, 0, STR(""));
	tar_end(&tar);
	expect_boot(&tar, tar.len, 3, SCRIPT_BOOT_READY "runs\n");
	expect_boot(&tar, cut, SCRIPT_NO_WORKSPACE, SCRIPT_BOOT_READY);
	buf_fini(&tar);
}

static void
test_what_cannot_be_a_script_is_refused(void **state)
{
	static const char *const bad[] = { "", "1A", "A-B", "A B", "UID", "PPID", "Ä", "A=" };
	struct job_spec job = { 0 };
	struct script_spec spec;
	struct env env;
	struct err err;
	char *script;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(script_may_set(bad[i]));
		env = (struct env){ 0 };
		env_add(&env, bad[i], "x");
		spec = spec_of(&job, &env);
		assert_false(script_make(&spec, &script, &len, &err));
		assert_int_equal(err.code, ERR_INPUT);
		env_fini(&env);
	}
	assert_true(script_may_set("_a1"));
	SEGMENT(&job, "script", "echo " NONCE);
	spec = spec_of(&job, NULL);
	assert_false(script_make(&spec, &script, &len, &err));
	assert_string_equal(err.text, "a command of script contains the job's nonce");
	job_spec_fini(&job);
	SEGMENT(&job, "script", "x");
	job.segments[0].commands[0] = xrealloc(job.segments[0].commands[0], (3 << 20) + 1);
	memset(job.segments[0].commands[0], 'x', 3 << 20);
	job.segments[0].commands[0][3 << 20] = '\0';
	spec = spec_of(&job, NULL);
	assert_false(script_make(&spec, &script, &len, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	job_spec_fini(&job);
}

static void
always_add(struct job_spec *job, const char *name, const char *const *commands)
{
	segment_add(job, name, commands);
	job->segments[job->segment_count - 1].always = true;
}

#define ALWAYS(job, name, ...) always_add(job, name, (const char *const[]){ __VA_ARGS__, NULL })

static void
test_what_runs_always_finds_the_outcome(void **state)
{
	struct job_spec job = { 0 };

	(void)state;
	SEGMENT(&job, "script", "true");
	ALWAYS(&job, "after_script", "echo \"<$DAVIT_JOB_STATUS>\"", "exit 9");
	expect(&job, NULL, 0, "begin script,end script 0,end .job 0,begin after_script,end after_script 9,",
	    SHOWN("true") SHOWN("echo \"<$DAVIT_JOB_STATUS>\"") "<passed>\n" SHOWN("exit 9"));
	SEGMENT(&job, "before_script", "exit 4");
	SEGMENT(&job, "script", "echo never");
	ALWAYS(&job, "after_script", "echo \"<$DAVIT_JOB_STATUS>\"");
	ALWAYS(&job, "last", "echo \"<$DAVIT_JOB_STATUS>\"");
	expect(&job, NULL, 4,
	    "begin before_script,end before_script 4,end .job 4,begin after_script,end after_script 0,begin last,end "
	    "last "
	    "0,",
	    SHOWN("exit 4")
		SHOWN("echo \"<$DAVIT_JOB_STATUS>\"") "<failed>\n" SHOWN("echo \"<$DAVIT_JOB_STATUS>\"") "<failed>\n");
	SEGMENT(&job, "script", "false");
	ALWAYS(&job, "cleanup", "true");
	SEGMENT(&job, "more", "echo never");
	expect(&job, NULL, 1, "begin script,end script 1,begin cleanup,end cleanup 0,", NULL);
}

/* As script_stop does it, which would kill this test. */
static void
test_a_stopped_script_runs_only_what_runs_always(void **state)
{
	struct job_spec job = { 0 };
	struct script_spec spec;
	char *command = xasprintf("echo cancelled >%s/status; kill -9 $$", folder);
	char *late = xasprintf("echo timed_out >%s/status", folder);

	(void)state;
	SEGMENT(&job, "script", command);
	SEGMENT(&job, "more", "echo never");
	ALWAYS(&job, "after_script", "echo \"<$DAVIT_JOB_STATUS>\"");
	spec = spec_of(&job, NULL);
	spec.hold_s = 1000;
	expect_of(&spec, 137, "begin script,end script 137,end .job 137,begin after_script,end after_script 0,", NULL);
	job_spec_fini(&job);
	SEGMENT(&job, "script", late);
	SEGMENT(&job, "more", "echo never");
	ALWAYS(&job, "after_script", "echo \"<$DAVIT_JOB_STATUS>\"");
	expect(&job, NULL, 1,
	    "begin script,end script 0,begin more,end more 1,end .job 1,begin after_script,end after_script 0,", NULL);
	free(command);
	free(late);
}

static void
test_a_failed_job_waits_when_told_so(void **state)
{
	struct job_spec job = { 0 };
	struct script_spec spec;

	(void)state;
	SEGMENT(&job, "script", "exit 3");
	spec = spec_of(&job, NULL);
	spec.hold_s = 1; /* which the script sleeps, and then ends as sleep does */
	expect_of(&spec, 0, "begin script,end script 3,end .job 3,begin .hold,", NULL);
	job.segments[0].commands[0][5] = '0';
	expect_of(&spec, 0, "begin script,end script 0,", NULL);
	job.segments[0].commands[0][5] = '5';
	ALWAYS(&job, "after_script", "true");
	spec.count = 2;
	expect_of(
	    &spec, 0, "begin script,end script 5,end .job 5,begin after_script,end after_script 0,begin .hold,", NULL);
	job_spec_fini(&job);
}

static void
test_a_part_of_a_job(void **state)
{
	struct job_spec job = { 0 };
	struct script_spec spec;

	(void)state;
	SEGMENT(&job, "build", "echo never");
	SEGMENT(&job, "Unit tests: 1.2 of .all", "echo \"$A$B\"");
	ALWAYS(&job, "after_script", "echo \"<$DAVIT_JOB_STATUS>$A\"");
	env_add(&job.env, "B", "b");
	env_add(&job.segments[1].env, "A", "${B}a");
	spec = spec_of(&job, NULL);
	spec.first = 1;
	spec.count = 1;
	expect_of(
	    &spec, 0, "begin Unit-tests--1.2-of-.all,end Unit-tests--1.2-of-.all 0,", SHOWN("echo \"$A$B\"") "bab\n");
	spec.count = 2;
	spec.status = "cancelled";
	expect_of(&spec, 1, "end .job 1,begin after_script,end after_script 0,",
	    SHOWN("echo \"<$DAVIT_JOB_STATUS>$A\"") "<cancelled>\n");
	assert_int_equal(script_after(&job), 2);
	job.segments[2].always = false;
	assert_int_equal(script_after(&job), 3);
	job_spec_fini(&job);
}

static int
make_workspace(void **state)
{
	(void)state;
	return mkdtemp(workspace) != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

static int
remove_workspace(void **state)
{
	char path[sizeof(workspace) + 16];

	(void)state;
	snprintf(path, sizeof(path), "%s/sub/file", workspace);
	unlink(path);
	snprintf(path, sizeof(path), "%s/sub", workspace);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/pid", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/env", folder);
	unlink(path);
	return rmdir(workspace) | rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_run_in_order_and_are_shown),
		cmocka_unit_test(test_first_failing_segment_ends_the_job),
		cmocka_unit_test(test_segments_share_files_but_no_variables),
		cmocka_unit_test(test_hosts_of_services),
		cmocka_unit_test(test_environment_is_literal_and_jobs_env_refers),
		cmocka_unit_test(test_commands_that_go_over_lines_and_items),
		cmocka_unit_test(test_commands_find_an_empty_input_and_no_script),
		cmocka_unit_test(test_large_segments),
		cmocka_unit_test(test_markers_of_another_nonce_are_output),
		cmocka_unit_test(test_what_runs_always_finds_the_outcome),
		cmocka_unit_test(test_a_stopped_script_runs_only_what_runs_always),
		cmocka_unit_test(test_a_failed_job_waits_when_told_so),
		cmocka_unit_test(test_a_part_of_a_job),
		cmocka_unit_test(test_missing_workspace_has_its_own_code),
		cmocka_unit_test(test_an_input_that_ends_between_two_members_is_not_run),
		cmocka_unit_test(test_what_cannot_be_a_script_is_refused),
	};

	return cmocka_run_group_tests(tests, make_workspace, remove_workspace);
}
