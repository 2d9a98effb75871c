"use strict";

/* The environments of one repository, on its card: what runs in each, what was deployed before, the lock, and the way
 * back. */

function deploymentFacts(d) {
	return el("div", { class: "facts" }, state(d.state), el("span", {}, el("a", { href: "/builds/" + d.build }, el("b", {}, "#" + d.build))),
		el("span", {}, shortRef(d), " ", el("code", {}, (d.commit || "").slice(0, 12))),
		d.image ? el("span", {}, el("code", {}, d.image)) : null,
		...(d.images || []).map((i) => el("span", { title: i.name }, el("code", {}, i.reference.replace(/^.*@/, "").slice(0, 19)))),
		d.approved_by ? el("span", {}, "approved by ", el("b", {}, d.approved_by)) : null,
		el("span", {}, ago(d.finished_ms || d.created_ms)), d.reason ? el("span", {}, d.reason) : null);
}

/* A lock is said with who set it and why, and may be taken off. */
function lockParts(environment, act) {
	if (environment.locked_by)
		return [el("div", { class: "notice soft" }, "Locked by ", el("b", {}, environment.locked_by), environment.lock_reason ? ": " + environment.lock_reason : ""),
			el("button", { class: "quiet", type: "button", "data-takes": "deploy", onclick: act("unlock") }, "Unlock")];
	const reason = el("input", { name: "reason", "data-takes": "deploy", autocomplete: "off", maxlength: 200, placeholder: "why nothing may be deployed", "aria-label": "Reason of the lock" });
	return [reason, el("button", { class: "quiet", type: "button", "data-takes": "deploy", onclick: act("lock", () => ({ reason: reason.value })) }, "Lock")];
}

function environmentRow(path, environment, reload) {
	const own = path + "/" + encodeURIComponent(environment.name), history = el("div", { class: "history" });
	const act = (verb, body) => async () => {
		try {
			const answer = await api("POST", own + "/" + verb, body ? body() : {});
			if (verb === "rollback")
				go("/builds/" + answer.build);
			else
				await reload();
		} catch (error) {
			complain(error);
		}
	};
	const showHistory = async () => {
		try {
			const deployments = (await api("GET", own + "/deployments")).deployments;
			history.replaceChildren(...(deployments.length > 0 ? deployments.map(deploymentFacts) : ["Nothing was deployed yet."]));
		} catch (error) {
			complain(error);
		}
	};
	return el("section", { class: "environment", "aria-label": "Environment " + environment.name }, el("h3", {}, environment.name),
		environment.deployment ? deploymentFacts(environment.deployment) : el("div", {}, "Nothing is deployed."),
		environment.watch ? el("div", { class: "facts" }, el("span", {}, "follows ", el("code", {}, environment.watch)),
			environment.watch_error ? el("span", {}, environment.watch_error) : null) : null,
		el("div", { class: "bar" }, el("button", { class: "quiet", type: "button", onclick: showHistory }, "History"),
			environment.deployment ? el("button", { class: "quiet danger", type: "button", "data-takes": "deploy", onclick: act("rollback") }, "Roll back") : null,
			...lockParts(environment, act)), history);
}

function environments(repo) {
	const path = "/repos/" + encodeURIComponent(repo.id) + "/environments", list = el("div");
	const reload = async () => {
		const all = (await api("GET", path)).environments;
		list.replaceChildren(...(all.length > 0 ? all.map((e) => environmentRow(path, e, reload))
			: ["It has none: davit environment set " + repo.id + " NAME makes one."]));
	};
	reload().catch(complain);
	return list;
}
