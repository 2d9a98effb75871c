/* The access tokens of the store, as auth.h wants to know them: read when Redis is there, and whenever they change, on
 * this daemon or another one. */
#ifndef DAVIT_CONTROLLER_ACCESS_H
#define DAVIT_CONTROLLER_ACCESS_H

struct access;
struct auth;
struct loop;
struct store;

/* Somebody may no longer what he may have begun, as a stream: whoever is asked again is asked who he is. */
typedef void access_lost_fn(void *arg);

/* auth and store must outlive it. */
struct access *access_new(struct loop *loop, struct store *store, struct auth *auth, access_lost_fn *lost, void *arg);
/* Accepts NULL. */
void access_free(struct access **access);
/* Reads them (again); until it has the answer what was known holds. Asks once more when there is none. */
void access_reload(struct access *access);

#endif
