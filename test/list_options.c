/* Prints the table of server/conf.c, an option a line: key, default ("-": it must be written), help; for
 * conf-options.sh. */
#include <stdio.h>

#include "server/conf.h"

int
main(void)
{
	const char *key, *fallback, *help;

	for (size_t i = 0; (key = conf_option(i, &fallback, &help)) != NULL; i++)
		printf("%s\t%s\t%s\n", key, fallback != NULL ? fallback : "-", help);
	return 0;
}
