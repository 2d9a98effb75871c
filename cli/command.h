/* A command of the davit program. main.c has the table; each command is one file. */
#ifndef DAVIT_CLI_COMMAND_H
#define DAVIT_CLI_COMMAND_H

/* Exit codes of every command. */
enum { EXIT_OK = 0, EXIT_PROBLEM = 1, EXIT_USAGE = 0x100 /* 2, behind the usage: no program's own code */ };

struct command {
	const char *name;
	const char *arguments; /* as shown behind the name: "[FILE]" */
	const char *help;      /* one line */
	/* argv[0] is the command's name. Returns the exit code; EXIT_USAGE prints the command's usage. */
	int (*run)(int argc, char **argv);
};

int lint_run(int argc, char **argv);
int plan_run(int argc, char **argv);
int convert_run(int argc, char **argv);
int run_run(int argc, char **argv);
int repo_run(int argc, char **argv);
int start_run(int argc, char **argv);
int secret_run(int argc, char **argv);
int token_run(int argc, char **argv);
int mirror_run(int argc, char **argv);
int artifact_run(int argc, char **argv);
int artifacts_run(int argc, char **argv);
int tests_run(int argc, char **argv);
int builds_run(int argc, char **argv);
int jobs_run(int argc, char **argv);
int debug_run(int argc, char **argv);
int log_run(int argc, char **argv);
int cancel_run(int argc, char **argv);
int insights_run(int argc, char **argv);
int environment_run(int argc, char **argv);
int deployments_run(int argc, char **argv);
int deploy_run(int argc, char **argv);
int rollback_run(int argc, char **argv);
int rerun_run(int argc, char **argv);
int approve_run(int argc, char **argv);
int reject_run(int argc, char **argv);

#endif
