// The checkout: what is held, for how long, and paying for it. The clock is the
// server's: it counts the seconds that the server says are left.

import { call, element, forgetKey, keyFor, money, pause, say, showCells } from "./api.js";

const id = decodeURIComponent(location.pathname.split("/").pop());
const what = "pay " + id;
let ends = 0; // by performance.now()
let ticking;

async function load() {
	const { document: hold } = await call("GET", `/holds/${id}`, { onTrouble: say });
	say();
	showCells(hold.cells);
	element("total").textContent = `${money(hold.price)} in all, fees included`;
	element("total").hidden = false;
	element("form").hidden = false;
	element("clock").hidden = false;
	element("pay").disabled = false;
	element("pay").textContent = `Pay ${money(hold.price)}`;
	ends = performance.now() + 1000 * hold.expiresInSeconds;
	ticking ??= setInterval(tick, 250);
	tick();
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

// over ends the page: there is nothing to pay for any more.
function over(text) {
	clearInterval(ticking);
	sessionStorage.removeItem("hold");
	element("form").hidden = true;
	element("clock").hidden = true;
	element("again").hidden = false;
	say(text);
}

async function pay(event) {
	event.preventDefault();
	const form = element("form");
	if (!form.reportValidity()) return;
	const fields = new FormData(form);
	const body = { method: fields.get("method"), buyer: { name: fields.get("name").trim(), email: fields.get("email").trim() } };
	busy(true);
	say();
	try {
		const { document: booking } = await call("POST", `/holds/${id}/checkout`, { body, key: keyFor(what), onTrouble: say });
		await settled(booking);
	} catch (refusal) {
		failed(refusal);
	}
}

function busy(yes) {
	element("pay").disabled = element("release").disabled = yes;
	if (yes) element("pay").textContent = "Paying …";
}

// settled waits for payments that take a while; the seats are safe meanwhile.
async function settled(booking) {
	while (["claimed", "authorising"].includes(booking.state)) {
		clearInterval(ticking);
		element("clock").hidden = true;
		say("Your bank has not answered yet. Your seats are safe while we wait; please stay on this page.");
		await pause(1000);
		({ document: booking } = await call("GET", `/bookings/${booking.bookingId}`));
	}
	if (booking.state === "declined") return failed({ code: "payment-declined", message: "The payment was declined. No money was taken. Your seats are still held: try another means of payment." });
	forgetKey(what);
	if (booking.state === "expired") return over("The time to pay is over. No money was taken.");
	sessionStorage.removeItem("hold");
	location.replace(`/booking/${booking.bookingId}`);
}

async function failed(refusal) {
	if (refusal.code !== "offline") forgetKey(what); // the next try is another one
	if (["hold-expired", "hold-unknown", "cells-unavailable", "payment-expired", "hold-not-yours"].includes(refusal.code)) return over(refusal.message);
	busy(false);
	ticking = clearInterval(ticking);
	try {
		await load();
		say(refusal.message);
	} catch (gone) {
		over(gone.message);
	}
}

async function release() {
	busy(true);
	try {
		await call("DELETE", `/holds/${id}`);
		sessionStorage.removeItem("hold");
		location.href = "/";
	} catch (refusal) {
		busy(false);
		say(refusal.message);
	}
}

element("form").addEventListener("submit", pay);
element("release").addEventListener("click", release);
load().catch(gone => over(gone.message));
