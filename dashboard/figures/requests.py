"""Reads the query of a figure's address: strictly for a file, leniently for the page."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, get_origin
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import QueryParams

from api.server.http.bodies import describe_problem, refuse_request
from dashboard.figures.drawing.plans import MAX_FRAMES, MAX_ITERATIONS, MAX_METRICS, MAX_RUNS, Crop, Grid, Scale
from ganlib.events import METRIC_NAME_PATTERN

LARGEST_NUMBER = 1_000_000_000
MAX_CELLS = 64
MAX_HEAT_RUNS = 6
MAX_BELOW = 4
MOST_KEPT, MAX_TEXT = 200, 200
# Only in addresses.
WITHOUT_INPUT = {"frames"}
LABEL_PREFIX = "label."
Iteration = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
# An id, the beginning of one, or a name.
RunId = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,250}$")]
Metric = Annotated[str, Field(pattern=METRIC_NAME_PATTERN)]
Label = Annotated[str, Field(max_length=120)]
Labelling = Literal["name", "changes", "id", "none"]


def _read_cell(text: Any) -> Any:
    match = re.fullmatch(r"([0-9]{1,3})-([0-9]{1,3})", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("a cell is ROW-COLUMN, counted from 1, as 2-3")
    return int(match[1]), int(match[2])


Index = Annotated[int, Field(ge=1, le=999)]
Cell = Annotated[tuple[Index, Index], BeforeValidator(_read_cell)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class _PageRequest(_Request):
    run: Annotated[list[RunId], Field(min_length=1, max_length=MAX_RUNS)]
    # By run id, as `label.ID=…` in the address.
    label: Annotated[dict[RunId, Label], Field(max_length=2 * MAX_RUNS)] = {}
    width: Annotated[float, Field(ge=30, le=420)] = 170.0
    dpi: Annotated[int, Field(ge=50, le=1200)] = 300


class _Cells(_Request):
    rows: Annotated[int, Field(ge=1, le=MAX_CELLS)] | None = None
    columns: Annotated[int, Field(ge=1, le=MAX_CELLS)] | None = None
    cells: Annotated[list[Cell], Field(max_length=MAX_CELLS)] = []

    def crop(self, grid: Grid) -> Crop | None:
        """Return the cells of such a grid that are shown, None for all; raises ValueError for a cell beyond it."""
        if self.cells:
            beyond = [cell for cell in self.cells if cell[0] > grid.rows or cell[1] > grid.columns]
            if beyond:
                raise ValueError(
                    f"There is no cell {beyond[0][0]}-{beyond[0][1]}: the grids have {grid.rows} rows "
                    f"and {grid.columns} columns."
                )
            columns = min(self.columns or len(self.cells), len(self.cells))
            return Crop(tuple((row - 1, column - 1) for row, column in self.cells), columns)
        rows, columns = min(self.rows or grid.rows, grid.rows), min(self.columns or grid.columns, grid.columns)
        if (rows, columns) == (grid.rows, grid.columns):
            return None
        return Crop(tuple((row, column) for row in range(rows) for column in range(columns)), columns)


class TimelinesRequest(_PageRequest, _Cells):
    """Timelines beside each other."""

    iteration: Annotated[list[Iteration], Field(max_length=MAX_ITERATIONS)] = []
    # Curves below the grids.
    below: Annotated[list[Metric], Field(max_length=MAX_BELOW)] = []
    labels: Labelling = "name"


class CurvesRequest(_PageRequest):
    """Curves of some runs."""

    metric: Annotated[list[Metric], Field(max_length=MAX_METRICS)] = []
    smoothing: Annotated[float, Field(ge=0, le=0.999)] = 0.0
    x: Scale = "linear"
    y: Scale = "linear"
    labels: Labelling = "name"


class HeatMapsRequest(_PageRequest):
    """Histograms of some runs over iterations."""

    run: Annotated[list[RunId], Field(min_length=1, max_length=MAX_HEAT_RUNS)]
    values: Annotated[str, Field(max_length=250)] = ""
    labels: Labelling = "name"


class TableRequest(_Request):
    """Curves as a table; every metric where none is named."""

    run: Annotated[list[RunId], Field(min_length=1, max_length=MAX_RUNS)]
    metric: Annotated[list[Metric], Field(max_length=100)] = []


class MovieRequest(_Cells):
    """One run's timeline as a movie; `every` is in iterations, `size` in pixels of the longer side."""

    fps: Annotated[float, Field(ge=0.5, le=50)] = 10.0
    first: Annotated[Iteration | None, Field(alias="from")] = None
    last: Annotated[Iteration | None, Field(alias="to")] = None
    every: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)] = 1
    frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)] = MAX_FRAMES
    size: Annotated[int, Field(ge=32, le=1440)] = 560
    caption: Literal["iteration", "none"] = "iteration"


