/* Descriptors that this process was started with, beyond the three streams. They come from an older davitd that hands
 * its place over (listening sockets, the lock, the line between the two), or from systemd's socket activation
 * (LISTEN_FDS). Whoever needs one takes it by its name; what nobody took is closed. */
#ifndef DAVIT_CORE_INHERITED_H
#define DAVIT_CORE_INHERITED_H

#include <stdbool.h>

/* The environment's word from davitd to davitd: the names of descriptor 3 and those behind it, with : between. */
#define INHERITED_VARIABLE "DAVIT_HANDOVER"
#define INHERITED_ACTIVATED \
	"activated" /* all of systemd's, whatever it calls them: sockets are told by their address */

enum { INHERITED_MAX = 64 };

struct inherited;

/* Reads the environment and forgets it, so that no child takes it for its own. */
struct inherited *inherited_new(void);
/* Closes what is left, with a word in the log. Accepts NULL inside. */
void inherited_free(struct inherited **inherited);

/* The first of that name which fits (NULL: any), close-on-exec; it is the caller's. -1: there is none. */
typedef bool inherited_fits_fn(int fd, const void *arg);
int inherited_take(struct inherited *inherited, const char *name, inherited_fits_fn *fits, const void *arg);
/* Whether one of that name is left. */
bool inherited_has(const struct inherited *inherited, const char *name);

#endif
