// Every element of the pages. A page is complete without them; each makes one part of it live.
// They speak through events on the document, never with each other:
//   ganvas:update   {id, attempt, events, job}   a message of the service's stream, from <live-stream>
//   ganvas:frames   {frames, index, unseen}      the timeline changed or another grid is selected
//   ganvas:pick     {iteration}                  someone wants the grid nearest to this iteration
//   ganvas:look     {look, flipped}              "grid", "difference" or "flicker", and which of its two is shown
//   ganvas:cell     {row, column}                a cell of the grid is followed, counted from 1; {} when none is
//   ganvas:pause    {}                           a playing timeline should stop
//   ganvas:refresh  {ids}                        these sections of the page should be fetched anew
//   ganvas:point    {iteration}                  the pointer is at this iteration of a chart; undefined: nowhere
//   ganvas:curves   {…settings, changed}         charts are shown otherwise (curves/settings.js)
//   ganvas:place    {at}                         compared runs should be shown at this place of their axis
//   ganvas:compared {axis, at, shown, …}         compared runs are shown there (compare-timelines.js)
//   ganvas:theme    {}                           the colours have changed
import "./live-stream.js";
import "./fresh-sections.js";
import "./theme-choice.js";
import "./local-time.js";
import "./run-rows.js";
import "./chosen-runs.js";
import "./key-help.js";
import "./queue-watch.js";
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
import "./copy-text.js";
import "./compare-timelines.js";
import "./compare-grid.js";
import "./compare-caption.js";
import "./compare-player.js";
import "./compare-steps.js";
import "./compare-wipe.js";
import "./compare-cursors.js";
import "./compare-metrics.js";
import "./compare-links.js";
import "./log-tail.js";
import "./figure-form.js";