Model = TypeVar("Model", bound=_Request)


def read_request(model: type[Model], query: QueryParams) -> Model:
    """Return the request; raises RequestInvalid, which names every wrong field."""
    try:
        return model.model_validate(_collect(model, query))
    except ValidationError as error:
        problems = [describe_problem(details) for details in error.errors(include_url=False)[:20]]
        raise refuse_request(problems) from None


def read_leniently(model: type[Model], query: QueryParams) -> tuple[Model | None, list[str]]:
    """Return the request without its wrong fields, and a sentence on each of these.

    None when a required field is missing. Fields of other models are ignored.
    """
    known = _names(model)
    given = {name: value for name, value in _collect(model, query).items() if name in known}
    try:
        return model.model_validate(given), []
    except ValidationError as error:
        wrong = error.errors(include_url=False)
    for details in wrong:
        given.pop(str(details["loc"][0]), None)
    try:
        return model.model_validate(given), [_explain(details) for details in wrong]
    except ValidationError:
        return None, [_explain(details) for details in wrong if details["type"] != "missing"]


def write_query(asked: BaseModel, **changes: Any) -> str:
    """Return the query of this request with these fields changed, without defaults."""
    pairs: list[tuple[str, str]] = []
    for name, field in type(asked).model_fields.items():
        value = changes.get(name, getattr(asked, name))
        if value == field.get_default(call_default_factory=True):
            continue
        if isinstance(value, dict):
            pairs += [(f"{LABEL_PREFIX}{key}", text) for key, text in value.items()]
        elif name == "run":
            pairs += [(name, run) for run in value]
        elif isinstance(value, list):
            pairs.append((field.alias or name, ",".join(map(_write_item, value))))
        else:
            pairs.append((field.alias or name, f"{value:g}" if isinstance(value, float) else str(value)))
    return urlencode(pairs, safe=",/")


def _write_item(item: Any) -> str:
    return "-".join(map(str, item)) if isinstance(item, tuple) else str(item)


def read_fields(models: Iterable[type[BaseModel]], query: QueryParams) -> list[tuple[str, str]]:
    """Return the fields of the address that one of these models has, except the runs, each as it was given."""
    known = {name for model in models for name in _names(model)} - {"run"}
    fields = [(key, value.replace("\0", "")[:MAX_TEXT]) for key, value in query.multi_items() if value.strip()]
    return [(key, value) for key, value in fields if _name_of(key) in known][:MOST_KEPT]


def has_input(model: type[BaseModel], key: str) -> bool:
    """Whether the form of this model has an input for a field of the address."""
    return _name_of(key) in _names(model) - WITHOUT_INPUT


def _name_of(key: str) -> str:
    return "label" if key.startswith(LABEL_PREFIX) else key


def _names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


# Plain words for pydantic's errors that the page's form can cause.
_WORDS = {
    "int_parsing": "must be an integer",
    "float_parsing": "must be a number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def _explain(details: ErrorDetails) -> str:
    problem = describe_problem(details)
    words = _WORDS.get(details["type"], problem["message"]).format(**details.get("ctx", {}))
    return f"{details['loc'][0]}: {words} (given: {problem['given']}); the preview is drawn without it."


def _collect(model: type[_Request], query: QueryParams) -> dict[str, Any]:
    """Return the query's values by name: a list may be repeated or written with commas; nothing is left out."""
    lists = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is list}
    given: dict[str, Any] = {}
    for name in query:
        values = [value for value in query.getlist(name) if value.strip()]
        if name.startswith(LABEL_PREFIX):
            given.setdefault("label", {}).update({name.removeprefix(LABEL_PREFIX): value for value in values[-1:]})
        elif name in lists:
            given[name] = [part for text in values for part in _split(text)]
        elif values:
            given[name] = values[-1]
    return given


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
