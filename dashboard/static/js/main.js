// The elements of every page; a page's own ones are in run-page.js and so on. A page is complete without them; each
// makes one part of it live.
// They speak through events on the document, never with each other:
//   ganvas:update   {id, attempt, events, job}   a message of the service's stream, from <live-stream>
//   ganvas:frames   {frames, index, unseen}      the timeline changed or another grid is selected
//   ganvas:pick     {iteration}                  someone wants the grid nearest to this iteration
//   ganvas:look     {look, flipped}              "grid", "difference" or "flicker", and which of its two is shown
//   ganvas:cell     {row, column}                a cell of the grid is followed, counted from 1; {} when none is
//   ganvas:pause    {}                           a playing timeline should stop
//   ganvas:refresh  {ids}                        these sections of the page should be fetched anew
//   ganvas:point    {at}                         the pointer is at this place of a chart's axis; undefined: nowhere
//   ganvas:curves   {…settings, changed}         charts are shown otherwise (curves/settings.js)
//   ganvas:place    {at}                         compared runs should be shown at this place of their axis
//   ganvas:compared {axis, at, shown, …}         compared runs are shown there (compare-timelines.js)
//   ganvas:outline  {run, row, column}           this cell of a compared run is outlined in all like it; {}: none
//   ganvas:clocks   {}                           compared runs' iterations have places on an axis of time now
//   ganvas:grown    {urls}                       compared runs with these metrics have more of them
//   ganvas:theme    {}                           the colours have changed
import "./live-stream.js";
import "./fresh-sections.js";
import "./theme-choice.js";
import "./local-time.js";
import "./key-help.js";
import "./copy-text.js";
