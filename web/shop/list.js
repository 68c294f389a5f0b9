// The list of seats, for those who do not use the map: block, row, seat. What changes
// is changed in place, so that nobody loses the button they are on.

import { element, money } from "./api.js";
import { FREE } from "./livemap.js";

export class SeatList {
	// stateOf(ordinal) is a seat's state in one word; isFree and pick as the map's.
	constructor({ sale, plan, stateOf, pick }) {
		Object.assign(this, { sale, plan, stateOf, pick, buttons: [] });
		const names = [...new Set(plan.rows.map(row => row.zone))];
		element("zone").replaceChildren(...names.map(name => new Option(name)));
		element("zone").onchange = () => this.showRows();
		element("rowname").onchange = () => this.showSeats();
		element("list").ontoggle = () => {
			this.refresh();
			if (element("list").open) element("list").scrollIntoView({ block: "nearest" });
		};
		element("list").hidden = plan.rows.length === 0;
		this.showRows();
	}

	showRows() {
		const zone = element("zone").value;
		this.rows = this.plan.rows.filter(row => row.zone === zone);
		element("rowname").replaceChildren(...this.rows.map((_, i) => new Option("", i)));
		this.showSeats();
	}

	showSeats() {
		const row = this.rows[Number(element("rowname").value)];
		this.buttons = row?.ids.map((_, n) => this.button(row.first + n)) ?? [];
		element("seats").replaceChildren(...this.buttons.map(([, button]) => {
			const item = document.createElement("li");
			item.append(button);
			return item;
		}));
		this.refresh();
	}

	button(i) {
		const button = document.createElement("button");
		button.type = "button";
		button.textContent = this.plan.numbers[i];
		button.onclick = () => this.pick(i);
		return [i, button];
	}

	// refresh shows the states as they are now.
	refresh() {
		if (!element("list").open) return;
		this.rows.forEach((row, n) => {
			const free = row.ids.reduce((sum, _, k) => sum + (this.stateOf(row.first + k) === "free"), 0);
			const text = `${row.label || n + 1} (${free} free)`;
			const option = element("rowname").options[n];
			if (option.textContent !== text) option.textContent = text;
		});
		for (const [i, button] of this.buttons) {
			const state = this.stateOf(i), price = money({ amount: this.sale.categories[this.plan.category[i]].price, currency: this.sale.currency });
			button.dataset.state = state;
			button.setAttribute("aria-pressed", state === "mine");
			button.setAttribute("aria-label", [this.plan.names[i], this.plan.accessible[i] && "wheelchair place", state, price].filter(Boolean).join(", "));
			button.setAttribute("aria-disabled", state !== "free" && state !== "mine");
		}
	}
}

export const freeOf = (map, first, n) => {
	let free = 0;
	for (let i = first; i < first + n; i++) if (map.states[i] === FREE) free++;
	return free;
};
