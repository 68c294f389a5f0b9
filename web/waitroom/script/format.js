// Keeps the waiting-room page current. The words (`say`) stand before this file;
// it talks to this room's endpoints and to nobody else.

// --- how numbers are written: as the server writes them (words.go)

const grouped = n => n.toLocaleString("en-US");

function between(low, high) {
	if (low >= 86400) return "more than a day";
	if (high < 60) return "less than a minute";
	const hours = high > 5400;
	const step = hours ? 1800 : high > 1200 ? 300 : 60;
	const from = Math.floor(low / step) * step, to = Math.ceil(high / step) * step;
	const write = s => hours ? (Math.floor(s / 3600) || "") + (s % 3600 ? "½" : "") : String(s / 60);
	const end = `${write(to)} ${hours ? "hour" : "minute"}${write(to) === "1" ? "" : "s"}`;
	if (from === to) return `about ${end}`;
	return from === 0 ? `up to ${end}` : `about ${write(from)} to ${end}`;
}

// price writes minor units without going through fractions.
function price(minor, currency) {
	const digits = data.digits[currency] ?? digitsOf(currency);
	const text = String(minor).padStart(digits + 1, "0");
	return (digits ? text.slice(0, -digits) + "." + text.slice(-digits) : text) + " " + currency;
}

function digitsOf(currency) {
	try {
		return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
	} catch {
		return 0; // no currency that this browser knows
	}
}

// clockFace writes seconds as 12:34, 1:02:03 or 2 days 01:02:03.
function clockFace(seconds) {
	const two = n => String(n).padStart(2, "0");
	const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24;
	const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
	if (days > 0) return `${days} day${days === 1 ? "" : "s"} ${two(hours)}:${rest}`;
	return hours > 0 ? `${hours}:${rest}` : rest;
}

