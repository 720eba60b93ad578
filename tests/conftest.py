"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from kedro_project import REPOSITORY, Project, make_project

SHARED = REPOSITORY.parent / "shared" / "data"

# Examples may take as long as a busy machine needs for them.
settings.register_profile("without_clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without_clock")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name what `make gallery` asks for; here, because pytest asks no folder below for its options."""
    parser.addoption("--write-gallery", action="store_true", help="write the gallery's pictures that are stale")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by its argument: test processes must agree on names, and packed bytes hold the time."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("no real data: ../shared/data does not exist")
    return SHARED
