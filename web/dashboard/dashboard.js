// Asks for the numbers once a second and shows them. When they do not come it says
// how old they are, rather than show old ones as if they were new.

const KEPT = 300; // waiting counts of each room, one a second
const PATIENCE = 5000; // ms for one answer
const LATE = 3000; // ms after which numbers are called old
const cards = new Map(); // room → its card and its last counts
let seen = 0, failure = "";

const main = document.getElementById("rooms");
const number = n => Math.round(n).toLocaleString("en-US");
const states = { open: "open", paused: "paused", lobby: "lobby", drawing: "drawing", scheduled: "not open yet", "sold-out": "sold out", closed: "closed" };
const stocks = { "all-held": "Everything is held right now. ", "sold-out": "Sold out. ", "not-open": "The sale is not open. " };

// put writes only what changes, so that a selection or a screen reader is not
// disturbed each second.
function put(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function rate(room) {
	const unit = { 1: "s", 60: "min", 3600: "h" }[room.ratePerSeconds] ?? `${room.ratePerSeconds} s`;
	return `${number(room.rate)}/${unit}`;
}

// The figures of a room, in the order in which a fan passes them. A label may have
// a number of its own after it.
const limits = {
	"Inside now": room => `, of ${number(room.activeCap)}`,
	"Edges": room => room.edgesUnwell ? `, ${number(room.edgesUnwell)} unwell` : "",
};
const figures = {
	"Waiting": room => number(room.waiting),
	"Admission rate": rate,
	"Admitted, last minute": room => number(room.admittedPerMinute),
	"Admitted in all": room => number(room.admittedTotal),
	"Turns not taken yet": room => number(room.turns),
	"Inside now": room => number(room.active),
	"Held": room => room.stock && number(room.stock.held),
	"Booked": room => room.stock && number(room.stock.booked),
	"No-shows": room => number(room.noShowsTotal),
	"Streams, this edge": room => number(room.streams),
	"Edges": room => room.edges ? number(room.edges) : null,
};

// list writes a list anew only where it changed.
function list(element, texts, make) {
	const key = JSON.stringify(texts);
	if (element.dataset.key === key) return;
	element.dataset.key = key;
	element.replaceChildren(...texts.map(make));
}

function item(text, className = "") {
	const li = document.createElement("li");
	li.textContent = text;
	li.className = className;
	return li;
}

const quoted = text => /^[\w./:-]+$/.test(text) ? text : `“${text}”`;

// What an order changed. Where the order's own name says it all, there is nothing to add.
function changed(before, after) {
	return Object.entries(after).filter(([name, is]) => name !== "paused" && before[name] !== is).map(([name, is]) =>
		`${name === "message" ? "" : `${name} `}${before[name] ? `${quoted(before[name])} → ` : ""}${quoted(is)}`).join(", ");
}

// told is an order in one line: when, what, by whom and why.
function told({ at, what, before, after, by }) {
	const change = changed(before ?? {}, after ?? {});
	return [`${at.slice(11, 19)} UTC`, change ? `${what}: ${change}` : what, by.user ? `${by.user} at ${by.host}` : `edge ${by.edge}`, by.reason].filter(Boolean).join(" · ");
}

function card(name) {
	const known = cards.get(name);
	if (known) return known;
	const section = document.getElementById("room").content.cloneNode(true).firstElementChild;
	const find = selector => section.querySelector(selector);
	const made = { section, find, counts: [], values: {} };
	put(find(".name"), name);
	for (const label of Object.keys(figures)) {
		const box = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
		term.textContent = label;
		box.append(term, value);
		find(".figures").append(box);
		made.values[label] = { box, term, value };
	}
	cards.set(name, made);
	return made;
}

function draw(room) {
	const { section, find, counts, values } = card(room.room);
	put(find(".state"), states[room.state] ?? room.state);
	find(".state").dataset.state = room.state;
	const notes = room.notes ?? [];
	list(find(".notes"), notes, note => item(note.text, note.bad ? "bad" : ""));
	find(".notes").hidden = notes.length === 0;
	put(find(".message"), room.message ? `Fans read: ${room.message}` : "");
	find(".message").hidden = !room.message;
	for (const [label, of] of Object.entries(figures)) {
		const text = of(room);
		values[label].box.hidden = text === null;
		put(values[label].value, text ?? "");
		put(values[label].term, label + (limits[label]?.(room) ?? ""));
	}
	counts.push(room.waiting);
	if (counts.length > KEPT) counts.shift();
	const most = Math.max(1, ...counts);
	find("polyline").setAttribute("points", counts.map((n, i) =>
		`${(300 * (KEPT - counts.length + i)) / (KEPT - 1)},${58 - 56 * n / most}`).join(" "));
	put(find(".trendnote"), `Waiting over the last five minutes; at most ${number(Math.max(...counts))}`);
	const orders = [...room.orders ?? []].reverse();
	list(find(".orders ol"), orders.map(told), text => item(text));
	find(".orders").hidden = orders.length === 0;
	put(find(".orders code"), `caddy-tickets room log ${room.room}`);
	find(".stock").hidden = !room.stock;
	if (room.stock) {
		const { state, free, held, booked, capacity } = room.stock;
		find(".booked").style.width = `${100 * booked / Math.max(1, capacity)}%`;
		find(".held").style.width = `${100 * held / Math.max(1, capacity)}%`;
		put(find(".stocknote"), `${stocks[state] ?? ""}${number(booked)} booked, ${number(held)} held, ${number(free)} free of ${number(capacity)}`);
	}
	return section;
}

function show(rooms) {
	const sections = rooms.map(draw);
	for (const [name, { section }] of cards) {
		if (!sections.includes(section)) cards.delete(name);
	}
	if (sections.length === 0) return put(main, "This edge has no waiting rooms.");
	if (sections.length !== main.childNodes.length || sections.some((s, i) => main.childNodes[i] !== s)) main.replaceChildren(...sections);
	const waiting = rooms.reduce((sum, room) => sum + room.waiting, 0);
	document.title = `${number(waiting)} waiting`;
}

async function ask() {
	try {
		const reply = await fetch("rooms.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
		if (!reply.ok) throw new Error(`the edge answers ${reply.status}`);
		show(await reply.json());
		seen = Date.now();
	} catch (error) {
		failure = error.message.startsWith("the edge") ? error.message : "the edge does not answer";
	}
	age();
	setTimeout(ask, 1000);
}

function age() {
	const line = document.getElementById("age");
	const old = Date.now() - seen;
	const late = seen === 0 ? failure !== "" : old > LATE;
	line.classList.toggle("late", late);
	main.classList.toggle("late", late);
	if (!late) put(line, seen === 0 ? "Loading …" : "Live");
	else if (seen === 0) put(line, `No numbers: ${failure}.`);
	else put(line, `These numbers are ${Math.round(old / 1000)} s old: ${failure || "the edge does not answer"}.`);
}

setInterval(age, 1000);
ask();
