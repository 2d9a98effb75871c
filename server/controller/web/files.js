"use strict";

/* What a build's jobs left behind: what their tests said, and artifacts to download. */

function percent(coverage) {
	return (coverage / 100).toFixed(2) + " %";
}

function bytes(n) {
	const units = ["bytes", "KiB", "MiB", "GiB"];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++)
		n /= 1024;
	return (i === 0 ? n : n.toFixed(1)) + " " + units[i];
}

function testsLine(build) {
	const parts = [];
	if (build.tests > 0)
		parts.push(build.tests_failed > 0 ? build.tests_failed + " of " + build.tests + " tests failed" : build.tests + " tests passed");
	if (build.coverage !== null) {
		const change = build.coverage_before === null ? 0 : build.coverage - build.coverage_before;
		parts.push("coverage " + percent(build.coverage) + (change ? " (" + (change > 0 ? "+" : "−") + (Math.abs(change) / 100).toFixed(2) + ")" : ""));
	}
	return parts.join(", ");
}

function failedTest(job, test) {
	return el("div", { class: "failedtest" }, state(test.error ? "error" : "failed"), " ", el("code", {}, test.name), " ", el("span", { class: "sub" }, job),
		el("pre", {}, test.message || "It said nothing."));
}

function artifactLink(artifact) {
	const path = "/api/v1/jobs/" + artifact.job + "/artifacts/" + encodeURIComponent(artifact.name);
	return el("span", {}, el("a", { href: path, download: artifact.name.replaceAll("/", "-") + ".tar.zst" }, el("b", {}, artifact.name)),
		" " + artifact.files + (artifact.files === 1 ? " file, " : " files, ") + bytes(artifact.content) + " of job " + artifact.job);
}

/* Asked for when the build has ended, and not shown when there is nothing. */
async function drawFiles(place, build) {
	const [artifacts, reports] = await Promise.all(["artifacts", "reports"].map(async (what) => (await api("GET", "/builds/" + build.build + "/" + what))[what]));
	const line = testsLine(build);
	place.hidden = artifacts.length === 0 && line === "";
	place.replaceChildren(
		line ? el("div", { class: "facts" }, el("span", {}, "Tests ", el("b", {}, line))) : "",
		...reports.flatMap((report) => report.failed.map((test) => failedTest(report.job, test))),
		artifacts.length > 0 ? el("div", { class: "facts" }, el("span", {}, "Artifacts"), ...artifacts.map(artifactLink)) : "");
}
