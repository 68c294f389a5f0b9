// The seat picker.
//
// For tests and curious people:
//   document.body.dataset.page   "picker"; "checkout" and "booking" on the other pages
//   document.body.dataset.link   how changes come: "live", "polled" or "lost"
//   #hold, #pay, #done           the buttons that lead on, one a page
// and window.seatmap tells what the map knows:
//   ready            the map is drawn and has the states of the seats
//   cells            how many cells there are
//   state(id)        "free", "held", "booked", "blocked" or "mine"
//   free(n)          ids of the first n free seats
//   select(id)       chooses a seat; false if it cannot be had
//   show(id)         brings a seat into sight and tells where on the page it is
//   scale()          how many pixels a unit of the plan has
//   frames()         how long the last frames took to draw, in ms

import { call, element, event, held, money, Once, say } from "./api.js";
import { MINE, SeatCanvas } from "./canvas.js";
import { keepNames } from "./cells.js";
import { Choice } from "./choice.js";
import { tint } from "./colors.js";
import { freeOf, SeatList } from "./list.js";
import { BLOCKED, FREE, HELD, LiveMap } from "./livemap.js";
import { loadPlan } from "./plan.js";

const words = { 0: "free", 1: "held", 2: "booked", 3: "blocked", 9: "mine" };
const choice = new Choice();
const owned = new Set(); // ordinals of the hold that this fan has
const refused = new Set(); // ordinals that were taken before the map said so
let sale, plan, canvas, map, list, summary;
let asking = false; // a hold is being asked for: the map shows our own seats as held
let unsure = false; // a hold was asked for and the answer never came: what the map shows as held may be ours

function stateOf(i) {
	if (owned.has(i) || choice.seats.has(i)) return MINE;
	const state = map.states[i] ?? BLOCKED;
	return state === FREE && refused.has(i) ? HELD : state;
}

const priceOf = i => price(sale.categories[plan.category[i]].price);
const price = amount => money({ amount, currency: sale.currency });
const limit = () => sale.maxPerPass - owned.size;

window.seatmap = {
	ready: false,
	get cells() { return plan?.ids.length ?? 0; },
	state: id => words[stateOf(plan.byId.get(id))],
	free: n => {
		const found = [];
		for (let i = 0; i < plan.ids.length && found.length < n; i++) if (plan.numbers[i] !== undefined && stateOf(i) === FREE) found.push(plan.ids[i]);
		return found;
	},
	select: id => {
		const i = plan.byId.get(id);
		if (i !== undefined && stateOf(i) === FREE) pick(i);
		return choice.seats.has(i);
	},
	show: id => {
		canvas.show([plan.byId.get(id)]);
		return canvas.screen(plan.byId.get(id));
	},
	scale: () => canvas.view.scale,
	frames: () => canvas.frames,
};

// pick chooses a seat, or puts it back.
function pick(i) {
	if (asking) return;
	unsure = false; // another wish than the one that may have been granted
	say();
	if (owned.has(i)) return say("You hold this seat already. Go on to pay, or give it back.");
	if (choice.seats.has(i)) choice.seats.delete(i);
	else if (stateOf(i) !== FREE) return say(stateOf(i) === HELD ? "Somebody else is holding this seat. It may come back." : "This seat is sold.");
	else if (choice.seats.size >= limit()) return say(`You can take at most ${sale.maxPerPass} seats.`);
	else choice.add(i);
	chosen([i]);
}

// chosen shows what is chosen; the ordinals are what has changed.
function chosen(ordinals) {
	canvas?.change(ordinals);
	list.refresh();
	const seats = [...choice.seats].sort((a, b) => a - b), { standing } = choice;
	if (canvas) canvas.mine = [...owned, ...seats];
	element("none").hidden = choice.size > 0;
	element("chosen").replaceChildren(...seats.map(i => line(plan.names[i], priceOf(i), () => pick(i))));
	if (standing) element("chosen").append(line(`${standing.quantity} × ${standing.area.name}`, price(choice.amount(sale, plan)), () => stand(standing.area, 0)));
	const sum = `${choice.size} ${choice.size === 1 ? "ticket" : "tickets"} · ${price(choice.amount(sale, plan))}`;
	element("total").textContent = choice.size > 0 ? sum : "Nothing chosen yet";
	element("hold").disabled = choice.size === 0 || asking;
	element("repick").hidden = true;
	for (const area of plan.areas) document.getElementById("area " + area.id).value = standing?.area === area ? standing.quantity : 0;
}

function line(name, amount, remove) {
	const item = document.createElement("li"), text = document.createElement("span"), cost = document.createElement("span"), button = document.createElement("button");
	text.textContent = name;
	cost.textContent = amount;
	button.textContent = "×";
	button.type = "button";
	button.setAttribute("aria-label", `Remove ${name}`);
	button.onclick = remove;
	item.append(text, cost, button);
	return item;
}

// --- the live map

