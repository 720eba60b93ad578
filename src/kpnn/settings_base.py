"""What every group of settings has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Typed settings: an unknown name is an error, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
