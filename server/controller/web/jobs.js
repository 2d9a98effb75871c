"use strict";

/* A build's jobs: in columns by their distance from the jobs that need nothing, and what there is to know about one. */

const JOB_FINAL = new Set(["passed", "failed", "cancelled", "timed_out", "error", "skipped"]);

function isUnsuccessful(job) {
	return ["failed", "timed_out", "error", "cancelled"].includes(job.state);
}

/* The one whose log is of interest. */
function jobOfInterest(jobs) {
	return jobs.find((job) => job.state === "running") || jobs.find((job) => isUnsuccessful(job) && !job.allow_failure) || jobs[0];
}

function jobColumns(jobs) {
	const depth = [], columns = [];
	for (const [i, job] of jobs.entries()) {
		depth[i] = Math.max(0, ...job.needs.map((k) => depth[k - 1] + 1));
		(columns[depth[i]] = columns[depth[i]] || []).push(job);
	}
	return columns;
}

function jobButton(job, isChosen, choose) {
	return el("button", {
		class: "card job" + (isChosen ? " here" : "") + (job.reused_from ? " reused" : ""),
		title: job.waits_for ? "waits for " + job.waits_for : job.reason || null,
		onclick: () => choose(job.id),
	}, state(job.state), el("span", { class: "name" }, job.name || job.id),
		job.attempt > 1 ? el("span", { class: "tag" }, "attempt " + job.attempt) : null,
		el("span", { class: "time" }, job.allow_failure && isUnsuccessful(job) ? "allowed to fail" : took(job) || job.waits_for || ""));
}

function drawJobs(place, jobs, chosen, choose) {
	const columns = jobColumns(jobs), button = (job) => jobButton(job, job.id === chosen, choose);
	place.hidden = jobs.length < 1;
	place.classList.toggle("graph", columns.length > 1);
	place.replaceChildren(...(columns.length > 1 ? columns.map((column) => el("div", { class: "step" }, ...column.map(button)))
		: jobs.map(button)));
}

/* An attempt before the last one, and its log. */
function jobAttempt(job, line) {
	const number = /^attempt (\d+)/.exec(line);
	return el("a", { href: "/api/v1/jobs/" + job.id + "/log?attempt=" + (number ? number[1] : 1), target: "_blank", rel: "noopener" }, el("b", {}, line));
}

/* act(verb, path): what a button does. */
function jobFacts(build, job, act) {
	const fact = (label, ...what) => el("span", {}, label, el("b", {}, ...what));
	const when = { failure: ", runs when one of them fails", always: ", runs whatever becomes of them" }[job.run_on] || "";
	const facts = [];
	if (job.needs.length > 0)
		facts.push(fact("needs ", job.needs.map((k) => build.jobs[k - 1].name).join(", "), when));
	if (job.waits_for)
		facts.push(fact("waits for ", job.waits_for));
	if (job.reason && JOB_FINAL.has(job.state))
		facts.push(fact("", job.reason));
	for (const image of job.images)
		facts.push(fact("built ", el("code", { title: image.reference }, image.name, " ", image.reference.replace(/^.*@/, "").slice(0, 19))));
	if (job.allow_failure)
		facts.push(fact("", "allowed to fail"));
	if (job.group)
		facts.push(fact("group ", job.group));
	if (job.labels)
		facts.push(fact("on an engine with ", job.labels.replaceAll(",", " and ")));
	for (const line of job.history.split("\n").filter(Boolean))
		facts.push(jobAttempt(job, line));
	if (job.reused_from)
		facts.push(el("span", {}, "result of job ", el("a", { href: "/builds/" + job.reused_from.split(".")[0] }, el("b", {}, job.reused_from))));
	if (job.waits_for === "an approval")
		facts.push(el("button", { class: "first", "data-takes": "deploy", onclick: act("approve", "/jobs/" + job.id) }, "Approve"),
			el("button", { class: "danger", "data-takes": "deploy", onclick: act("reject", "/jobs/" + job.id) }, "Reject"));
	if (canDebug(job))
		facts.push(el("button", { class: "quiet", "data-takes": "deploy", onclick: () => openTerminal(job) }, "Open a terminal"));
	if (isHeld(job))
		facts.push(el("button", { class: "quiet", "data-takes": "deploy", onclick: act("release", "/jobs/" + job.id) }, "End the holding"));
	if (FINAL.has(build.state))
		facts.push(el("button", { class: "quiet", "data-takes": "develop", onclick: act("rerun?jobs=" + job.id.split(".")[1]) }, "Run this job again"));
	else if (!JOB_FINAL.has(job.state))
		facts.push(el("button", { class: "quiet danger", "data-takes": "develop", disabled: job.cancel, onclick: act("cancel", "/jobs/" + job.id) }, job.cancel ? "Cancelling…" : "Cancel this job"));
	return facts;
}
