/* The words for a plan's enums, shared by its writer and its reader. */
#ifndef DAVIT_PROTO_PLAN_NAMES_H
#define DAVIT_PROTO_PLAN_NAMES_H

extern const char *const plan_when_names[3];   /* by enum notify_when */
extern const char *const plan_run_on_names[3]; /* by enum run_on */
extern const char *const plan_kind_names[3];   /* by enum job_kind */

extern const char *const plan_existing_names[3]; /* by enum build_existing */

#endif
