"""Numbers within bounds, as the types of a spec's fields."""

from typing import Annotated

from annotated_types import Ge, Gt, Lt

Positive = Annotated[float, Gt(0), Lt(float("inf"))]
NotNegative = Annotated[float, Ge(0), Lt(float("inf"))]
Count = Annotated[int, Ge(1)]
Share = Annotated[float, Ge(0), Lt(1)]
