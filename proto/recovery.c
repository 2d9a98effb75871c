#include "proto/recovery.h"

#include <assert.h>

/* clang-format off */
static const struct recovery_row rows[] = {
	{ RECOVERY_UNSTARTED, "no container is on record", RECOVERY_AGAIN,
	  "davitd was restarted" },
	{ RECOVERY_IMAGE_BUILD, "it builds an image", RECOVERY_AGAIN,
	  "davitd was restarted, and the build of an image cannot be taken up" },
	{ RECOVERY_SECRET_CHANGED, "a secret was changed since it began", RECOVERY_AGAIN,
	  "davitd was restarted, and a secret that the job was given has been changed" },
	{ RECOVERY_NO_ENGINE, "its engine is not configured, or does not answer in the job's time", RECOVERY_AGAIN,
	  "davitd was restarted, and the job's engine did not come back" },
	{ RECOVERY_GONE, "its container is gone", RECOVERY_AGAIN,
	  "davitd was restarted, and the job's container was gone" },
	{ RECOVERY_CREATED, "its container was never started", RECOVERY_AGAIN,
	  "davitd was restarted" },
	{ RECOVERY_SERVICE_GONE, "the container of one of its services is gone", RECOVERY_AGAIN,
	  "davitd was restarted, and a service of the job was gone" },
	{ RECOVERY_NOT_WHOLE, "its container ended as its input was cut off", RECOVERY_AGAIN,
	  "davitd was restarted before the job had all its files" },
	{ RECOVERY_CUT_OFF, "its container ended in the midst of its script", RECOVERY_AGAIN,
	  "davitd was restarted, and the job's container was ended meanwhile" },
	{ RECOVERY_RUNNING, "its container runs", RECOVERY_ADOPT, "" },
	{ RECOVERY_ENDED, "its container has ended", RECOVERY_ADOPT, "" },
};
/* clang-format on */

const struct recovery_row *
recovery_rows(size_t *count)
{
	*count = sizeof(rows) / sizeof(rows[0]);
	return rows;
}

const struct recovery_row *
recovery_find(unsigned facts)
{
	const struct recovery_row *row = rows;

	while ((facts & row->fact) == 0) {
		row++;
		assert(row < rows + sizeof(rows) / sizeof(rows[0]));
	}
	return row;
}
