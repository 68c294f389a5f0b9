// The colours of a plan, so that they can be seen on the page's ground.

const pen = document.createElement("canvas").getContext("2d");

// parts are red, green and blue of a colour as a canvas understands it.
function parts(color) {
	if (!pen) return [0, 0, 0];
	pen.fillStyle = "#000"; // stays if the plan's is none
	pen.fillStyle = color;
	return [1, 3, 5].map(at => parseInt(pen.fillStyle.slice(at, at + 2), 16));
}

const light = color => parts(color).reduce((sum, part, i) => sum + part * [0.299, 0.587, 0.114][i], 0);

// tint makes dark colours lighter on a dark page.
export function tint(color) {
	const lack = matchMedia("(prefers-color-scheme: dark)").matches ? Math.max(0, 140 - light(color)) : 0;
	const by = lack / Math.max(1, 255 - light(color));
	return `rgb(${parts(color).map(part => Math.round(part + (255 - part) * by)).join(" ")})`;
}

// readable is black or white, whichever can be read on a colour.
export const readable = color => light(color) > 150 ? "#000" : "#fff";
