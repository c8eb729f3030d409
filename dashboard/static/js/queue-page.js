// The elements of the page of the queue and its workers.
import "./main.js";
import "./queue-watch.js";
