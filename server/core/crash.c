#include "server/core/crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef DAVIT_CRASH_POINTS

static const struct {
	const char *name;
	const char *what;
} points[CRASH_COUNT] = {
#define CRASH_ROW(name, what) { #name, what },
	CRASH_POINTS(CRASH_ROW)
#undef CRASH_ROW
};

static struct crash_page own;
static struct crash_page *page; /* NULL: nothing is asked for. The one thing here that is not passed along: a point has
				 * no argument, so that it may stand anywhere. */

static bool
is_known(const char *name)
{
	for (size_t i = 0; i < CRASH_COUNT; i++)
		if (strcmp(points[i].name, name) == 0)
			return true;
	return false;
}

/* name or name:n */
static bool
read_wish(const char *wish, struct err *err)
{
	size_t len = strcspn(wish, ":");
	const char *count = wish[len] == ':' ? wish + len + 1 : "1";
	char *end;
	long n = strtol(count, &end, 10);

	if (len >= sizeof(own.name) || end == count || *end != '\0' || n < 1 || n > INT32_MAX)
		return err_set(err, ERR_INPUT, 0, "DAVIT_CRASH: \"%s\" is not of the form name:n", wish);
	memcpy(own.name, wish, len);
	own.name[len] = '\0';
	if (!is_known(own.name))
		return err_set(err, ERR_INPUT, 0,
		    "DAVIT_CRASH: there is no crash point \"%s\": see davitd --crash-points", own.name);
	own.left = (uint32_t)n;
	page = &own;
	return true;
}

static bool
share_page(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*page)) == 0)
		map = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		*err = err_errno("DAVIT_CRASH_PAGE: %s", path);
	else
		page = map;
	if (fd >= 0)
		close(fd);
	return map != MAP_FAILED;
}

bool
crash_init(struct err *err)
{
	const char *wish = getenv("DAVIT_CRASH"), *path = getenv("DAVIT_CRASH_PAGE");

	if (path != NULL)
		return share_page(path, err);
	return wish == NULL || read_wish(wish, err);
}

void
crash_point(enum crash_point point)
{
	if (page == NULL)
		return;
	page->passed[point]++;
	if (strncmp(page->name, points[point].name, sizeof(page->name)) == 0 && --page->left == 0)
		kill(getpid(), SIGKILL);
}

void
crash_list(FILE *to)
{
	for (size_t i = 0; i < CRASH_COUNT; i++)
		fprintf(to, "%s\t%s\n", points[i].name, points[i].what);
}

#else

bool
crash_init(struct err *err)
{
	if (getenv("DAVIT_CRASH") == NULL && getenv("DAVIT_CRASH_PAGE") == NULL)
		return true;
	return err_set(err, ERR_INPUT, 0, "DAVIT_CRASH: this davitd was built without crash points");
}

void
crash_list(FILE *to)
{
	fputs("there are none: davitd was configured without --enable-crash-points\n", to);
}

#endif
