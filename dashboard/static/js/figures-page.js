// The elements of the page of figures.
import "./main.js";
import "./figure-form.js";
