"""Data with a planted truth."""

from kpnn.simulation.counts import CountModel
from kpnn.simulation.scenarios import Simulation, Truth, simulate

__all__ = ["CountModel", "Simulation", "Truth", "simulate"]
