// The booking, in plain words.

import { call, element, money, pause, showCells } from "./api.js";

const id = decodeURIComponent(location.pathname.split("/").pop());
const words = {
	booked: ["Your seats are booked", "Thank you! The seats are yours. Your payment went through."],
	captured: ["Your seats are booked", "Thank you! The seats are yours. Your payment went through."],
	attention: ["Your seats are booked", "The seats are yours. There is a question about the payment; we will write to you. You need not do anything."],
	claimed: ["Your payment is on its way", "Your seats are safe while we wait for your bank."],
	authorising: ["Your payment is on its way", "Your seats are safe while we wait for your bank."],
	declined: ["The payment was declined", "No money was taken."],
	expired: ["The time to pay was over", "No money was taken, and the seats went back to everybody."],
};

async function show() {
	for (;;) {
		const { document: booking } = await call("GET", `/bookings/${id}`);
		const [title, text] = words[booking.state] ?? words.claimed;
		const sold = ["booked", "captured", "attention"].includes(booking.state);
		element("title").textContent = document.title = title;
		element("text").textContent = text;
		document.body.dataset.state = sold ? "booked" : booking.state;
		showCells(booking.cells);
		element("total").textContent = `${money(booking.price)}, fees included`;
		element("total").hidden = false;
		element("number").textContent = `Booking ${booking.bookingId}`;
		element("number").hidden = !sold;
		element("done").hidden = element("hint").hidden = !sold;
		element("more").hidden = false;
		if (!["claimed", "authorising"].includes(booking.state)) return;
		await pause(1000);
	}
}

show().catch(refusal => { element("text").textContent = refusal.message; element("more").hidden = false; });
