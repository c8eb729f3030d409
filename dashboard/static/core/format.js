// Numbers and times as people read them; the same as dashboard/web/formats.py.

const NOTHING = "–";
const WORDS = { nan: NaN, inf: Infinity, "-inf": -Infinity };

/** A metric's value as a number; NaN and infinities come as words in JSON. */
export function readValue(value) {
  return typeof value === "string" ? WORDS[value] : value;
}

export function showCount(value) {
  return value.toLocaleString("en-GB", { maximumFractionDigits: 0 });
}

export function showNumber(value, digits = 3) {
  if (value === null || value === undefined) return NOTHING;
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : "−infinite";
  const size = Math.abs(value);
  if (size === 0) return "0";
  return (value < 0 ? "−" : "") + showSize(size, digits);
}

function showSize(size, digits) {
  if (size >= 1e6 || size < 0.001) return padPower(size.toExponential(1));
  if (size >= 1000) return showCount(size);
  return size.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
}

/** A round number beside an axis, in full; very small and large ones with an exponent. */
export function showTick(value) {
  const size = Number(Math.abs(value).toPrecision(10));
  const sign = value < 0 ? "−" : "";
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return sign + padPower(size.toExponential());
  return sign + size.toLocaleString("en-GB", { maximumFractionDigits: 10 });
}

function padPower(text) {
  const [mantissa, power] = text.split("e");
  return `${mantissa}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

export function showDuration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds + 0.5));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function showAge(moment, now = new Date()) {
  const seconds = Math.max(0, Math.floor((now - moment) / 1000));
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

export function showPercent(fraction) {
  return `${Math.min(100, Math.floor(fraction * 100))} %`;
}

/** A moment in the reader's time zone: 2026-01-31 09:05. */
export function showMoment(moment) {
  return `${moment.toLocaleDateString("sv-SE")} ${showClock(moment).slice(0, 5)}`;
}

/** The time of day in the reader's time zone. */
export function showClock(moment) {
  return moment.toLocaleTimeString("en-GB", { hour12: false });
}

/** How far a job is: 5,400 / 10,000, or 5,400 where no end was planned. */
export function showProgress({ iteration, iterations }) {
  return iterations ? `${showCount(iteration)} / ${showCount(iterations)}` : showCount(iteration);
}

/** The remaining seconds of a running job, or null; `speedName` is the metric of its iterations a second. */
export function secondsLeft(job, speedName) {
  const speed = readValue(job.latest[speedName]?.value);
  if (!job.iterations || job.state !== "running" || !(speed > 0) || !Number.isFinite(speed)) return null;
  return (job.iterations - job.iteration) / speed;
}
