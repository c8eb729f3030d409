// The canvas of <loss-chart>, drawn by uPlot (a classic script that the page loads before the modules).
import { announce } from "./dom.js";
import { PLAYERS } from "./losses.js";
import { buildAxes } from "./plot-axes.js";

const ASINH = 4;
const LINEAR = 1;

/** Colours as the style sheet has them now. */
function readColours(host) {
  const stroke = (player) => getComputedStyle(host.querySelector(`.player-${player} line`)).stroke;
  const style = getComputedStyle(host.querySelector(".axis"));
  return {
    generator: stroke("generator"),
    discriminator: stroke("discriminator"),
    text: style.color,
    rule: getComputedStyle(host.querySelector(".plot")).borderTopColor,
    font: `14px ${style.fontFamily}`,
  };
}

/** Draw the host's losses into its plot; returns {update, redraw, setSize, destroy}. */
export function drawPlot(host) {
  const { plot, losses } = host;
  const colours = readColours(host);
  const columns = () => uPlot.join(PLAYERS.map((player) => losses.series[player].columns()));
  const line = (player, dash) => ({ label: player, stroke: colours[player], width: 2, dash, points: { show: false } });
  const iterations = Number(host.dataset.iterations);
  const chart = new uPlot(
    {
      width: plot.clientWidth,
      height: plot.clientHeight,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, setScale: false } },
      scales: {
        x: { time: false, range: () => [0, iterations] },
        y: { distr: host.axis.value === "log" ? ASINH : LINEAR, asinh: 0.1, range: () => host.range() },
      },
      ...buildAxes(iterations, colours),
      series: [{}, line("generator"), line("discriminator", [5, 3].map((length) => length * devicePixelRatio))],
      hooks: {
        draw: [(u) => markSelected(u, host, colours)],
        setCursor: [(u) => host.showValues(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : host.selected)],
      },
    },
    columns(),
    plot,
  );
  takeOver(plot);
  host.classList.add("alive");
  chart.over.addEventListener("click", () => announce("pick", { iteration: chart.posToVal(chart.cursor.left, "x") }));
  return {
    update: () => chart.setData(columns()),
    redraw: () => chart.redraw(false),
    setSize: (size) => chart.setSize(size),
    destroy: () => chart.destroy(),
  };
}

/** The server's drawing goes; what it says in words stays. */
function takeOver(plot) {
  const drawn = plot.querySelector(".drawn");
  if (!drawn) return;
  plot.role = "img";
  plot.ariaLabel = drawn.ariaLabel;
  drawn.remove();
}

function markSelected(u, host, colours) {
  if (host.selected === undefined) return;
  const x = Math.round(u.valToPos(host.selected, "x", true));
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colours.text;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}
