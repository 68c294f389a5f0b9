// Draws tens of thousands of seats smoothly. Everything is painted once onto pictures
// of three sizes; moving the map only copies a part of the one that fits, and a seat
// that changes repaints its own spots. Only close up, where few seats are in sight,
// they are drawn one by one, sharp and with their numbers.

import { readable, tint } from "./colors.js";
import { gestures } from "./gestures.js";
import { BLOCKED, BOOKED, FREE, HELD } from "./livemap.js";

export const MINE = 9;

const PICTURES = [768, 1536, 3072]; // longest sides in pixels: 3072² × 4 B = 38 MB at most, 50 MB with the others
const SHARP = 1.6; // how much the largest may be enlarged
const CLOSE = 14; // px from seat to seat from which on they are drawn one by one: 2,000 on a large screen
const MANY = 4000; // changes from which on painting everything is quicker

export class SeatCanvas {
	// stateOf(ordinal) is a seat's state; onPick(ordinal), onArea(area) and
	// onPoint(ordinal, area, event) are told what people do.
	constructor(canvas, plan, stateOf, { onPick, onArea, onPoint }) {
		Object.assign(this, { canvas, plan, stateOf, onPick, onArea, onPoint });
		this.context = canvas.getContext("2d", { alpha: false });
		if (!this.context) throw new Error("no canvas");
		this.size = plan.layout.size;
		this.pictures = PICTURES.map(longest => {
			const image = document.createElement("canvas"), scale = longest / Math.max(this.size.width, this.size.height);
			image.width = Math.ceil(this.size.width * scale);
			image.height = Math.ceil(this.size.height * scale);
			return { image, scale, context: image.getContext("2d", { alpha: false }) };
		});
		this.view = { x: 0, y: 0, scale: 1 };
		this.mine = []; // marked so that one finds them from afar
		this.frames = []; // how long the last frames took to draw, in ms
		this.colors();
		gestures(this);
		new ResizeObserver(() => this.resize()).observe(canvas);
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.colors(); this.repaint(); });
		this.resize();
		this.fit();
	}

	colors() {
		const style = getComputedStyle(document.body);
		const color = name => style.getPropertyValue(name).trim();
		this.color = { ground: color("--surface"), text: color("--text"), quiet: color("--quiet"), line: color("--line"), taken: color("--taken") };
		this.category = this.plan.layout.categories.map(c => tint(c.color || color("--accent")));
		this.on = this.category.map(readable);
	}

	resize() {
		this.ratio = Math.min(devicePixelRatio || 1, 2);
		this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * this.ratio));
		this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * this.ratio));
		this.limits();
		if (this.fitted) this.fit(); else this.draw();
	}

	limits() {
		this.least = 0.96 * Math.min(this.canvas.width / this.size.width, this.canvas.height / this.size.height);
		this.most = Math.max(40 * this.ratio / this.plan.pitch, this.least);
	}

	// --- what is in sight

	fit() {
		this.center(this.size.width / 2, this.size.height / 2, this.least);
		this.fitted = true;
	}

	center(x, y, scale) {
		this.view = { scale, x: x - this.canvas.width / scale / 2, y: y - this.canvas.height / scale / 2 };
		this.fitted = false;
		this.draw();
	}

	// show brings seats into sight, large enough to tell them apart.
	show(ordinals) {
		const xs = ordinals.map(i => this.plan.x[i]), ys = ordinals.map(i => this.plan.y[i]), { pitch } = this.plan;
		const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
		const scale = Math.min(this.canvas.width / (right - left + 16 * pitch), this.canvas.height / (bottom - top + 16 * pitch), 22 * this.ratio / pitch);
		this.center((left + right) / 2, (top + bottom) / 2, Math.max(scale, this.least));
	}

	// zoom keeps one place of the map where it is on the screen.
	zoom(factor, x = this.view.x + this.canvas.width / this.view.scale / 2, y = this.view.y + this.canvas.height / this.view.scale / 2) {
		const scale = Math.min(Math.max(this.view.scale * factor, this.least * 0.8), this.most);
		const by = this.view.scale / scale;
		this.view = { scale, x: x - (x - this.view.x) * by, y: y - (y - this.view.y) * by };
		this.fitted = false;
		this.move(0, 0);
	}

	// move goes on as long as the middle of the screen is on the map.
	move(dx, dy) {
		const halfWidth = this.canvas.width / this.view.scale / 2, halfHeight = this.canvas.height / this.view.scale / 2;
		this.view.x = Math.min(Math.max(this.view.x + dx, -halfWidth), this.size.width - halfWidth);
		this.view.y = Math.min(Math.max(this.view.y + dy, -halfHeight), this.size.height - halfHeight);
		if (dx || dy) this.fitted = false;
		this.draw();
	}

	// world is the place on the map under a pointer.
	world({ clientX, clientY }) {
		const box = this.canvas.getBoundingClientRect();
		return [(clientX - box.left) * this.ratio / this.view.scale + this.view.x, (clientY - box.top) * this.ratio / this.view.scale + this.view.y];
	}

	at(event) {
		const [x, y] = this.world(event);
		return { seat: this.plan.nearest(x, y, Math.max(this.plan.pitch * 0.7, 10 * this.ratio / this.view.scale)), area: this.plan.areaAt(x, y) };
	}

	// screen is where on the page a seat is.
	screen(ordinal) {
		const box = this.canvas.getBoundingClientRect();
		return [(this.plan.x[ordinal] - this.view.x) * this.view.scale / this.ratio + box.left, (this.plan.y[ordinal] - this.view.y) * this.view.scale / this.ratio + box.top];
	}

	// A tap on seats that are too small to hit comes closer first.
	tap(event) {
		const pitch = this.plan.pitch * this.view.scale / this.ratio, { seat, area } = this.at(event);
		if (area && seat < 0) this.onArea(area);
		else if (pitch < 11) this.zoom(24 / pitch, ...this.world(event));
		else if (seat >= 0) this.onPick(seat);
	}

	// --- the pictures

	// repaint paints the pictures anew.
	repaint() {
		const all = [...this.plan.x.keys()];
		for (const { image, context, scale } of this.pictures) {
			context.setTransform(1, 0, 0, 1, 0, 0);
			context.fillStyle = this.color.ground;
			context.fillRect(0, 0, image.width, image.height);
			context.setTransform(scale, 0, 0, scale, 0, 0);
			this.decor(context);
			this.seats(context, all, scale);
		}
		this.draw();
	}

	// change repaints single seats, and those whose edge the wiping has touched.
	change(ordinals) {
		if (ordinals.length > MANY) return this.repaint();
		const { x, y, pitch } = this.plan, reach = pitch / 2;
		const seats = ordinals.filter(i => !Number.isNaN(x[i])), touched = new Set();
		for (const i of seats) {
			this.plan.within(x[i] - pitch, y[i] - pitch, x[i] + pitch, y[i] + pitch, k => {
				if (Math.abs(x[k] - x[i]) < pitch && Math.abs(y[k] - y[i]) < pitch) touched.add(k);
			});
		}
		for (const { context, scale } of this.pictures) {
			context.fillStyle = this.color.ground;
			for (const i of seats) context.fillRect(x[i] - reach, y[i] - reach, pitch, pitch);
			this.seats(context, touched, scale);
		}
		this.draw();
	}

	// seats draws seats, those of one look in one go. A state is told by its shape and
	// not by colour alone: free is a full disc (a square, if made for wheelchairs),
	// held a ring, sold a small square, one's own a disc in a ring.
	// Where they are a few pixels small, squares do for discs.
	seats(context, ordinals, scale) {
		const looks = new Map();
		for (const i of ordinals) {
			const state = this.stateOf(i);
			if (state === BLOCKED || Number.isNaN(this.plan.x[i])) continue;
			const look = state === FREE ? 16 + this.plan.category[i] : state;
			const list = looks.get(look);
			if (list) list.push(i); else looks.set(look, [i]);
		}
		const r = this.plan.pitch * 0.42, { x, y, accessible } = this.plan;
		const small = this.plan.pitch * scale < 6;
		const discs = (list, radius) => {
			context.beginPath();
			for (const i of list) {
				if (small) {
					context.rect(x[i] - radius, y[i] - radius, 2 * radius, 2 * radius);
					continue;
				}
				context.moveTo(x[i] + radius, y[i]);
				context.arc(x[i], y[i], radius, 0, 7);
			}
		};
		for (const [look, list] of looks) {
			switch (look) {
			case HELD:
				context.strokeStyle = this.color.quiet;
				context.lineWidth = r * 0.35;
				discs(list, r * 0.75);
				context.stroke();
				break;
			case BOOKED:
				context.fillStyle = this.color.taken;
				for (const i of list) context.fillRect(x[i] - r * 0.45, y[i] - r * 0.45, r * 0.9, r * 0.9);
				break;
			case MINE:
				context.fillStyle = context.strokeStyle = this.color.text;
				context.lineWidth = r * 0.3;
				discs(list, r * 0.6);
				context.fill();
				discs(list, r);
				context.stroke();
				break;
			default:
				context.fillStyle = this.category[look - 16];
				discs(list.filter(i => !accessible[i]), small ? this.plan.pitch / 2 : r);
				context.fill();
				for (const i of list) if (accessible[i]) context.fillRect(x[i] - r * 0.9, y[i] - r * 0.9, r * 1.8, r * 1.8);
			}
		}
	}

	decor(context) {
		for (const shape of this.plan.layout.decor) {
			context.save();
			context.translate(shape.x, shape.y);
			context.rotate((shape.rotation ?? 0) * Math.PI / 180);
			context.beginPath();
			if (shape.points) shape.points.forEach(([x, y]) => context.lineTo(x - shape.x, y - shape.y));
			else if (shape.shape === "rectangle") context.rect(0, 0, shape.width, shape.height);
			else context.ellipse(0, 0, (shape.width ?? 0) / 2, (shape.height ?? 0) / 2, 0, 0, 7);
			context.closePath();
			context.strokeStyle = this.color.line;
			context.lineWidth = this.plan.pitch * 0.3;
			context.stroke();
			context.restore();
		}
		for (const area of this.plan.areas) {
			context.beginPath();
			if (area.points) area.points.forEach(([x, y]) => context.lineTo(x, y)); else context.rect(area.x, area.y, area.width, area.height);
			context.closePath();
			context.globalAlpha = 0.2;
			context.fillStyle = this.category[area.category];
			context.fill();
			context.globalAlpha = 1;
			context.strokeStyle = this.category[area.category];
			context.lineWidth = this.plan.pitch * 0.3;
			context.stroke();
		}
	}

	// --- the screen

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
		const { context, canvas, view } = this;
		context.setTransform(1, 0, 0, 1, 0, 0);
		context.fillStyle = this.color.ground;
		context.fillRect(0, 0, canvas.width, canvas.height);
		const largest = this.pictures.at(-1);
		if (view.scale <= largest.scale * SHARP && this.plan.pitch * view.scale < CLOSE * this.ratio) {
			const { image, scale } = this.pictures.find(picture => view.scale <= picture.scale) ?? largest;
			const factor = view.scale / scale;
			context.drawImage(image, -view.x * view.scale, -view.y * view.scale, image.width * factor, image.height * factor);
			this.names(context);
			this.marks(context);
			return;
		}
		context.setTransform(view.scale, 0, 0, view.scale, -view.x * view.scale, -view.y * view.scale);
		this.decor(context);
		const sight = [];
		this.plan.within(view.x, view.y, view.x + canvas.width / view.scale, view.y + canvas.height / view.scale, i => sight.push(i));
		this.seats(context, sight, view.scale);
		if (this.plan.pitch * view.scale / this.ratio >= 19) this.numbers(context, sight);
		context.setTransform(1, 0, 0, 1, 0, 0);
		this.names(context);
	}

	// names writes what is where, as large as there is room for: stages and standing
	// areas always, blocks until their seats can be told apart.
	names(context) {
		const { view, ratio, plan } = this;
		context.textAlign = "center";
		context.textBaseline = "middle";
		context.lineWidth = 4 * ratio;
		context.lineJoin = "round";
		context.strokeStyle = this.color.ground;
		const write = (text, x, y, size, color) => {
			context.font = `600 ${size}px system-ui, sans-serif`;
			context.fillStyle = color;
			context.strokeText(text, (x - view.x) * view.scale, (y - view.y) * view.scale);
			context.fillText(text, (x - view.x) * view.scale, (y - view.y) * view.scale);
		};
		const fitting = wanted => Math.min(Math.max(wanted * view.scale, 11 * ratio), 28 * ratio);
		for (const { text } of plan.layout.decor) if (text) write(text.text, text.x, text.y, fitting(text.size || plan.pitch * 2.5), this.color.quiet);
		for (const area of plan.areas) write(area.name, area.x + area.width / 2, area.y + area.height / 2, fitting(area.height / 6), this.color.text);
		if (plan.pitch * view.scale > 9 * ratio) return;
		for (const zone of plan.zones) {
			const name = zone.name.replace(/^Block /, "");
			context.font = `600 ${11 * ratio}px system-ui, sans-serif`;
			if (zone.height * view.scale < 22 * ratio || zone.width * view.scale < context.measureText(name).width + 8 * ratio) continue;
			write(name, zone.x, zone.y, 11 * ratio, this.color.text);
		}
	}

	// marks shows one's own seats from afar.
	marks(context) {
		const { view, ratio } = this;
		context.strokeStyle = this.color.text;
		context.lineWidth = 2 * ratio;
		for (const i of this.mine) {
			if (Number.isNaN(this.plan.x[i])) continue;
			context.beginPath();
			context.arc((this.plan.x[i] - view.x) * view.scale, (this.plan.y[i] - view.y) * view.scale, 8 * ratio, 0, 7);
			context.stroke();
		}
	}

	// numbers writes the numbers of the seats that can still be had.
	numbers(context, ordinals) {
		context.textAlign = "center";
		context.textBaseline = "middle";
		context.font = `600 ${this.plan.pitch * 0.36}px system-ui, sans-serif`;
		for (const i of ordinals) {
			if (this.stateOf(i) !== FREE) continue;
			context.fillStyle = this.on[this.plan.category[i]];
			context.fillText(this.plan.numbers[i], this.plan.x[i], this.plan.y[i]);
		}
	}
}
