#include "server/controller/figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds: upper bounds of the histogram's buckets. */
static const unsigned bounds_ms[FIGURES_HOOK_BUCKETS] = { 1, 2, 5, 10, 20, 50, 100, 250, 500, 1000 };

int64_t
figures_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
figures_add_hook(struct figures *figures, int64_t us)
{
	size_t i = 0;

	while (i < FIGURES_HOOK_BUCKETS && us > (int64_t)bounds_ms[i] * 1000)
		i++;
	figures->hooks[i]++;
	figures->hook_us += (uint64_t)us;
}

void
figures_add_build(struct figures *figures, enum build_state state)
{
	if (build_state_is_final(state))
		figures->builds[state - BUILD_PASSED]++;
}

void
figures_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
figures_value(struct buf *out, const char *name, const char *labels, double value)
{
	if (labels != NULL)
		buf_addf(out, "%s{%s} %.17g\n", name, labels, value);
	else
		buf_addf(out, "%s %.17g\n", name, value);
}

void
figures_one(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	figures_head(out, name, type, help);
	figures_value(out, name, NULL, value);
}

static void
print_builds(const struct figures *figures, struct buf *out)
{
	char label[48];

	figures_head(out, "davit_builds_total", "counter", "Builds that ended since the start, by final state.");
	for (int i = 0; i < FIGURES_FINAL_STATES; i++) {
		snprintf(label, sizeof(label), "state=\"%s\"", build_state_name((enum build_state)(BUILD_PASSED + i)));
		figures_value(out, "davit_builds_total", label, (double)figures->builds[i]);
	}
}

void
figures_histogram(struct buf *out, const char *name, const char *help, const struct figures_times *times)
{
	char bucket[64], label[32];
	uint64_t sum = 0;

	figures_head(out, name, "histogram", help);
	snprintf(bucket, sizeof(bucket), "%s_bucket", name);
	for (size_t i = 0; i < times->bounds; i++) {
		sum += times->counts[i];
		snprintf(label, sizeof(label), "le=\"%g\"", times->bounds_ms[i] / 1000.0);
		figures_value(out, bucket, label, (double)sum);
	}
	sum += times->counts[times->bounds];
	figures_value(out, bucket, "le=\"+Inf\"", (double)sum);
	snprintf(bucket, sizeof(bucket), "%s_sum", name);
	figures_value(out, bucket, NULL, (double)times->total_us / 1e6);
	snprintf(bucket, sizeof(bucket), "%s_count", name);
	figures_value(out, bucket, NULL, (double)sum);
}

static void
print_hooks(const struct figures *figures, struct buf *out)
{
	const struct figures_times times = { bounds_ms, FIGURES_HOOK_BUCKETS, figures->hooks, figures->hook_us };

	figures_histogram(
	    out, "davit_hook_duration_seconds", "Time from a delivery's last byte to its answer.", &times);
}

/* Pages, from /proc/self/statm; 0 when it cannot be read. */
static double
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long total, resident = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and the directory's own */
}

static void
print_process(struct buf *out)
{
	struct rusage usage;
	struct rlimit limit;

	getrusage(RUSAGE_SELF, &usage);
	getrlimit(RLIMIT_NOFILE, &limit);
	figures_one(out, "process_cpu_seconds_total", "counter", "Time on the processor.",
	    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	figures_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
	figures_one(out, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
	figures_one(out, "process_max_fds", "gauge", "Limit of file descriptors.", (double)limit.rlim_cur);
}

void
figures_print(const struct figures *figures, struct buf *out)
{
	print_builds(figures, out);
	print_hooks(figures, out);
	print_process(out);
}
