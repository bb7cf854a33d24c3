"""What must hold on every path of a flow, as data in the flow file. Shape only; bot/proof checks it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Invariant(BaseModel):
    """One promise of a flow: *id* (SPEC section E), *says* in plain words, and what bot/proof checks."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=r"^[A-Z]{1,3}\d{1,3}[a-z]?$")]
    says: str
    check: dict[str, Any]
