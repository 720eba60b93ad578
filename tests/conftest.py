"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from kedro_project import REPOSITORY, Project, make_project

SHARED = REPOSITORY.parent / "shared" / "data"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("no real data: ../shared/data is not there")
    return SHARED


# How long drawing takes, and how much is drawn in vain, depends on the machine and its load; what is tested does not.
settings.register_profile("any_machine", suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
settings.load_profile("any_machine")
