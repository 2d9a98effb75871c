/* The forms in which a secret may stand in a log: as it is and as common tools write it. proto/mask.h hides them; what
 * is not in this list is not hidden (doc/secrets.md says so to users).
 *
 *   the value itself, and each line of a value of several lines
 *   base64, both alphabets, with and without padding, at each of the three places that it may have in what was encoded;
 *   with the newline that echo adds; cut into lines of 64 and 76 characters; and base64 of that, up to 1 KiB of value
 *   hexadecimal in lower and upper case, also in the lines of xxd -p
 *   percent-encoding as URLs, forms and JavaScript have it
 *   JSON strings, with and without \/ and \u escapes
 *   shell quoting: '\'' and '"'"', backslashes, double quotes, $'...' */
#ifndef DAVIT_PROTO_MASK_FORMS_H
#define DAVIT_PROTO_MASK_FORMS_H

#include "proto/str.h"

/* A form or a line that is shorter than MASK_FORM_MIN would hide ordinary words, and is left out. The value itself is
 * always given. A form longer than MASK_PIECE is looked for by its pieces of that length; hence of one that differs
 * from another only at its end, only the end may be given. */
enum { MASK_FORM_MIN = 8, MASK_PIECE = 256 };

/* The value without blanks and newlines at its ends: what is looked for. */
struct str mask_core(struct str value);

typedef void mask_form_fn(void *arg, struct str form);
/* Calls fn for each form, some of them more than once; form is good for the call. */
void mask_forms(struct str value, mask_form_fn *fn, void *arg);

#endif
