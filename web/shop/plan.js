// The layout as arrays: a place in them is a seat's ordinal, as on the live map.

export class Plan {
	constructor(layout) {
		this.layout = layout;
		const rows = layout.zones.flatMap(zone => zone.rows.map(row => ({ zone: zone.name, ...row })));
		this.rows = rows;
		const cells = Math.max(0, ...rows.map(row => row.first + row.ids.length), ...layout.areas.map(area => area.first + area.capacity));
		this.x = new Float32Array(cells).fill(NaN);
		this.y = new Float32Array(cells).fill(NaN);
		this.category = new Uint8Array(cells);
		this.ids = new Array(cells);
		this.names = new Array(cells);
		this.accessible = new Uint8Array(cells);
		this.byId = new Map();
		for (const row of rows) {
			row.ids.forEach((id, i) => {
				const ordinal = row.first + i;
				this.x[ordinal] = row.x[i];
				this.y[ordinal] = row.y[i];
				this.category[ordinal] = Array.isArray(row.category) ? row.category[i] : row.category;
				this.ids[ordinal] = id;
				this.names[ordinal] = [row.zone, row.label && `row ${row.label}`, `seat ${row.numbers[i]}`].filter(Boolean).join(", ");
				this.byId.set(id, ordinal);
			});
			for (const i of row.accessible ?? []) this.accessible[row.first + i] = 1;
		}
		this.pitch = this.measure();
		this.index();
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
		this.within(x - this.square, y - this.square, x + this.square, y + this.square, i => {
			const d = Math.hypot(this.x[i] - x, this.y[i] - y);
			if (d < distance) { best = i; distance = d; }
		});
		return best;
	}
}
