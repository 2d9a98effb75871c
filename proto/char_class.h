/* Bracketed classes of characters, as globs and regular expressions write them: where one ends. */
#ifndef DAVIT_PROTO_CHAR_CLASS_H
#define DAVIT_PROTO_CHAR_CLASS_H

/* The closing bracket of the class whose first member is at s; NULL when there is none. A ] that comes first is a
 * member, and \x is x. */
const char *char_class_end(const char *s);

#endif
