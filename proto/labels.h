/* Labels as one text, as queues are called: "arch=arm64,gpu", sorted, each once. What an engine has against what a job
 * wants. */
#ifndef DAVIT_PROTO_LABELS_H
#define DAVIT_PROTO_LABELS_H

#include <stdbool.h>

#include "proto/plan.h"

/* "" for none; free() it. Commas within a label, which no file can have, become dashes. */
char *labels_text(const struct strings *labels);
/* Whether all labels of wanted stand in offered, both made by labels_text. */
bool labels_fit(const char *wanted, const char *offered);
/* Whether one of them begins so. */
bool labels_have(const char *text, const char *beginning);
unsigned labels_count(const char *text);

#endif
