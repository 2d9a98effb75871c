"use strict";

/* What makes builds of one repository, on its card: a form to start one, its schedules, and the settings. Each part is
 * loaded when it is opened. */

/* Lines of NAME=VALUE. */
function readParameters(text) {
	const parameters = {};
	for (const line of text.split("\n").filter((l) => l.trim() !== "")) {
		const at = line.indexOf("=");
		if (at < 1)
			throw new Error("parameters are lines of NAME=VALUE, not: " + line);
		parameters[line.slice(0, at).trim()] = line.slice(at + 1);
	}
	return parameters;
}

function triggerField(name, label, attributes) {
	return el("label", {}, label, el("input", { name, autocomplete: "off", ...attributes }));
}

function parametersField(what) {
	return el("label", { class: "wide" }, (what || "Parameters") + ", a line of NAME=VALUE each", el("textarea", { name: "parameters", rows: 2 }));
}

function choice(name, label, chosen, values) {
	return el("label", {}, label, el("select", { name }, ...values.map(([v, t]) => el("option", { value: v, selected: v === chosen }, t))));
}

/* A form that calls act with its values; what goes wrong is shown at the page's head. */
function triggerForm(button, act, ...fields) {
	const form = el("form", { class: "grid", onsubmit: async (e) => {
		e.preventDefault();
		try {
			await act(Object.fromEntries(new FormData(form)), form);
		} catch (error) {
			complain(error);
		}
	} }, ...fields, el("div", { class: "wide" }, el("button", { class: "first" }, button)));
	return form;
}

/* What the repository's pipeline asks for, as it was planned last. */
function askedField(p) {
	const label = el("span", {}, el("b", {}, p.name), p.required ? " (required)" : "", p.description ? ": " + p.description : "");
	const name = "ask " + p.name;
	if (p.options.length > 0)
		return el("label", {}, label, el("select", { name }, ...p.options.map((o) => el("option", { value: o, selected: o === p.default }, o))));
	return el("label", {}, label, el("input", { name, autocomplete: "off", required: p.required, value: p.default || "" }));
}

function askedValues(repo, values) {
	return Object.fromEntries(repo.parameters.map((p) => [p.name, values["ask " + p.name]]).filter(([, v]) => v !== undefined));
}

function startForm(repo) {
	return triggerForm("Start", async (values) => {
		const parameters = { ...askedValues(repo, values), ...readParameters(values.parameters) };
		const body = { event: "manual", parameters, [values.kind]: values.name };
		if (values.commit)
			body.commit = values.commit;
		go("/builds/" + (await api("POST", "/repos/" + encodeURIComponent(repo.id) + "/builds", body)).build);
	}, choice("kind", "Of a", "branch", [["branch", "branch"], ["tag", "tag"]]), triggerField("name", "Name", { placeholder: "the default branch" }),
	triggerField("commit", "Commit (the newest if empty)", { pattern: "[0-9a-f]{40}|[0-9a-f]{64}" }),
	...repo.parameters.map(askedField), parametersField("Further parameters"));
}

function scheduleRow(path, cron, reload) {
	return el("dl", { class: "pair" }, el("dt", {}, cron.name), el("dd", {}, el("code", {}, cron.cron), " ", cron.timezone, " · ", cron.branch || "default branch",
		" · next ", new Date(cron.next_ms).toLocaleString(),
		cron.last_build ? el("a", { href: "/builds/" + cron.last_build }, "last #" + cron.last_build) : null,
		el("button", { class: "quiet danger", type: "button", onclick: async () => {
			try {
				await api("DELETE", path + "/" + encodeURIComponent(cron.name));
				await reload();
			} catch (error) {
				complain(error);
			}
		} }, "Remove")));
}

function schedules(repo) {
	const path = "/repos/" + encodeURIComponent(repo.id) + "/crons", list = el("div");
	const reload = async () => {
		const crons = (await api("GET", path)).crons;
		list.replaceChildren(...crons.map((cron) => scheduleRow(path, cron, reload)));
	};
	const form = triggerForm("Add schedule", async (values) => {
		await api("PUT", path + "/" + encodeURIComponent(values.name), { cron: values.cron, timezone: values.timezone || "UTC",
			branch: values.branch, parameters: readParameters(values.parameters) });
		form.reset();
		await reload();
	}, triggerField("name", "Name", { required: true, pattern: "[a-z0-9][a-z0-9._\\-]*", placeholder: "nightly" }),
	triggerField("cron", "Minute hour day month weekday", { required: true, placeholder: "30 3 * * MON-FRI" }),
	triggerField("timezone", "Time zone", { placeholder: Intl.DateTimeFormat().resolvedOptions().timeZone }),
	triggerField("branch", "Branch", { placeholder: "the default branch" }), parametersField());
	reload().catch(complain);
	return el("div", {}, list, form);
}

function settingsForm(repo, changed) {
	return triggerForm("Save", async (values) => {
		const events = ["push", "tag", "pull_request"].filter((name) => values[name]).join(",");
		if (events === "")
			throw new Error("a repository without events: remove its webhook at the forge instead");
		await api("PATCH", "/repos/" + encodeURIComponent(repo.id), { events, branches: values.branches, tags: values.tags,
			pulls: values.pulls, forks: values.forks, approval_s: Math.round(Number(values.days) * 86400) });
		await changed();
	}, el("div", { class: "wide" }, ...["push", "tag", "pull_request"].map((name) => el("label", {},
		el("input", { type: "checkbox", name, checked: repo.events.split(/[, ]+/).includes(name) }), " " + name.replace("_", " ")))),
	triggerField("branches", "Branches (patterns; all if empty)", { value: repo.branches, placeholder: "main release/*" }),
	triggerField("tags", "Tags (patterns; all if empty)", { value: repo.tags, placeholder: "v*" }),
	choice("pulls", "Pull requests", repo.pulls, [["head", "as they are"], ["merge", "merged with their target"]]),
	choice("forks", "Pull requests of forks", repo.forks, [["approve", "wait for approval"], ["allow", "at once, without secrets"], ["never", "never"]]),
	triggerField("days", "Days until an approval is given up", { type: "number", min: "0.01", step: "any", value: (repo.approval_s || 604800) / 86400 }));
}

/* In a few words, for the card. */
function triggerWords(repo) {
	const words = [repo.events.replace(/,/g, ", ").replace("_", " ")];
	if (repo.branches)
		words.push("branches " + repo.branches);
	if (repo.tags)
		words.push("tags " + repo.tags);
	if (repo.pulls === "merge")
		words.push("pull requests merged");
	words.push({ approve: "forks wait for approval", allow: "forks without secrets", never: "no forks" }[repo.forks]);
	return words.join(" · ");
}

/* The buttons, and the place where what they open appears. */
function triggerParts(repo, changed) {
	const place = el("div");
	let open = "";
	const button = (name, role, make) => el("button", { class: "quiet", type: "button", "data-takes": role, onclick: () => {
		open = open === name ? "" : name;
		place.replaceChildren(open === name ? make() : "");
	} }, name);
	return [el("div", { class: "bar" }, button("Start…", "develop", () => startForm(repo)), button("Schedules…", "admin", () => schedules(repo)),
		button("Environments…", "read", () => environments(repo)), button("Insights…", "read", () => insights(repo)), button("Settings…", "admin", () => settingsForm(repo, changed))), place];
}
