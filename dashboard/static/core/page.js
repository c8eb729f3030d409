// The widgets of every page; the template of a page lists its own ones. A page is complete without them; each makes one
// part of it live.
// Widgets speak through events on the document, never with each other:
//   ganvas:update   {id, attempt, events, job}   a message of the service's stream, from <live-stream>
//   ganvas:frames   {frames, index, unseen}      the timeline has changed or another grid is selected
//   ganvas:pick     {iteration}                  select the grid nearest to this iteration
//   ganvas:look     {look, flipped}              "grid", "difference" or "flicker", and which of its two is shown
//   ganvas:cell     {row, column}                follow this cell of the grid, counted from 1; {}: none
//   ganvas:axis     {from, to, isLog}            the axis of the run's large chart, in iterations
//   ganvas:play     {speed}                      play the timeline, so many grids a second
//   ganvas:pause    {}                           stop playing
//   ganvas:refresh  {ids}                        fetch these sections of the page anew
//   ganvas:refreshed {}                          sections of the page were replaced
//   ganvas:point    {at}                         the pointer is at this place of a chart's axis; undefined: nowhere
//   ganvas:curves   {…settings, changed}         the settings of charts have changed (curve-settings.js)
//   ganvas:place    {at}                         show compared runs at this place of their axis
//   ganvas:compared {axis, at, shown, …}         compared runs are shown there (compare-timelines.js)
//   ganvas:outline  {run, row, column}           outline this cell in all compared runs like this one; {}: none
//   ganvas:clocks   {}                           the iterations of compared runs have places on an axis of time now
//   ganvas:grown    {urls}                       compared runs with these metrics have new points
//   ganvas:theme    {}                           the colours have changed
import "./live-stream.js";
import "./fresh-sections.js";
import "./theme-choice.js";
import "./local-time.js";
import "./key-help.js";
import "./overlays.js";
