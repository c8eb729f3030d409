// The elements of the page on which runs are compared.
import "./main.js";
import "./curve-chart.js";
import "./curve-settings.js";
import "./compare-timelines.js";
import "./compare-grid.js";
import "./compare-cell.js";
import "./compare-outline.js";
import "./compare-caption.js";
import "./compare-player.js";
import "./compare-steps.js";
import "./compare-wipe.js";
import "./compare-metrics.js";
import "./compare-links.js";
