#include "test/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/core/crash.h"

/* What --crash-points prints. The caller frees it. */
static char *
listed(void)
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	crash_list(file);
	fclose(file);
	return text;
}

static struct err
init_err(const char *wish)
{
	struct err err = ERR_OK;

	setenv("DAVIT_CRASH", wish, 1);
	assert_false(crash_init(&err));
	unsetenv("DAVIT_CRASH");
	return err;
}

#ifdef DAVIT_CRASH_POINTS

/* Passes hook_verified so often in a process of its own, which begins with crash_init. The signal that ended it. */
static int
signal_after(int passes)
{
	pid_t pid = fork();
	struct err err;
	int status;

	if (pid == 0) {
		if (!crash_init(&err))
			_exit(1);
		CRASH_POINT(change_accepted);
		for (int i = 0; i < passes; i++)
			CRASH_POINT(hook_verified);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
test_dies_at_the_point_and_pass_that_are_asked_for(void **state)
{
	(void)state;
	assert_int_equal(signal_after(5), 0);
	setenv("DAVIT_CRASH", "hook_verified", 1);
	assert_int_equal(signal_after(0), 0);
	assert_int_equal(signal_after(1), SIGKILL);
	setenv("DAVIT_CRASH", "hook_verified:3", 1);
	assert_int_equal(signal_after(2), 0);
	assert_int_equal(signal_after(3), SIGKILL);
	unsetenv("DAVIT_CRASH");
}

static void
test_what_cannot_be_is_refused(void **state)
{
	static const char *const wishes[] = { "", "hook", "hook_verified:0", "hook_verified:-1", "hook_verified:x",
		"hook_verified:1x", "hook_verified:", "hook_verified_and_a_name_that_is_longer_than_any_point_has:1" };

	(void)state;
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		assert_non_null(strstr(init_err(wishes[i]).text, "DAVIT_CRASH: "));
	assert_non_null(strstr(init_err("hook").text, "davitd --crash-points"));
}

static void
test_a_shared_page_arms_and_counts(void **state)
{
	char path[] = "/tmp/davit-crash-XXXXXX";
	int fd = mkstemp(path);
	struct crash_page *page;

	(void)state;
	assert_int_equal(ftruncate(fd, sizeof(*page)), 0);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	setenv("DAVIT_CRASH_PAGE", path, 1);
	assert_int_equal(signal_after(5), 0);
	assert_int_equal(page->passed[CRASH_hook_verified], 5);
	assert_int_equal(page->passed[CRASH_change_accepted], 1);
	page->left = 2;
	strcpy(page->name, "hook_verified");
	assert_int_equal(signal_after(5), SIGKILL);
	assert_int_equal(page->passed[CRASH_hook_verified], 7);
	assert_int_equal(signal_after(5), 0); /* it has been */
	unsetenv("DAVIT_CRASH_PAGE");
	munmap(page, sizeof(*page));
	close(fd);
	unlink(path);
}

static void
test_list_names_each_once(void **state)
{
	static const char *const names[] = {
#define CRASH_NAME(name, what) #name,
		CRASH_POINTS(CRASH_NAME)
#undef CRASH_NAME
	};
	char *text = listed(), *at = text;

	(void)state;
	assert_true(CRASH_COUNT >= 60);
	for (size_t i = 0; i < CRASH_COUNT; i++) {
		assert_true(strlen(names[i]) < CRASH_NAME_MAX);
		assert_int_equal(strncmp(at, names[i], strlen(names[i])), 0);
		assert_int_equal(at[strlen(names[i])], '\t');
		at = strchr(at, '\n') + 1;
	}
	assert_string_equal(at, "");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dies_at_the_point_and_pass_that_are_asked_for),
		cmocka_unit_test(test_what_cannot_be_is_refused),
		cmocka_unit_test(test_a_shared_page_arms_and_counts),
		cmocka_unit_test(test_list_names_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void
test_nothing_is_left_of_them(void **state)
{
	char *text = listed();
	struct err err;

	(void)state;
	assert_non_null(strstr(text, "--enable-crash-points"));
	free(text);
	assert_true(crash_init(&err));
	assert_non_null(strstr(init_err("hook_verified").text, "built without"));
	CRASH_POINT(hook_verified);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_nothing_is_left_of_them) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
