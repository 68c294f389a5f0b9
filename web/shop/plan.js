// The layout as arrays: a place in them is a cell's ordinal, as on the live map.

import { api, call, event } from "./api.js";

// loadPlan reads an event and its layout, which the browser keeps for ever.
export async function loadPlan(onTrouble) {
	const { document: sale } = await call("GET", `/events/${event}`, { onTrouble });
	const reply = await fetch(api.replace("/v1", "") + sale.layout, { credentials: "same-origin" });
	if (!reply.ok) throw new Error("The plan of the hall could not be loaded. Please reload the page.");
	return { sale, plan: new Plan(await reply.json()) };
}

export class Plan {
	constructor(layout) {
		this.layout = layout;
		this.areas = layout.areas;
		const rows = layout.zones.flatMap(zone => zone.rows.map(row => ({ zone: zone.name || "Hall", ...row })));
		this.rows = rows;
		const cells = Math.max(0, ...rows.map(row => row.first + row.ids.length), ...this.areas.map(area => area.first + area.capacity));
		this.x = new Float32Array(cells).fill(NaN); // units of standing areas have no place
		this.y = new Float32Array(cells).fill(NaN);
		this.category = new Uint8Array(cells);
		this.accessible = new Uint8Array(cells);
		this.ids = new Array(cells);
		this.names = new Array(cells);
		this.numbers = new Array(cells);
		this.byId = new Map();
		for (const row of rows) this.seats(row);
		for (const area of this.areas) this.units(area);
		this.pitch = this.measure();
		this.zones = this.blocks();
		this.index();
	}

	seats(row) {
		row.ids.forEach((id, i) => {
			const ordinal = row.first + i;
			this.x[ordinal] = row.x[i];
			this.y[ordinal] = row.y[i];
			this.category[ordinal] = Array.isArray(row.category) ? row.category[i] : row.category;
			this.ids[ordinal] = id;
			this.numbers[ordinal] = row.numbers[i];
			this.names[ordinal] = [row.zone, row.label && `row ${row.label}`, `seat ${row.numbers[i]}`].filter(Boolean).join(", ");
			this.byId.set(id, ordinal);
		});
		for (const i of row.accessible ?? []) this.accessible[row.first + i] = 1;
	}

	units(area) {
		for (let i = 0; i < area.capacity; i++) {
			const ordinal = area.first + i, id = `${area.id}-${String(i + 1).padStart(5, "0")}`;
			this.category[ordinal] = area.category;
			this.ids[ordinal] = id;
			this.names[ordinal] = area.name;
			this.byId.set(id, ordinal);
		}
	}

	// measure finds how far neighbours are apart: the median of all.
	measure() {
		const distances = [];
		for (const { first, ids } of this.rows) {
			for (let i = first + 1; i < first + ids.length; i++) {
				distances.push(Math.hypot(this.x[i] - this.x[i - 1], this.y[i] - this.y[i - 1]));
			}
		}
		distances.sort((a, b) => a - b);
		return distances[distances.length >> 1] || 10;
	}

	// blocks says where the zones are, to write their names there.
	blocks() {
		const zones = new Map();
		for (const { zone: name, first, ids } of this.rows) {
			let zone = zones.get(name);
			if (!zone) zones.set(name, zone = { name, low: [Infinity, Infinity], high: [-Infinity, -Infinity], sum: [0, 0], n: 0 });
			for (let i = first; i < first + ids.length; i++) {
				[this.x[i], this.y[i]].forEach((at, axis) => {
					zone.low[axis] = Math.min(zone.low[axis], at);
					zone.high[axis] = Math.max(zone.high[axis], at);
					zone.sum[axis] += at;
				});
				zone.n++;
			}
		}
		return [...zones.values()].map(({ name, low, high, sum, n }) => ({ name, x: sum[0] / n, y: sum[1] / n, width: high[0] - low[0], height: high[1] - low[1] }));
	}

	// index sorts the seats into squares, so that a place on the map finds its seat.
	index() {
		this.square = this.pitch * 6;
		this.squares = new Map();
		for (let i = 0; i < this.x.length; i++) {
			if (Number.isNaN(this.x[i])) continue;
			const key = this.key(this.x[i], this.y[i]);
			const list = this.squares.get(key);
			if (list) list.push(i); else this.squares.set(key, [i]);
		}
	}

	key(x, y) { return Math.floor(y / this.square) * 100_000 + Math.floor(x / this.square); }

	// within calls back for each seat of a rectangle, and some around it.
	within(x0, y0, x1, y1, visit) {
		for (let y = y0; y < y1 + this.square; y += this.square) {
			for (let x = x0; x < x1 + this.square; x += this.square) {
				for (const i of this.squares.get(this.key(x, y)) ?? []) visit(i);
			}
		}
	}

	// nearest is the seat at a place, -1 for none.
	nearest(x, y, reach) {
		let best = -1, distance = reach;
		this.within(x - reach, y - reach, x + reach, y + reach, i => {
			const d = Math.hypot(this.x[i] - x, this.y[i] - y);
			if (d < distance) { best = i; distance = d; }
		});
		return best;
	}

	// areaAt is the standing area at a place, undefined for none.
	areaAt(x, y) { return this.areas.find(a => x >= a.x && x <= a.x + a.width && y >= a.y && y <= a.y + a.height); }

	// together finds n cells that wanted takes: side by side, or else in one block, or
	// else anywhere, from a random place on, so that not everybody is offered the same.
	together(n, wanted) {
		const start = Math.floor(Math.random() * this.rows.length);
		const rows = this.rows.map((_, i) => this.rows[(start + i) % this.rows.length]);
		for (const { first, ids } of rows) {
			let run = 0;
			for (let i = first; i < first + ids.length; i++) {
				run = wanted(i) ? run + 1 : 0;
				if (run === n) return { how: "side by side", seats: Array.from({ length: n }, (_, k) => i - n + 1 + k) };
			}
		}
		const anywhere = [], blocks = new Map();
		for (const { zone, first, ids } of rows) {
			const block = blocks.get(zone) ?? [];
			blocks.set(zone, block);
			for (let i = first; i < first + ids.length; i++) {
				if (!wanted(i)) continue;
				block.push(i);
				anywhere.push(i);
				if (block.length === n) return { how: "in one block", seats: block };
			}
		}
		return { how: "apart", seats: anywhere.slice(0, n) };
	}
}
