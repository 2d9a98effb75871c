#include "proto/role.h"

#include <string.h>

static const char *const names[] = {
	[ROLE_ADMIN] = "admin",
	[ROLE_DEPLOY] = "deploy",
	[ROLE_DEVELOP] = "develop",
	[ROLE_READ] = "read",
	[ROLE_NOTIFY] = "notify",
	[ROLE_PUBLIC] = "public",
};

const char *
role_name(enum role role)
{
	return names[role];
}

bool
role_from_name(const char *name, enum role *ret)
{
	for (int role = ROLE_ADMIN; role < ROLE_PUBLIC; role++)
		if (strcmp(name, names[role]) == 0) {
			*ret = (enum role)role;
			return true;
		}
	return false;
}
