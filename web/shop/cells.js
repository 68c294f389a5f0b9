// What a hold or a booking is made of, by names that people know.

import { element } from "./api.js";
import { loadPlan } from "./plan.js";

const place = "names";

export function keepNames(names) { sessionStorage.setItem(place, JSON.stringify(names)); }

// namesOf finds the names of cells: where the picker has left them, or else on the plan.
async function namesOf(ids) {
	const kept = JSON.parse(sessionStorage.getItem(place)) ?? {};
	if (ids.every(id => kept[id])) return kept;
	const { plan } = await loadPlan();
	const found = Object.fromEntries(ids.map(id => [id, plan.names[plan.byId.get(id)] ?? id]));
	keepNames(found);
	return found;
}

// showCells lists them; places of a standing area as one line.
export async function showCells(ids) {
	const names = await namesOf(ids).catch(() => ({})); // their ids will do
	const count = new Map();
	for (const id of ids) count.set(names[id] ?? id, 1 + (count.get(names[id] ?? id) ?? 0));
	element("chosen").replaceChildren(...[...count].map(([name, n]) => {
		const item = document.createElement("li");
		item.textContent = n > 1 ? `${n} × ${name}` : name;
		return item;
	}));
}
