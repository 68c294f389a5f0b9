// Draws tens of thousands of seats smoothly. Everything is painted once onto a
// picture; moving the map only copies a part of that picture, and a seat that
// changes repaints its own spot. Only close up, where few seats are in sight, they
// are drawn one by one, sharp.

import { FREE, HELD, BOOKED } from "./livemap.js";

const PICTURE = 3072; // longest side in pixels: 3072² × 4 B = 38 MB at most
const MINE = 9;

export class SeatCanvas {
	constructor(canvas, plan, stateOf, { onPick, onPoint }) {
		Object.assign(this, { canvas, plan, stateOf, onPick, onPoint });
		this.context = canvas.getContext("2d", { alpha: false });
		this.size = plan.layout.size;
		this.base = PICTURE / Math.max(this.size.width, this.size.height);
		this.picture = document.createElement("canvas");
		this.picture.width = Math.ceil(this.size.width * this.base);
		this.picture.height = Math.ceil(this.size.height * this.base);
		this.view = { x: 0, y: 0, scale: 1 };
		this.frames = []; // how long the last frames took to draw, in ms
		this.colors();
		this.listen();
		new ResizeObserver(() => this.resize()).observe(canvas);
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.colors(); this.repaint(); });
		this.resize();
		this.fit();
	}

	colors() {
		const style = getComputedStyle(document.body);
		const color = name => style.getPropertyValue(name).trim();
		this.color = { ground: color("--surface"), text: color("--text"), quiet: color("--quiet"), line: color("--line") };
		this.category = this.plan.layout.categories.map(c => c.color || color("--accent"));
	}

	resize() {
		const ratio = Math.min(devicePixelRatio || 1, 2);
		this.ratio = ratio;
		this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
		this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
		if (this.fitted) this.fit(); else this.draw();
	}

	fit() {
		const { width, height } = this.canvas;
		const scale = Math.min(width / this.size.width, height / this.size.height) * 0.96;
		this.view = { scale, x: this.size.width / 2 - width / scale / 2, y: this.size.height / 2 - height / scale / 2 };
		this.least = scale;
		this.most = 40 * this.ratio / this.plan.pitch;
		this.fitted = true;
		this.draw();
	}

	// repaint paints the whole picture anew.
	repaint() {
		const context = this.picture.getContext("2d");
		context.setTransform(1, 0, 0, 1, 0, 0);
		context.fillStyle = this.color.ground;
		context.fillRect(0, 0, this.picture.width, this.picture.height);
		context.setTransform(this.base, 0, 0, this.base, 0, 0);
		this.decor(context);
		for (let i = 0; i < this.plan.x.length; i++) this.seat(context, i, false);
		this.draw();
	}

	// change repaints single seats.
	change(ordinals) {
		const context = this.picture.getContext("2d");
		context.setTransform(this.base, 0, 0, this.base, 0, 0);
		const reach = this.plan.pitch / 2;
		for (const i of ordinals) {
			context.fillStyle = this.color.ground;
			context.fillRect(this.plan.x[i] - reach, this.plan.y[i] - reach, 2 * reach, 2 * reach);
			this.seat(context, i, false);
		}
		this.draw();
	}

	// seat draws one seat. Its state is told by shape and not by colour alone: free is
	// a full disc, held a ring, sold a small square, one's own a disc in a ring.
	seat(context, i, sharp) {
		const x = this.plan.x[i], y = this.plan.y[i];
		if (Number.isNaN(x)) return;
		const r = this.plan.pitch * 0.42;
		const state = this.stateOf(i);
		const disc = radius => { context.beginPath(); context.arc(x, y, radius, 0, 7); };
		switch (state) {
		case FREE:
			context.fillStyle = this.category[this.plan.category[i]];
			if (sharp) { disc(r); context.fill(); } else context.fillRect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
			break;
		case HELD:
			context.strokeStyle = this.color.quiet;
			context.lineWidth = r * 0.35;
			disc(r * 0.75);
			context.stroke();
			break;
		case BOOKED:
			context.fillStyle = this.color.line;
			context.fillRect(x - r * 0.4, y - r * 0.4, r * 0.8, r * 0.8);
			break;
		case MINE:
			context.fillStyle = context.strokeStyle = this.color.text;
			context.lineWidth = r * 0.3;
			disc(r * 0.6);
			context.fill();
			disc(r);
			context.stroke();
			break;
		}
		if (sharp && state === FREE && this.plan.accessible[i]) {
			context.fillStyle = this.color.ground;
			context.textAlign = "center";
			context.textBaseline = "middle";
			context.font = `${r * 1.4}px sans-serif`;
			context.fillText("♿", x, y);
		}
	}

	decor(context) {
		for (const shape of this.plan.layout.decor ?? []) {
			context.save();
			context.translate(shape.x, shape.y);
			context.rotate((shape.rotation ?? 0) * Math.PI / 180);
			context.beginPath();
			if (shape.points) shape.points.forEach(([x, y]) => context.lineTo(x - shape.x, y - shape.y));
			else if (shape.shape === "rectangle") context.rect(0, 0, shape.width, shape.height);
			else context.ellipse(0, 0, (shape.width ?? 0) / 2, (shape.height ?? 0) / 2, 0, 0, 7);
			context.closePath();
			context.strokeStyle = this.color.line;
			context.lineWidth = 1.5;
			context.stroke();
			context.restore();
			if (shape.text) this.label(context, shape.text.text, shape.text.x, shape.text.y, shape.text.size);
		}
		for (const area of this.plan.layout.areas) {
			context.strokeStyle = this.color.line;
			context.strokeRect(area.x, area.y, area.width, area.height);
			this.label(context, area.name, area.x + area.width / 2, area.y + area.height / 2);
		}
	}

	label(context, text, x, y, size) {
		context.fillStyle = this.color.quiet;
		context.textAlign = "center";
		context.textBaseline = "middle";
		context.font = `${size || this.plan.pitch * 2.5}px sans-serif`;
		context.fillText(text, x, y);
	}

	// draw asks for a frame, one however often it is called.
	draw() {
		this.waiting ??= requestAnimationFrame(() => {
			this.waiting = undefined;
			const begun = performance.now();
			this.paint();
			this.frames.push(performance.now() - begun);
			if (this.frames.length > 240) this.frames.shift();
		});
	}

	paint() {
		const { context, canvas, view, picture, base } = this;
		context.setTransform(1, 0, 0, 1, 0, 0);
		context.fillStyle = this.color.ground;
		context.fillRect(0, 0, canvas.width, canvas.height);
		if (view.scale <= base * 1.6) {
			const factor = view.scale / base;
			context.drawImage(picture, -view.x * view.scale, -view.y * view.scale, picture.width * factor, picture.height * factor);
			return;
		}
		context.setTransform(view.scale, 0, 0, view.scale, -view.x * view.scale, -view.y * view.scale);
		this.decor(context);
		this.plan.within(view.x, view.y, view.x + canvas.width / view.scale, view.y + canvas.height / view.scale, i => this.seat(context, i, true));
	}

	// --- moving

	world(event) {
		const box = this.canvas.getBoundingClientRect();
		return [(event.clientX - box.left) * this.ratio / this.view.scale + this.view.x, (event.clientY - box.top) * this.ratio / this.view.scale + this.view.y];
	}

	// zoom keeps one place of the map where it is on the screen.
	zoom(factor, x = this.view.x + this.canvas.width / this.view.scale / 2, y = this.view.y + this.canvas.height / this.view.scale / 2) {
		const scale = Math.min(Math.max(this.view.scale * factor, this.least * 0.8), this.most);
		const by = this.view.scale / scale;
		this.view = { scale, x: x - (x - this.view.x) * by, y: y - (y - this.view.y) * by };
		this.fitted = false;
		this.draw();
	}

	move(dx, dy) {
		this.view.x = Math.min(Math.max(this.view.x + dx, -this.size.width / 2), this.size.width);
		this.view.y = Math.min(Math.max(this.view.y + dy, -this.size.height / 2), this.size.height);
		this.fitted = false;
		this.draw();
	}

	listen() {
		const { canvas } = this;
		const fingers = new Map();
		let moved = 0;
		canvas.addEventListener("pointerdown", event => {
			canvas.setPointerCapture(event.pointerId);
			fingers.set(event.pointerId, event);
			if (fingers.size === 1) moved = 0;
		});
		canvas.addEventListener("pointermove", event => {
			const before = fingers.get(event.pointerId);
			if (!before) {
				this.onPoint(this.at(event), event);
				return;
			}
			if (fingers.size === 1) {
				this.move((before.clientX - event.clientX) * this.ratio / this.view.scale, (before.clientY - event.clientY) * this.ratio / this.view.scale);
			} else {
				const [other] = [...fingers.values()].filter(f => f.pointerId !== event.pointerId);
				const apart = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
				this.zoom(apart(event, other) / Math.max(1, apart(before, other)), ...this.world({ clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 }));
				moved = 99;
			}
			moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
			fingers.set(event.pointerId, event);
		});
		canvas.addEventListener("pointerup", event => {
			fingers.delete(event.pointerId);
			if (moved < 8 && fingers.size === 0) this.tap(event);
		});
		for (const name of ["pointercancel", "lostpointercapture"]) canvas.addEventListener(name, event => fingers.delete(event.pointerId));
		canvas.addEventListener("pointerleave", event => this.onPoint(-1, event));
		canvas.addEventListener("wheel", event => {
			event.preventDefault();
			this.zoom(Math.exp(-event.deltaY / 400), ...this.world(event));
		}, { passive: false });
		canvas.addEventListener("keydown", event => {
			const step = 80 / this.view.scale;
			const act = { ArrowLeft: () => this.move(-step, 0), ArrowRight: () => this.move(step, 0), ArrowUp: () => this.move(0, -step), ArrowDown: () => this.move(0, step), "+": () => this.zoom(1.4), "-": () => this.zoom(1 / 1.4) }[event.key];
			if (!act) return;
			event.preventDefault();
			act();
		});
	}

	at(event) { return this.plan.nearest(...this.world(event), this.plan.pitch * 0.7); }

	// A tap on seats that are too small to hit comes closer first.
	tap(event) {
		if (this.plan.pitch * this.view.scale < 9 * this.ratio) {
			this.zoom(16 * this.ratio / (this.plan.pitch * this.view.scale), ...this.world(event));
			return;
		}
		const seat = this.at(event);
		if (seat >= 0) this.onPick(seat);
	}
}

export { MINE };
