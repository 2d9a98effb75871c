"use strict";

/* How long a repository's builds and deployments take and how well they go, on its card. */
const INSIGHTS_DAYS = [7, 30, 90];
const PHASES = { queue: "waiting for a slot", prepare: "preparing", run: "running", build: "build, from push to result", lead: "commit to deployed", restore: "time to restore" };

function svg(tag, attributes, ...children) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [key, value] of Object.entries(attributes))
		node.setAttribute(key, value);
	node.append(...children);
	return node;
}

function inHundred(share) {
	return share === null ? "—" : Math.round(100 * share) + " %";
}

/* The last days, today last: also those on which nothing ended. */
function everyDay(days, count) {
	const known = new Map(days.map((d) => [d.day, d])), all = [];
	for (let i = count - 1; i >= 0; i--) {
		const day = new Date(Date.now() - i * 86400000).toISOString().slice(0, 10);
		all.push(known.get(day) || { day, passed: 0, failed: 0, timed_out: 0, error: 0, cancelled: 0, median_ms: null });
	}
	return all;
}

/* A bar for each day: what passed, and on top of it what did not. */
function dayBars(days, count, what) {
	const all = everyDay(days, count), bad = (d) => d.failed + d.timed_out + d.error;
	const most = Math.max(1, ...all.map((d) => d.passed + bad(d))), step = 600 / count, height = 60;
	const bar = (d, i, from, n, kind) => svg("rect", { class: kind, x: i * step + step * .1, width: step * .8, y: height - (from + n) * height / most, height: n * height / most });
	return svg("svg", { class: "days", viewBox: "0 0 600 60", preserveAspectRatio: "none", role: "img", "aria-label": what + " by day" },
		...all.map((d, i) => svg("g", {}, svg("title", {}, d.day + ": " + d.passed + " passed, " + bad(d) + " not" + (d.median_ms === null ? "" : ", median " + duration(d.median_ms))),
			svg("rect", { class: "none", x: i * step, width: step, y: 0, height }), bar(d, i, 0, d.passed, "good"), bar(d, i, d.passed, bad(d), "bad"))));
}

function timesTable(times) {
	const names = Object.keys(PHASES).filter((name) => times[name]);
	return names.length === 0 ? "" : el("table", { class: "times" },
		el("thead", {}, el("tr", {}, ...["", "median", "95 % within", "count"].map((t) => el("th", { scope: "col" }, t)))),
		el("tbody", {}, ...names.map((name) => el("tr", {}, el("th", { scope: "row" }, PHASES[name]), el("td", {}, duration(times[name].p50_ms)),
			el("td", {}, duration(times[name].p95_ms)), el("td", {}, times[name].count.toLocaleString())))));
}

function insightsPart(title, part, ends, count, facts) {
	return el("section", { class: "environment", "aria-label": "Insights of " + title }, el("h3", {}, title),
		el("div", { class: "facts" }, ...facts.map(([label, value]) => el("span", {}, label, " ", el("b", {}, value)))),
		dayBars(part.days, count, ends), timesTable(part.times));
}

function insightsParts(all) {
	const total = (ends) => ends.passed + ends.failed + ends.timed_out + ends.error;
	return [insightsPart("Builds", all, "Builds", all.day_count, [["ended", total(all.builds).toLocaleString()], ["passed", inHundred(all.success)]]),
		...all.environments.map((e) => insightsPart(e.name, e, "Deployments", all.day_count, [["deployed", e.deployments.passed.toLocaleString() + " times"],
			["a day", e.per_day.toFixed(1)], ["changes that failed", inHundred(e.change_failures)]]))];
}

function insights(repo) {
	const place = el("div"), choice = el("select", { "aria-label": "Days", onchange: () => load().catch(complain) },
		...INSIGHTS_DAYS.map((n) => el("option", { value: n, selected: n === 30 }, "last " + n + " days")));
	const load = async () => place.replaceChildren(...insightsParts(await api("GET", "/repos/" + encodeURIComponent(repo.id) + "/insights?days=" + choice.value)));
	load().catch(complain);
	return el("div", {}, choice, place);
}