function changed(ordinals) {
	for (const i of ordinals ?? refused) refused.delete(i);
	if (!ordinals) canvas?.repaint(); else canvas?.change(ordinals);
	if (!asking && !unsure) dropLost();
	list.refresh();
	window.seatmap.ready = true;
}

// dropLost puts back chosen seats that somebody else has got.
function dropLost() {
	const lost = [...choice.seats].filter(i => map.states[i] !== FREE || refused.has(i));
	if (lost.length === 0) return false;
	const wanted = choice.size;
	for (const i of lost) choice.seats.delete(i);
	chosen(lost);
	const names = lost.map(i => plan.names[i]).join("; ");
	say(`${names} ${lost.length === 1 ? "has" : "have"} just been taken by somebody else. ${choice.size > 0 ? "Your other seats are still free." : "Nothing was held."}`);
	element("repick").textContent = `Choose ${wanted} again for me`;
	element("repick").onclick = () => choose(wanted);
	element("repick").hidden = false;
	return true;
}

const clock = time => new Date(time).toLocaleTimeString(navigator.language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function counted(latest) {
	summary = latest;
	element("summary").textContent = {
		available: `${summary.free.toLocaleString()} of ${summary.capacity.toLocaleString()} tickets are free`,
		"all-held": "Everything is held by others right now. " + comeBack(),
		"sold-out": "Sold out. Every ticket has been bought.",
		"not-open": "The sale is not open.",
	}[summary.state] ?? "";
	document.body.dataset.sale = summary.state;
	element("leave").hidden = summary.state !== "sold-out" && summary.state !== "not-open";
	element("prices").replaceChildren(...summary.categories.filter(category => category.capacity > 0).map(category => {
		const i = summary.categories.indexOf(category), row = document.createElement("tr"), name = document.createElement("th"), dot = document.createElement("span");
		dot.className = "dot";
		dot.style.backgroundColor = sale.categories[i]?.color ? tint(sale.categories[i].color) : "var(--accent)";
		name.scope = "row";
		name.append(dot, category.name);
		const left = category.free > 0 ? `${category.free.toLocaleString()} free` : category.held > 0 ? "all held" : "sold out";
		row.append(name, ...[price(category.price), left].map(text => {
			const cell = document.createElement("td");
			cell.textContent = text;
			return cell;
		}));
		return row;
	}));
	for (const area of plan.areas) {
		const free = freeOf(map, area.first, area.capacity);
		document.getElementById("free " + area.id).textContent = free > 0 ? `${free.toLocaleString()} free` : "none free";
	}
}

const comeBack = () => summary?.nextReleaseAt ? `Some may come back from ${clock(summary.nextReleaseAt)} on; this page shows it at once.` : "Some may come back; this page shows it at once.";

// --- choosing without the map

// choose picks cells that are together, as well as it can be done.
function choose(number) {
	const category = element("category").value;
	const before = [...choice.seats];
	choice.clear();
	const wanted = i => stateOf(i) === FREE && !plan.accessible[i] && (category === "" || plan.category[i] === Number(category));
	const { how, seats } = plan.together(Math.min(number, limit()), wanted);
	for (const i of seats) choice.add(i);
	chosen([...before, ...seats]);
	if (seats.length === 0) return say("There is no free seat of that kind right now. Try another category.");
	canvas?.show(seats);
	element("map").scrollIntoView({ block: "nearest" });
	if (seats.length < number) say(`Only ${seats.length} of that kind could be found.`);
	else if (how === "side by side") say();
	else say(how === "in one block" ? "There are not that many seats side by side. These are close together, in one block." : "There are not that many seats together. These are in different blocks.");
}

function stand(area, quantity) {
	say();
	const before = [...choice.seats];
	if (quantity > limit()) {
		quantity = limit();
		say(`You can take at most ${sale.maxPerPass} tickets.`);
	}
	choice.stand(area, quantity);
	chosen(before);
}

// showAreas lists the standing areas with a number each.
function showAreas() {
	element("standing").hidden = plan.areas.length === 0;
	element("areas").replaceChildren(...plan.areas.map(area => {
		const item = document.createElement("li"), label = document.createElement("label"), free = document.createElement("span"), number = document.createElement("select");
		label.htmlFor = number.id = "area " + area.id;
		free.id = "free " + area.id;
		free.className = "quiet";
		label.append(`${area.name}, ${price(sale.categories[area.category].price)} `, free);
		number.append(...Array.from({ length: sale.maxPerPass + 1 }, (_, n) => new Option(n)));
		number.onchange = () => stand(area, Number(number.value));
		item.append(label, number);
		return item;
	}));
}

// --- holding

async function hold() {
	const body = choice.request(plan), once = new Once("hold " + JSON.stringify(body));
	asking = true;
	element("hold").disabled = true;
	element("hold").textContent = "Holding …";
	say();
	try {
		const { document: got } = await call("POST", `/events/${event}/holds`, { ...once.for(body), onTrouble: say });
		once.forget();
		keepNames(Object.fromEntries(got.cells.map(id => [id, plan.names[plan.byId.get(id)] ?? id])));
		held.id = got.holdId;
		location.href = `/checkout/${encodeURIComponent(got.holdId)}`;
	} catch (refusal) {
		asking = false;
		element("hold").textContent = "Continue";
		element("hold").disabled = choice.size === 0;
		unsure = !refusal.final;
		if (unsure) return say(refusal.message); // "Continue" asks again with the same key
		once.forget();
		refusedHold(refusal);
	}
}

// refusedHold says what went, and what can be done now.
function refusedHold(refusal) {
	const { code, message, problem } = refusal;
	for (const id of problem?.conflicts ?? []) if (plan.byId.has(id)) refused.add(plan.byId.get(id));
	if (dropLost()) return;
	if (code === "area-short") {
		const { area } = choice.standing;
		if (Number.isInteger(problem.available)) choice.stand(area, Math.min(choice.size, problem.available));
		chosen([]);
		return say(`Only ${problem.available ?? "a few"} places are left in ${area.name}. Nothing was held.`);
	}
	say(code === "all-held" ? `${problem.title}. ${comeBack()}` : message);
}

// resume shows the hold that this fan has, as one's own, and leads back to it.
async function resume() {
	if (!held.id) return;
	try {
		const { document: own } = await call("GET", `/holds/${encodeURIComponent(held.id)}`, { tries: 2 });
		const seats = own.cells.map(id => plan.byId.get(id)).filter(i => i !== undefined);
		for (const i of seats) owned.add(i);
		element("resumelink").href = `/checkout/${encodeURIComponent(held.id)}`;
		element("resumetext").textContent = `You are holding ${seats.length} ${seats.length === 1 ? "ticket" : "tickets"} (${money(own.price)}).`;
		element("resume").hidden = false;
		chosen(seats);
	} catch (refusal) {
		if (refusal.code === "already-booked") return toBooking(refusal);
		if (refusal.final) held.id = null;
	}
}

// toBooking leads a fan who never saw the answer to their payment to what they bought.
function toBooking({ problem, message }) {
	element("resumelink").href = `/booking/${encodeURIComponent(problem.bookingId)}`;
	element("resumelink").textContent = "See your booking";
	element("resumetext").textContent = message;
	element("giveback").hidden = true;
	element("resume").hidden = false;
}

async function giveBack() {
	element("giveback").disabled = true;
	try {
		await call("DELETE", `/holds/${encodeURIComponent(held.id)}`);
		held.id = null;
		element("resume").hidden = true;
		const seats = [...owned];
		owned.clear();
		chosen(seats);
	} catch (refusal) {
		element("giveback").disabled = false;
		say(refusal.message);
	}
}

function point(seat, area, event) {
	element("map").classList.toggle("over", seat >= 0 || area !== undefined);
	const tip = element("tip");
	tip.hidden = seat < 0 && !area || event.pointerType === "touch";
	if (tip.hidden) return;
	tip.textContent = seat >= 0
		? [plan.names[seat], plan.accessible[seat] && "wheelchair place", priceOf(seat), words[stateOf(seat)]].filter(Boolean).join(" · ")
		: `${area.name} · ${price(sale.categories[area.category].price)} · ${freeOf(map, area.first, area.capacity)} free`;
	const box = element("map").getBoundingClientRect();
	tip.style.transform = `translate(${Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 4)}px, ${Math.min(event.clientY - box.top + 14, box.height - tip.offsetHeight - 4)}px)`;
}

async function start() {
	({ sale, plan } = await loadPlan(text => { element("summary").textContent = text; }));
	element("title").textContent = document.title = sale.name;
	element("number").replaceChildren(...Array.from({ length: sale.maxPerPass }, (_, i) => new Option(i + 1)));
	element("number").value = Math.min(2, sale.maxPerPass);
	element("category").append(...sale.categories.map((category, i) => new Option(`${category.name}, ${price(category.price)}`, i)));
	element("holdtime").textContent = `"Continue" holds your seats for ${Math.round(sale.holdSeconds / 60) || 1} min, so that you can pay in peace.`;
	map = new LiveMap({ onChange: changed, onCounts: counted, onLink: link => { document.body.dataset.link = link; element("link").hidden = link !== "lost"; } });
	list = new SeatList({ sale, plan, stateOf: i => words[stateOf(i)], pick });
	showAreas();
	try {
		canvas = new SeatCanvas(element("map"), plan, stateOf, { onPick: pick, onArea: area => stand(area, choice.standing?.area === area ? choice.size + 1 : 1), onPoint: point });
	} catch { // no canvas: the list does all that the map does
		document.body.classList.add("nomap");
		element("list").open = true;
	}
	for (const [id, act] of [["in", () => canvas.zoom(1.5)], ["out", () => canvas.zoom(1 / 1.5)], ["fit", () => canvas.fit()], ["choose", () => choose(Number(element("number").value))], ["hold", hold], ["giveback", giveBack]]) element(id).onclick = act;
	chosen([]);
	map.follow();
	resume();
}

start().catch(error => { element("summary").textContent = error.message; });
