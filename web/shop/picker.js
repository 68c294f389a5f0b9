// The seat picker.
//
// For tests and curious people, window.seatmap tells what it knows:
//   ready            the map is drawn and has the states of the seats
//   cells            how many seats there are
//   state(id)        "free", "held", "booked", "blocked" or "mine"
//   free(n)          ids of the first n free seats
//   select(id)       chooses a seat; false if it is not free
//   frames()         how long the last frames took to draw, in ms

import { call, element, event, forgetKey, keyFor, money, say } from "./api.js";
import { BLOCKED, FREE, LiveMap } from "./livemap.js";
import { Plan } from "./plan.js";
import { MINE, SeatCanvas } from "./canvas.js";

const words = { 0: "free", 1: "held", 2: "booked", 3: "blocked", 9: "mine" };
const mine = new Set(); // ordinals chosen here
let sale, plan, canvas, map;

const stateOf = i => mine.has(i) ? MINE : map.states[i] ?? BLOCKED;
const priceOf = i => sale.categories[plan.category[i]];

window.seatmap = {
	ready: false,
	get cells() { return plan?.ids.length ?? 0; },
	state: id => words[stateOf(plan.byId.get(id))],
	free: n => {
		const found = [];
		for (let i = 0; i < plan.ids.length && found.length < n; i++) if (plan.ids[i] && stateOf(i) === FREE) found.push(plan.ids[i]);
		return found;
	},
	select: id => {
		const i = plan.byId.get(id);
		if (i === undefined || !mine.has(i) && map.states[i] !== FREE) return false;
		if (!mine.has(i)) pick(i);
		return mine.has(i);
	},
	frames: () => canvas.frames,
};

// pick chooses a seat, or puts it back.
function pick(i) {
	say();
	if (mine.has(i)) mine.delete(i);
	else if (map.states[i] !== FREE) return say("This seat is taken.");
	else if (mine.size >= sale.maxPerPass) return say(`You can take at most ${sale.maxPerPass} seats.`);
	else mine.add(i);
	canvas.change([i]);
	showChosen();
}

function showChosen() {
	const seats = [...mine].sort((a, b) => a - b);
	element("none").hidden = seats.length > 0;
	element("chosen").replaceChildren(...seats.map(i => {
		const item = document.createElement("li"), name = document.createElement("span"), remove = document.createElement("button");
		name.textContent = `${plan.names[i]} · ${money({ amount: priceOf(i).price, currency: sale.currency })}`;
		remove.textContent = "remove";
		remove.setAttribute("aria-label", `Remove ${plan.names[i]}`);
		remove.onclick = () => pick(i);
		item.append(name, remove);
		return item;
	}));
	const amount = seats.reduce((sum, i) => sum + priceOf(i).price, 0);
	element("total").hidden = seats.length === 0;
	element("total").textContent = `${money({ amount, currency: sale.currency })} in all`;
	element("hold").disabled = seats.length === 0;
	showRow();
}

// changed takes in what the live map says.
function changed(ordinals) {
	if (!canvas) return;
	const lost = [...mine].filter(i => map.states[i] !== FREE);
	for (const i of lost) mine.delete(i);
	if (lost.length > 0) {
		say(lost.length === 1 ? `${plan.names[lost[0]]} has just been taken by somebody else.` : `${lost.length} of your seats have just been taken by somebody else.`);
		showChosen();
	}
	if (ordinals) canvas.change(ordinals); else canvas.repaint();
	if (!ordinals || element("list").open) showRow();
	window.seatmap.ready = true;
}

function counted(summary) {
	const texts = {
		available: `${summary.free.toLocaleString()} of ${summary.capacity.toLocaleString()} seats are free`,
		"all-held": "Everything is held by others right now. Some may come back.",
		"sold-out": "Sold out. Thank you for coming.",
		"not-open": "The sale is not open.",
	};
	element("summary").textContent = texts[summary.state] ?? "";
	element("prices").replaceChildren(...summary.categories.map((category, i) => {
		const row = document.createElement("tr"), name = document.createElement("th"), dot = document.createElement("span");
		dot.className = "dot";
		dot.style.background = sale.categories[i]?.color || "var(--accent)";
		name.scope = "row";
		name.append(dot, category.name);
		const left = category.free > 0 ? `${category.free.toLocaleString()} free` : category.held > 0 ? "all held" : "sold out";
		row.append(name, ...[money({ amount: category.price, currency: summary.currency }), left].map(text => {
			const cell = document.createElement("td");
			cell.textContent = text;
			return cell;
		}));
		return row;
	}));
}

