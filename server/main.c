#include <stdio.h>

int
main(void)
{
	puts("davitd");
	return 0;
}
