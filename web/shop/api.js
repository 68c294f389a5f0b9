// Calls of the allocator's surface. Every POST has an idempotency key that is kept
// until it is answered, so that a lost answer, a reload or a second click finds what
// the first try did.

export const event = document.body.dataset.event;
export const api = "/api/v1";
export const element = id => document.getElementById(id);
export const pause = ms => new Promise(done => setTimeout(done, ms));
const jitter = ms => ms * (0.5 + Math.random());

const fallback = {
	"pass-required": "Your visit has ended. Reload the page to come in again.",
	"pass-expired": "Your visit has ended. Reload the page to come in again.",
};

// Refusal is a problem document.
export class Refusal extends Error {
	constructor(status, problem) {
		super(fallback[problem.code] ?? problem.detail ?? problem.title ?? "Something went wrong. Please try again.");
		Object.assign(this, { status, problem, code: problem.code });
	}
}

// call makes a request, and repeats it as it is while the answer is lost or asks for
// patience. onTrouble is told why it takes longer.
export async function call(method, path, { body, key, tries = 8, onTrouble } = {}) {
	const headers = { Accept: "application/json" };
	if (body) headers["Content-Type"] = "application/json";
	if (key) headers["Idempotency-Key"] = `"${key}"`;
	for (let round = 1; ; round++) {
		let reply, document;
		try {
			reply = await fetch(api + path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "same-origin" });
			document = reply.status === 204 ? {} : await reply.json();
		} catch {
			if (round >= tries) throw new Refusal(0, { code: "offline", title: "The connection is lost. Nothing is lost with it: please try again." });
			onTrouble?.("The connection is lost. Trying again …");
			await pause(jitter(Math.min(500 * 2 ** round, 8000)));
			continue;
		}
		if (reply.ok) return { status: reply.status, document };
		const patient = [429, 502, 503].includes(reply.status) || document.code === "idempotency-in-flight";
		if (!patient || round >= tries) throw new Refusal(reply.status, document);
		onTrouble?.(document.detail ?? "A moment, please …");
		await pause(jitter(document.retryAfterMs ?? 1000));
	}
}

// keyFor is the key of something to be done, the same until it is forgotten.
export function keyFor(what) {
	let key = sessionStorage.getItem("key " + what);
	if (!key) {
		key = crypto.randomUUID ? crypto.randomUUID() : [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, "0")).join("");
		sessionStorage.setItem("key " + what, key);
	}
	return key;
}

export const forgetKey = what => sessionStorage.removeItem("key " + what);

export function money({ amount, currency }) {
	const format = new Intl.NumberFormat(navigator.language, { style: "currency", currency });
	return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export function say(text) {
	element("say").textContent = text ?? "";
	element("say").hidden = !text;
}

// cells lists seats by their names, where the picker has left them.
export function showCells(ids) {
	const names = JSON.parse(sessionStorage.getItem("names") ?? "{}");
	element("chosen").replaceChildren(...ids.map(id => {
		const item = document.createElement("li");
		item.textContent = names[id] ?? id;
		return item;
	}));
}