// choose picks seats that are side by side, from a random row on, so that not
// everybody is offered the same ones.
function choose() {
	const number = Number(element("number").value), category = element("category").value;
	const free = i => map.states[i] === FREE && !plan.accessible[i] && (category === "" || plan.category[i] === Number(category));
	for (const i of [...mine]) pick(i);
	const start = Math.floor(Math.random() * plan.rows.length);
	for (let n = 0; n < plan.rows.length; n++) {
		const { first, ids } = plan.rows[(start + n) % plan.rows.length];
		let run = 0;
		for (let i = first; i < first + ids.length; i++) {
			run = free(i) ? run + 1 : 0;
			if (run < number) continue;
			for (let seat = i - number + 1; seat <= i; seat++) pick(seat);
			return;
		}
	}
	say(number > 1 ? "There are not that many seats side by side. Try fewer, or another category." : "There is no free seat of that kind.");
}

async function hold() {
	const cells = [...mine].map(i => plan.ids[i]).sort();
	const what = "hold " + cells.join(" ");
	element("hold").disabled = true;
	say();
	try {
		const { document: held } = await call("POST", `/events/${event}/holds`, { body: { cells }, key: keyFor(what), onTrouble: say });
		forgetKey(what);
		sessionStorage.setItem("names", JSON.stringify(Object.fromEntries([...mine].map(i => [plan.ids[i], plan.names[i]]))));
		sessionStorage.setItem("hold", held.holdId);
		location.href = `/checkout/${held.holdId}`;
	} catch (refusal) {
		forgetKey(what);
		for (const id of refusal.problem?.conflicts ?? []) {
			const i = plan.byId.get(id);
			mine.delete(i);
			map.states[i] = Math.max(map.states[i], 1);
			canvas.change([i]);
		}
		showChosen();
		say(refusal.message);
	}
}

// --- the list, for those who do not use the map

function showZones() {
	const names = [...new Set(plan.rows.map(row => row.zone || "Hall"))];
	element("zone").replaceChildren(...names.map(name => new Option(name)));
	element("zone").onchange = showRows;
	element("rowname").onchange = showRow;
	element("list").ontoggle = showRow;
	showRows();
}

function showRows() {
	const zone = element("zone").value;
	element("rowname").replaceChildren(...plan.rows.flatMap((row, i) => (row.zone || "Hall") === zone ? [new Option(row.label || String(i + 1), i)] : []));
	showRow();
}

function showRow() {
	const row = plan.rows[Number(element("rowname").value)];
	if (!element("list").open || !row) return;
	element("seats").replaceChildren(...row.ids.map((_, n) => {
		const i = row.first + n;
		const item = document.createElement("li"), button = document.createElement("button");
		const state = words[stateOf(i)];
		button.textContent = row.numbers[n] + (plan.accessible[i] ? " ♿" : "");
		button.setAttribute("aria-pressed", state === "mine");
		button.setAttribute("aria-label", `${plan.names[i]}, ${state}, ${money({ amount: priceOf(i).price, currency: sale.currency })}`);
		button.disabled = state !== "free" && state !== "mine";
		button.onclick = () => pick(i);
		item.append(button);
		return item;
	}));
}

function point(seat, event) {
	element("map").classList.toggle("over", seat >= 0);
	const tip = element("tip");
	tip.hidden = seat < 0;
	if (seat < 0) return;
	tip.textContent = `${plan.names[seat]} · ${money({ amount: priceOf(seat).price, currency: sale.currency })} · ${words[stateOf(seat)]}`;
	const box = element("map").getBoundingClientRect();
	tip.style.transform = `translate(${Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 4)}px, ${event.clientY - box.top + 14}px)`;
}

// offer leads back to a hold of an earlier visit to this page.
async function offer() {
	const held = sessionStorage.getItem("hold");
	if (!held) return;
	try {
		await call("GET", `/holds/${held}`, { tries: 1 });
		element("resumelink").href = `/checkout/${held}`;
		element("resume").hidden = false;
	} catch {
		sessionStorage.removeItem("hold");
	}
}

async function start() {
	({ document: sale } = await call("GET", `/events/${event}`));
	element("title").textContent = document.title = sale.name;
	element("number").replaceChildren(...Array.from({ length: sale.maxPerPass }, (_, i) => new Option(i + 1)));
	element("number").value = Math.min(2, sale.maxPerPass);
	element("category").append(...sale.categories.map((category, i) => new Option(category.name, i)));
	const layout = await fetch("/api" + sale.layout, { credentials: "same-origin" });
	if (!layout.ok) throw new Error("The plan could not be loaded. Please reload the page.");
	plan = new Plan(await layout.json());
	map = new LiveMap({ onChange: changed, onCounts: counted });
	canvas = new SeatCanvas(element("map"), plan, stateOf, { onPick: pick, onPoint: point });
	for (const [id, act] of [["in", () => canvas.zoom(1.5)], ["out", () => canvas.zoom(1 / 1.5)], ["fit", () => canvas.fit()], ["choose", choose], ["hold", hold]]) element(id).onclick = act;
	showZones();
	map.follow();
	offer();
}

// A page that comes back out of the browser's memory shows an old map.
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });
start().catch(error => { element("summary").textContent = error.message; });
