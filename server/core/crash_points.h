/* Every place where a test may kill davitd, as a table: X(name, what has happened when it is passed). A transition has
 * three: before its durable write, after it and before what it brings about, and after that but before its result is
 * written. test/integration/test_crash_points.py dies at each of them. */
#ifndef DAVIT_CORE_CRASH_POINTS_H
#define DAVIT_CORE_CRASH_POINTS_H

/* clang-format off */
#define CRASH_POINTS(X) \
	/* the start */ \
	X(state_locked,         "the state folder is ours; nothing else has begun") \
	X(key_written,          "a new key is in its temporary file, not yet under its name") \
	X(redis_launching,      "no redis-server runs; ours is about to be started") \
	X(redis_launched,       "redis-server was started and is not watched yet") \
	X(redis_up,             "Redis is connected and its persistence was checked") \
	X(node_registering,     "the node is about to be registered") \
	X(node_registered,      "it has a new epoch; its older claims are not known yet") \
	X(left_known,           "the jobs of the process before are known; nothing is done about them") \
	X(job_left,             "one of them is looked at") \
	X(engine_listed,        "a sweep knows what is on the engine and removes it next") \
	X(engine_removed,       "a sweep has removed one thing of several") \
	X(engine_swept,         "a sweep is done; the engine is not in use yet") \
	X(engine_up,            "the engine is in use from here on") \
	/* a delivery */ \
	X(hook_verified,        "a delivery is genuine; nothing is written") \
	X(change_accepted,      "its change is on disk; the forge has no answer") \
	X(change_answered,      "the 202 is on its way") \
	X(submit_accepted,      "a build by hand is on disk; nobody was told") \
	/* planning */ \
	X(plan_claiming,        "a build to plan is about to be claimed") \
	X(plan_claimed,         "it is claimed; nothing is done for it") \
	X(mirror_making,        "the repository's mirror is about to be made") \
	X(fetch_beginning,      "its commit is about to be fetched") \
	X(fetch_ended,          "the commit is in the mirror") \
	X(workspace_packed,     "the workspace's tar is whole and nobody has it") \
	X(plan_made,            "the plan is made; nothing of it is written") \
	X(commit_recording,     "the commit that was found out is about to be recorded") \
	X(commit_recorded,      "it is; the plan is not") \
	X(plan_recording,       "the plan is about to be recorded") \
	X(plan_recorded,        "the jobs are in the queue; the planner has not let go") \
	/* a job up to its start */ \
	X(job_claiming,         "a job is about to be claimed") \
	X(job_claimed,          "it is claimed; nothing is done for it") \
	X(job_begun,            "its log is open") \
	X(secrets_found,        "its secrets are in memory") \
	X(workspace_ready,      "it has its workspace") \
	X(files_gathered,       "it has its caches and artifacts") \
	X(pull_beginning,       "an image is about to be pulled") \
	X(pull_ended,           "the pull has ended; nobody was told") \
	X(volume_making,        "the volume of a job of several images is about to be made") \
	X(volume_made,          "it is") \
	X(network_making,       "a network is about to be made") \
	X(network_made,         "it is; nothing holds it") \
	X(sandbox_ready,        "it is held and free for a job") \
	X(container_making,     "a container is about to be made") \
	X(container_made,       "it is; its name is all that says so") \
	X(container_starting,   "it is about to be started") \
	X(container_started,    "it is") \
	X(warm_taken,           "a job has a container that was started in advance") \
	X(services_starting,    "a job's services are about to be started") \
	X(services_ready,       "they are ready; the job is not told") \
	X(start_recording,      "the job's start is about to be recorded") \
	X(start_recorded,       "it is; the container waits for its work") \
	X(job_feeding,          "script and workspace are about to be sent") \
	X(job_fed,              "they are on their way") \
	/* its output and its end */ \
	X(log_text_written,     "output is in the log's file and not in its index") \
	X(log_text_indexed,     "it is in both; no follower has it") \
	X(segment_marked,       "a segment's begin or end is in the index") \
	X(script_ended,         "the script has said how it came out") \
	X(exit_seen,            "the engine has told the exit code") \
	X(output_drained,       "the output has ended") \
	X(verdict_recording,    "a job is ended by force; how it comes out is about to be recorded") \
	X(verdict_recorded,     "it is; its container is as it was") \
	X(timeout_passed,       "a job has run for too long and is about to be ended") \
	X(cancel_heard,         "a job's node hears that it is to end") \
	X(collect_beginning,    "the script is over; its files are about to be taken") \
	X(report_recording,     "test reports are about to be recorded") \
	X(report_recorded,      "they are") \
	X(file_written,         "an artifact or cache is whole in its temporary file") \
	X(file_named,           "it has its name") \
	X(artifact_recording,   "an artifact's file lasts; there is no record of it") \
	X(artifact_recorded,    "there is") \
	X(cache_recording,      "a cache's file lasts; there is no record of it") \
	X(cache_recorded,       "there is") \
	X(files_collected,      "all files were taken") \
	X(image_building,       "an image is about to be built") \
	X(image_built,          "it is") \
	X(image_recorded,       "that it is, is recorded; it is not pushed") \
	X(image_pushed,         "it is; that is not recorded") \
	/* an application on its way to an engine */ \
	X(rollout_ready,        "the engine has all images; nothing is recorded") \
	X(rollout_creating,     "a new container is about to be made") \
	X(rollout_starting,     "it is about to be started") \
	X(rollout_started,      "it is; nobody was told") \
	X(rollout_gating,       "it runs; whether it is well is not known") \
	X(rollout_stopping,     "a container is about to be stopped") \
	X(rollout_decided,      "how the deployment comes out is known, and not recorded") \
	X(rollout_removing,     "that is recorded; what is not wanted is about to be removed") \
	X(rollout_ended,        "nothing is left to do; the result is not recorded") \
	/* a job's end */ \
	X(container_removing,   "a container is about to be removed") \
	X(container_removed,    "it is") \
	X(volume_removed,       "a job's volume is removed") \
	X(job_held,             "a failed job's container is kept; its result is recorded") \
	X(run_ended,            "the job has come to its result, which is in memory alone") \
	X(log_finishing,        "the log's last record is written and not synced") \
	X(log_synced,           "the log lasts; the result is not recorded") \
	X(result_recording,     "the result is about to be recorded") \
	X(result_recorded,      "it is; the job's slot is not free") \
	X(job_ended,            "the job is forgotten here; its container is the builder's alone") \
	/* messages */ \
	X(outbox_claiming,      "a message is about to be claimed") \
	X(notice_claimed,       "it is; nothing was sent") \
	X(fanout_recording,     "an event is about to become messages") \
	X(fanout_recorded,      "it has") \
	X(status_sending,       "a commit status is about to be sent") \
	X(status_sent,          "the forge has it; that is not recorded") \
	X(status_acking,        "that is about to be recorded") \
	X(status_acked,         "it is") \
	X(status_putting_off,   "the forge has refused; that is about to be recorded") \
	X(status_put_off,       "it is: it is sent again later") \
	X(status_dropping,      "a message that nobody takes is about to be given up") \
	/* what people and the clock ask for */ \
	X(cancel_asking,        "a build is about to be cancelled") \
	X(cancel_recorded,      "it is; who asked has no answer") \
	X(decision_recorded,    "an approval or a refusal is recorded; who decided has no answer") \
	X(rerun_asking,         "a rerun is about to be recorded") \
	X(rerun_recorded,       "it is; who asked has no answer") \
	X(schedule_firing,      "a schedule is due; its build is about to be made") \
	X(schedule_fired,       "the build is made") \
	X(lease_renewing,       "leases are about to be renewed") \
	X(lease_renewed,        "they are") \
	X(promoting,            "what is due is about to be looked for") \
	X(promoted,             "what was due is in the queue; jobs without a living node are known") \
	X(job_requeueing,       "a job without a container is about to go back into the queue") \
	X(job_requeued,         "it is in the queue") \
	/* housekeeping */ \
	X(key_changing,         "a new seal key is in its temporary file") \
	X(key_kept,             "the old one has its second name") \
	X(key_changed,          "the new one has its name; values are sealed by the old one") \
	X(key_resealing,        "values are about to be sealed anew") \
	X(key_resealed,         "all values are; the old key is there") \
	X(key_forgotten,        "the old key's file is gone") \
	X(pruning,              "old builds are about to be forgotten") \
	X(pruned,               "they are; their files are there") \
	X(artifacts_removed,    "a forgotten build's artifacts are gone; its logs are there") \
	X(artifacts_expired,    "expired artifacts are forgotten; their files are there") \
	X(caches_pruned,        "caches were forgotten to make room; their files are there") \
	/* the stop */ \
	X(stop_beginning,       "a stop was asked for") \
	X(stop_jobs_gone,       "no job runs; containers in stock are") \
	X(stop_engines_gone,    "nothing is on the engines") \
	X(stop_ending,          "only memory is left")
/* clang-format on */

#endif
