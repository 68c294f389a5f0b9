// The booking, in plain words.

import { call, element, held, money, pause } from "./api.js";
import { showCells } from "./cells.js";

const id = decodeURIComponent(location.pathname.split("/").pop());
const words = {
	booked: ["Your seats are booked", "Thank you! The seats are yours. Your payment went through."],
	captured: ["Your seats are booked", "Thank you! The seats are yours. Your payment went through."],
	attention: ["Your seats are booked", "The seats are yours. There is a question about the payment; we will write to you. You need not do anything."],
	claimed: ["Your payment is on its way", "Your seats are safe while we wait for your bank. This page follows; please keep it open."],
	authorising: ["Your payment is on its way", "Your seats are safe while we wait for your bank. This page follows; please keep it open."],
	declined: ["The payment was declined", "No money was taken."],
	expired: ["The time to pay was over", "No money was taken, and the seats went back to everybody."],
};

async function show() {
	for (let round = 1; ; round++) {
		const { document: booking } = await call("GET", `/bookings/${encodeURIComponent(id)}`);
		const [title, text] = words[booking.state] ?? words.claimed;
		const sold = ["booked", "captured", "attention"].includes(booking.state);
		element("title").textContent = document.title = title;
		element("text").textContent = text;
		if (sold && held.id === booking.holdId) held.id = null; // nothing is left to pay for
		document.body.dataset.state = sold ? "booked" : booking.state;
		if (round === 1) showCells(booking.cells);
		element("total").textContent = sold ? `${money(booking.price)} paid, all fees included` : money(booking.price);
		element("total").hidden = false;
		element("number").textContent = `Booking ${booking.bookingId} for ${booking.buyer.name}, ${booking.buyer.email}`;
		element("number").hidden = element("keep").hidden = !sold;
		element("done").hidden = element("hint").hidden = !sold;
		element("more").hidden = false;
		if (!["claimed", "authorising"].includes(booking.state)) return;
		await pause(Math.min(500 * round, 5000));
	}
}

async function start() {
	element("retry").hidden = true;
	try {
		await show();
	} catch (refusal) {
		element("text").textContent = refusal.message;
		element("retry").hidden = refusal.final === true;
		element("more").hidden = false;
	}
}

element("retry").addEventListener("click", start);
start();
