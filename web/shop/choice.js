// What a fan has chosen and not yet held: seats, or a number of places in a standing
// area; one hold is of one kind.

export class Choice {
	constructor() {
		this.seats = new Set(); // ordinals
		this.standing = null; // { area, quantity }
	}

	get size() { return this.standing?.quantity ?? this.seats.size; }

	add(i) {
		this.standing = null;
		this.seats.add(i);
	}

	stand(area, quantity) {
		this.seats.clear();
		this.standing = quantity > 0 ? { area, quantity } : null;
	}

	clear() {
		this.seats.clear();
		this.standing = null;
	}

	// amount is what it costs, fees included, in minor units.
	amount(sale, plan) {
		if (this.standing) return this.standing.quantity * sale.categories[this.standing.area.category].price;
		return [...this.seats].reduce((sum, i) => sum + sale.categories[plan.category[i]].price, 0);
	}

	// request is what the surface is asked for.
	request(plan) {
		if (this.standing) return { area: { id: this.standing.area.id, quantity: this.standing.quantity } };
		return { cells: [...this.seats].sort((a, b) => a - b).map(i => plan.ids[i]) };
	}
}
