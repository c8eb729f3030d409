"""Number types and the base class of a spec's sections: finite, bounded, no unknown fields."""

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def refuse_boolean(value: Any) -> Any:
    """Refuse true and false, which Python would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Integer = Annotated[int, BeforeValidator(refuse_boolean)]
Float = Annotated[float, BeforeValidator(refuse_boolean), Field(allow_inf_nan=False)]
Natural = Annotated[Integer, Field(ge=0)]
Count = Annotated[Integer, Field(ge=1)]
Fraction = Annotated[Float, Field(ge=0, le=1)]
Positive = Annotated[Float, Field(gt=0)]

# Signs beside letters, digits and spaces; none that would end a quoted tag in a search.
NAME_SIGNS = "._-=+,()"
TAG_SIGNS = "._:/-=+"
# Between letters of some scripts, such as Persian, they decide how these are joined.
_JOINERS = "\u200c\u200d"


def _is_word_sign(character: str) -> bool:
    """Return whether it is a letter, a mark on one, or a digit, of any script."""
    return unicodedata.category(character)[0] in "LMN"


def _check_words(text: str, signs: str) -> str:
    """Return the text in Unicode's composed form; raises ValueError for signs that are not allowed."""
    text = unicodedata.normalize("NFC", text)
    allowed = all(_is_word_sign(sign) or sign in signs or sign in _JOINERS or sign == " " for sign in text)
    if allowed and text[:1].isalnum() and not text.endswith(" "):
        return text
    shown = ", ".join(f"'{sign}'" for sign in signs)
    raise ValueError(
        f"letters and digits of any script, spaces and {shown} are allowed, a letter or digit first, "
        "and no space at the end"
    )


def check_name(text: str) -> str:
    """Return a run's name in its composed form; raises ValueError."""
    return _check_words(text, NAME_SIGNS)


def check_tag(text: str) -> str:
    """Return a tag in its composed form; raises ValueError."""
    return _check_words(text, TAG_SIGNS)


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(check_name)]
Tag = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(check_tag)]


class Section(BaseModel):
    """Part of a spec: unknown fields are errors, floats are finite, nothing changes afterwards."""

    # Deferred: most processes use few of the sections.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
