// The checkout: what is held, for how long, and paying for it. The clock is the
// server's: it counts the seconds that the server says are left. A payment that was
// begun is found again after a reload: its request is kept until it is answered.

import { call, element, held, money, Once, pause, say } from "./api.js";
import { showCells } from "./cells.js";

const id = decodeURIComponent(location.pathname.split("/").pop());
const path = `/holds/${encodeURIComponent(id)}`;
const payment = new Once("pay " + id);
const under = "booking of " + id; // where a booking is remembered whose payment is pending
let ends = 0; // by performance.now()
let ticking, price;

async function load() {
	const { document: hold } = await call("GET", path, { onTrouble: say });
	price = money(hold.price);
	showCells(hold.cells);
	element("total").textContent = `${price}, all fees included`;
	element("total").hidden = false;
	if (hold.paying) return false;
	element("form").hidden = element("clock").hidden = false;
	busy(false);
	ends = performance.now() + 1000 * hold.expiresInSeconds;
	ticking ??= setInterval(tick, 250);
	tick();
	return true;
}

let spoken = Infinity;

function tick() {
	const left = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
	element("left").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
	element("clock").classList.toggle("short", left <= 60);
	const minutes = [5, 2, 1].find(n => left <= 60 * n && spoken > n && left > 60 * n - 30);
	if (minutes) {
		spoken = minutes;
		element("spoken").textContent = minutes === 1 ? "One minute left to pay." : `${minutes} minutes left to pay.`;
	}
	if (left === 0 && !element("pay").disabled) over("The time for these seats is over. They went back to everybody; no money was taken.");
}

function stopClock() {
	ticking = clearInterval(ticking);
	element("clock").hidden = true;
}

// over ends the page: there is nothing to pay for any more.
function over(text) {
	stopClock();
	payment.forget();
	held.id = null;
	document.body.dataset.state = "over";
	element("form").hidden = true;
	element("again").hidden = false;
	say(text);
}

// bought leads to the booking that these seats have become part of.
function bought(booking) {
	payment.forget();
	sessionStorage.removeItem(under);
	held.id = null;
	location.replace(`/booking/${encodeURIComponent(booking)}`);
}

function busy(yes) {
	element("pay").disabled = element("release").disabled = yes;
	element("pay").textContent = yes ? "Paying …" : `Pay ${price}`;
}

// mistakes says what is wrong with the form, beside each field.
function mistakes() {
	const wrong = [];
	for (const [field, text] of [["name", "Please enter your name."], ["email", "Please enter an address such as ada@example.org."]]) {
		const input = element(field), bad = !input.checkValidity() || input.value.trim() === "";
		element(field + "-wrong").textContent = bad ? text : "";
		input.setAttribute("aria-invalid", bad);
		if (bad) wrong.push(input);
	}
	wrong[0]?.focus();
	return wrong.length > 0;
}

async function submit(event) {
	event.preventDefault();
	say();
	if (mistakes()) return;
	const fields = new FormData(element("form"));
	await pay({ method: fields.get("method"), buyer: { name: fields.get("name").trim(), email: fields.get("email").trim() } });
}

// pay asks for a payment, or again for the one that was begun.
async function pay(body) {
	busy(true);
	try {
		const { document: booking } = await call("POST", path + "/checkout", { ...payment.for(body), onTrouble: say });
		await settled(booking);
	} catch (refusal) {
		await failed(refusal);
	}
}

// settled waits for payments that take a while; the seats are safe meanwhile.
async function settled(booking) {
	for (let round = 1; ["claimed", "authorising"].includes(booking.state); round++) {
		sessionStorage.setItem(under, booking.bookingId);
		stopClock();
		element("form").hidden = true;
		document.body.dataset.state = "pending";
		say("Your bank has not answered yet. Your seats are safe while we wait; please stay on this page.");
		await pause(Math.min(500 * round, 5000));
		({ document: booking } = await call("GET", `/bookings/${encodeURIComponent(booking.bookingId)}`));
	}
	payment.forget();
	sessionStorage.removeItem(under);
	if (booking.state === "declined") return failed({ final: true, message: "The payment was declined. No money was taken. Your seats are still held: try another means of payment." });
	if (booking.state === "expired") return over("The time to pay is over. No money was taken, and the seats went back to everybody.");
	bought(booking.bookingId);
}

// failed shows what can be done: pay otherwise, ask again, or choose again.
async function failed(refusal) {
	if (refusal.final) payment.forget(); // the next try is another payment
	delete document.body.dataset.state;
	if (refusal.code === "already-booked") return bought(refusal.problem.bookingId);
	if (["hold-expired", "hold-unknown", "hold-not-yours", "cells-unavailable", "payment-expired"].includes(refusal.code)) return over(refusal.message);
	try {
		const open = await load();
		if (!open && !payment.kept) return await elsewhere();
		element("form").hidden = false; // if its answer was lost, "Pay" asks for it once more
		busy(false);
		say(refusal.message);
	} catch (gone) {
		lost(gone);
	}
}

function lost(refusal) {
	if (refusal.code === "already-booked") return bought(refusal.problem.bookingId);
	if (refusal.final) return over(refusal.message);
	say(refusal.message);
	element("retry").hidden = false;
}

async function release() {
	busy(true);
	try {
		await call("DELETE", path);
		held.id = null;
		location.href = "/";
	} catch (refusal) {
		busy(false);
		say(refusal.message);
	}
}

// start finds out how far this fan has come.
async function start() {
	element("retry").hidden = true;
	const booking = sessionStorage.getItem(under);
	if (booking) return settled((await call("GET", `/bookings/${encodeURIComponent(booking)}`)).document);
	held.id = id;
	const begun = payment.kept;
	if (begun) {
		await load().catch(() => {}); // what was paid for is held no more
		return pay(begun.body);
	}
	if (!await load()) return elsewhere();
	say();
}

// elsewhere waits for a payment that this page knows nothing more of.
async function elsewhere() {
	stopClock();
	element("form").hidden = true;
	document.body.dataset.state = "pending";
	say("A payment for these seats is under way in another window. Finish it there; this page follows.");
	do await pause(3000); while (!await load());
	delete document.body.dataset.state;
	say();
}

element("form").addEventListener("submit", submit);
element("release").addEventListener("click", release);
element("retry").addEventListener("click", () => start().catch(lost));
// A machine that slept has a clock that stood still: ask again how much is left.
document.addEventListener("visibilitychange", () => { if (!document.hidden && ticking && !element("pay").disabled) load().catch(lost); });
start().catch(lost);
