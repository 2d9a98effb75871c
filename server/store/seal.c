#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/store/op.h"

char *
store_seal(const struct store *store, const char *place, const char *clear)
{
	if (clear == NULL || *clear == '\0')
		return xstrdup("");
	return crypto_seal(store->conf.seal_key, place, str_of(clear));
}

bool
store_unseal(const struct store *store, const char *place, char **secret, bool *is_old, struct err *err)
{
	char *clear = NULL;
	bool ok, old = false;

	if (is_old != NULL)
		*is_old = false;
	if (**secret == '\0')
		return true;
	ok = crypto_unseal(store->conf.seal_key, place, str_of(*secret), &clear, NULL, err);
	if (!ok && store->conf.has_old_seal_key)
		ok = old = crypto_unseal(store->conf.old_seal_key, place, str_of(*secret), &clear, NULL, err);
	if (!ok)
		return false;
	if (is_old != NULL)
		*is_old = old;
	free(*secret);
	*secret = clear;
	return true;
}

void
store_set_seal_keys(struct store *store, const unsigned char *key, const unsigned char *old)
{
	memmove(store->conf.seal_key, key, SEAL_KEY_SIZE);
	store->conf.has_old_seal_key = old != NULL;
	if (old != NULL)
		memmove(store->conf.old_seal_key, old, SEAL_KEY_SIZE);
	else
		explicit_bzero(store->conf.old_seal_key, SEAL_KEY_SIZE);
}
