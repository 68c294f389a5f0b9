// Calls of the allocator's surface. Every POST has an idempotency key that is kept
// until it is answered for good, so that a lost answer, a reload or a second click
// finds what the first try did.

export const event = document.body.dataset.event;
export const api = "/api/v1";
export const element = id => document.getElementById(id);
export const pause = ms => new Promise(done => setTimeout(done, ms));
const jitter = ms => ms * (0.5 + Math.random());

const patienceMs = 20_000; // for one try
const offline = { code: "offline", title: "The connection is lost. Nothing is lost with it: please try again." };

// What the surface says for programs is said here for people.
const words = {
	"pass-required": "Your visit has ended. Reload the page to come in again.",
	"pass-expired": "Your visit has ended. Reload the page to come in again.",
	"hold-unknown": "These seats are not held for you any more. If you have paid for them, they are on your booking's page.",
	"hold-not-yours": "These seats are held in another browser.",
	"booking-unknown": "There is no booking under this address. If you paid, look for the address you had after paying.",
};

// Refusal is a problem document.
export class Refusal extends Error {
	constructor(status, problem) {
		super(words[problem.code] ?? problem.detail ?? problem.title ?? "Something went wrong. Please try again.");
		Object.assign(this, { status, problem, code: problem.code });
	}

	// final says whether the same request would be refused again: nothing was done.
	// Anything else may have been done, and is found with the same key.
	get final() {
		return this.status >= 400 && this.status < 500 && ![401, 408, 425, 429].includes(this.status) && this.code !== "idempotency-in-flight";
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
			reply = await fetch(api + path, {
				method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(patienceMs),
			});
			document = reply.status === 204 ? {} : await reply.json();
		} catch {
			if (round >= tries) throw new Refusal(0, offline);
			onTrouble?.("The connection is lost. Trying again …");
			await pause(jitter(Math.min(250 * 2 ** round, 8000)));
			continue;
		}
		if (reply.ok) return { status: reply.status, document };
		const patient = [429, 502, 503, 504].includes(reply.status) || document.code === "idempotency-in-flight";
		if (!patient || round >= tries) throw new Refusal(reply.status, document);
		onTrouble?.("This takes a moment longer than usual. Nothing is lost; please stay on this page.");
		await pause(jitter(Math.min(document.retryAfterMs ?? 1000, 15_000)));
	}
}

// Once is something to be done exactly once: its key and its words, kept over a
// reload until the answer is known.
export class Once {
	constructor(what) { this.place = "once " + what; }

	get kept() { return JSON.parse(sessionStorage.getItem(this.place)); }

	// for is the request that was begun, or else begins this one.
	for(body) {
		const begun = this.kept ?? { key: newKey(), body };
		sessionStorage.setItem(this.place, JSON.stringify(begun));
		return begun;
	}

	forget() { sessionStorage.removeItem(this.place); }
}

function newKey() {
	// randomUUID is there in secure contexts only.
	return [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, "0")).join("");
}

export function money({ amount, currency }) {
	const format = new Intl.NumberFormat(navigator.language, { style: "currency", currency });
	return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export function say(text) {
	element("say").textContent = text ?? "";
	element("say").hidden = !text;
}

// held remembers the hold of this browser, so that the picker leads back to it.
export const held = {
	get id() { return localStorage.getItem("hold " + event); },
	set id(id) { if (id) localStorage.setItem("hold " + event, id); else localStorage.removeItem("hold " + event); },
};

// A page that comes back out of the browser's memory shows what is over.
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });
