// The elements of a run's page.
import "./main.js";
import "./run-vitals.js";
import "./grid-timeline.js";
import "./grid-view.js";
import "./cell-cursor.js";
import "./cell-history.js";
import "./look-choice.js";
import "./frame-view.js";
import "./frame-player.js";
import "./frame-strip.js";
import "./curve-chart.js";
import "./curve-settings.js";
import "./metric-choice.js";
import "./heat-map.js";
import "./neighbour-grids.js";
import "./log-tail.js";
