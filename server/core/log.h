/* The daemon's log: one line per event on standard error, which journald takes (with its <n> priority prefix when
 * standard error is the journal). The owner of a flow logs once, at its end, with the id in front: "job 17.2: passed ...".
 * proto/ never logs. */
#ifndef DAVIT_CORE_LOG_H
#define DAVIT_CORE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
/* "error", "warn", "info" or "debug"; false for anything else. */
bool log_level_from_name(const char *name, enum log_level *ret);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
