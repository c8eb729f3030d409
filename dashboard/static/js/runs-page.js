// The elements of the list of runs.
import "./main.js";
import "./run-rows.js";
import "./chosen-runs.js";
