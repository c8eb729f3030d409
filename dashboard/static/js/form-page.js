// The elements of the form that starts a run.
import "./main.js";
import "./loss-pair.js";
