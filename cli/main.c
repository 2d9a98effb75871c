#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/plan_options.h"

enum { USAGE_CODE = 2 };

static int help_run(int argc, char **argv);

/* clang-format off */
static const struct command commands[] = {
	{ "repo", "add ID --clone URL [OPTION VALUE ...] | set ID OPTION VALUE ... | list | show ID | remove ID |\n"
	  "         cron ls ID | cron add ID NAME --cron RULE [--timezone ZONE] [--branch B] [--param NAME=VALUE ...] | cron rm ID NAME",
	  "the repositories that are built, and when", repo_run },
	{ "start", "REPOSITORY [--branch B | --tag T] [--commit C] [--param NAME=VALUE ...] | REPOSITORY --help",
	  "build a branch, a tag or a commit now; --help lists the parameters of its pipeline", start_run },
	{ "secret",
	  "set NAME (--repo ID|--org NAME|--environment REPO/NAME) [--events LIST] [--branches LIST] [--file FILE] | ls | rm NAME ... |\n"
	  "         rotate-key",
	  "what jobs may ask for; the value is read from FILE or standard input", secret_run },
	{ "mirror", "status | purge URL | pin URL | unpin URL | pins |\n"
	  "         fetch [--platform OS/ARCH|all] [--file FILE] [URL|IMAGE ...]", "what the server's mirror has and saves; of URLs that begin so, purge drops what is stored, pin keeps it; fetch gets what is not there",
	  mirror_run },
	{ "token", "add NAME --role notify|read|develop|deploy|admin | ls | rm NAME",
	  "who may do what; add prints a token, which is shown this once", token_run },
	{ "builds", "[REPOSITORY]", "list the newest builds", builds_run },
	{ "jobs", "BUILD", "list a build's jobs, what they need, and what they wait for", jobs_run },
	{ "artifacts", "BUILD", "list what its jobs left behind", artifacts_run },
	{ "artifact", "get JOB NAME [FILE] [-o TO]", "fetch an artifact (.tar.zst), or one file of it", artifact_run },
	{ "tests", "BUILD", "what its tests said: counts, failed ones, coverage", tests_run },
	{ "log", "[-f] BUILD|JOB", "print a log; -f waits for the build, follows it live and exits with its result", log_run },
	{ "debug", "JOB | --release JOB", "open a terminal in a job that runs or is held; --release ends the holding", debug_run },
	{ "cancel", "BUILD", "end a build", cancel_run },
	{ "approve", "BUILD|JOB", "let a build of a fork's pull request begin, or a job deploy", approve_run },
	{ "reject", "BUILD|JOB", "end one that waits for approval", reject_run },
	{ "rerun", "BUILD [--failed | --job JOB]", "build the same change again, or only what failed, or one job", rerun_run },
	{ "environment",
	  "ls REPO | show REPO NAME | rm REPO NAME | lock REPO NAME [REASON] | unlock REPO NAME |\n"
	  "         set REPO NAME [--approve on|off] [--kind command|engine|swarm] [--engine E] [--image I]\n"
	  "           [--command C | --command-file F] [--variable NAME=VALUE ...]\n"
	  "           [--events LIST] [--branches LIST] [--tags LIST] [--deployers LIST]",
	  "where a repository is deployed to, and by whom", environment_run },
	{ "deployments", "REPO ENVIRONMENT", "what was deployed there", deployments_run },
	{ "deploy", "BUILD ENVIRONMENT", "bring what a build made to an environment of its pipeline", deploy_run },
	{ "rollback", "REPO ENVIRONMENT", "bring back what was deployed there before", rollback_run },
	{ "insights", "REPO [--days N]", "how long its builds and deployments take, and how well they go", insights_run },
	{ "lint", PLAN_OPTIONS, "check a pipeline file; daocloud.yml or davit.yml when none is named", lint_run },
	{ "plan", PLAN_OPTIONS, "print the jobs that a pipeline file comes to, as JSON", plan_run },
	{ "run", "[--job NAME] [--jobs N] [--deploy ENVIRONMENT ...] [--variable NAME=VALUE ...] [--alias IMAGE=OTHER ...] "
	  "[--engine URL] " PLAN_OPTIONS,
	  "run the pipeline of this working copy on an engine of this machine, without a server", run_run },
	{ "convert", "[--from SYSTEM] FILE",
	  "print another system's pipeline file (travis, gitlab, drone, woodpecker) in Davit's form", convert_run },
	{ "help", "[COMMAND]", "say what a command does", help_run },
};
/* clang-format on */

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void
print_commands(FILE *out)
{
	fputs("usage: davit COMMAND [ARGUMENT ...]\n\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].help);
	fputs("\nDAVIT_URL names the server, DAVIT_TOKEN or the file DAVIT_TOKEN_FILE holds a token of it.\n", out);
}

static int
help_run(int argc, char **argv)
{
	const struct command *command;

	if (argc == 1) {
		print_commands(stdout);
		return EXIT_OK;
	}
	command = find(argv[1]);
	if (argc > 2 || command == NULL)
		return EXIT_USAGE;
	printf("usage: davit %s %s\n%s\n", command->name, command->arguments, command->help);
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	const char *name = argc >= 2 ? argv[1] : "";
	const struct command *command;
	int code;

	signal(SIGPIPE, SIG_IGN);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("davit " PACKAGE_VERSION);
		return EXIT_OK;
	}
	command = find(name);
	if (command == NULL) {
		if (argc >= 2)
			fprintf(stderr, "davit: unknown command \"%s\"\n", name);
		print_commands(stderr);
		return USAGE_CODE;
	}
	code = command->run(argc - 1, argv + 1);
	if (code == EXIT_USAGE)
		fprintf(stderr, "usage: davit %s %s\n", command->name, command->arguments);
	if (code == EXIT_USAGE)
		code = USAGE_CODE;
	if (fflush(stdout) != 0 && code == EXIT_OK) {
		perror("davit: standard output");
		code = EXIT_PROBLEM;
	}
	return code;
}
