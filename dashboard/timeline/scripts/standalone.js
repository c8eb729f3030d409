// Of a page that is one file: moves its timelines and the cursors of its charts. Nothing is loaded: all data is inside.
"use strict";

const NOTHING = "–";
const PLAY_MS = 160;
const PNG = "data:image/png;base64,";
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const setText = (node, text) => node && (node.textContent = text);
const showCount = (count) => count.toLocaleString("en-US");

/** A number in three significant figures, as the pages of the service show it. */
function showNumber(value) {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  if (size === 0) return "0";
  let text = size.toPrecision(3);
  if (size >= 1e6 || size < 1e-3) text = size.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
  else if (size >= 1000) text = showCount(Math.round(size));
  return (value < 0 ? "−" : "") + text;
}

/** Index of the last of the rising numbers that is at most this; -1 before the first. */
function lastUntil(numbers, most) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= most) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const timelines = read("timelines");
const curves = read("curves");
const positions = [...new Set(timelines.flatMap((timeline) => timeline.iterations))].sort((one, other) => one - other);
const player = document.querySelector(".player");
const slider = player?.querySelector("input");
const play = player?.querySelector("button");
let timer;

function showGrid(timeline, figure, at) {
  const image = figure.querySelector("img");
  timeline.newest ??= image.src;
  const index = lastUntil(timeline.iterations, at);
  image.hidden = index < 0;
  setText(figure.querySelector("[data-field=iteration]"), index < 0 ? NOTHING : showCount(timeline.iterations[index]));
  if (index < 0) return;
  // The newest grid stands in the page itself, for readers without scripts.
  image.src = timeline.images[index] ? PNG + timeline.images[index] : timeline.newest;
  image.alt = image.alt.replace(/[\d,]+$/, showCount(timeline.iterations[index]));
}

function showValues(chart, at) {
  const cursor = chart.querySelector(".cursor");
  const x = `${Math.min(100, (100 * at) / Number(chart.dataset.length))}%`;
  cursor?.setAttribute("x1", x);
  cursor?.setAttribute("x2", x);
  setText(chart.querySelector("[data-field=at]"), `at iteration ${showCount(at)}`);
  const rows = chart.querySelectorAll("tbody tr");
  curves[Number(chart.dataset.chart)].forEach(({ iterations, values }, index) => {
    const last = lastUntil(iterations, at);
    const cell = rows[index]?.querySelector("[data-field=value]");
    setText(cell, showNumber(values[last]));
    if (cell) cell.title = last < 0 ? "" : String(values[last]);
  });
}

function show(index) {
  const at = positions[index];
  slider.value = index;
  slider.setAttribute("aria-valuetext", `Iteration ${showCount(at)}`);
  setText(player.querySelector("output"), `${showCount(index + 1)} of ${showCount(positions.length)}`);
  for (const figure of document.querySelectorAll("[data-timeline]")) showGrid(timelines[Number(figure.dataset.timeline)], figure, at);
  for (const chart of document.querySelectorAll("[data-chart]")) showValues(chart, at);
}

function stop() {
  clearInterval(timer);
  timer = undefined;
  play.textContent = "Play";
}

function start() {
  if (Number(slider.value) === positions.length - 1) show(0);
  play.textContent = "Pause";
  timer = setInterval(() => {
    const next = Number(slider.value) + 1;
    if (next < positions.length) show(next);
    else stop();
  }, PLAY_MS);
}

if (positions.length > 1) {
  player.hidden = false;
  Object.assign(slider, { min: 0, max: positions.length - 1, step: 1 });
  slider.addEventListener("input", () => show(Number(slider.value)));
  play.addEventListener("click", () => (timer === undefined ? start() : stop()));
  show(positions.length - 1);
}
