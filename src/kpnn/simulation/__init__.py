"""Data with a planted truth."""

from kpnn.simulation.control import control_counts, control_inputs, most_control_entries, write_control_inputs
from kpnn.simulation.counts import CountModel
from kpnn.simulation.dressing import Dressing
from kpnn.simulation.scenarios import Scenario, Simulation, Truth, check_sizes, simulate
from kpnn.simulation.tcr_like import TcrShape

__all__ = [
    "CountModel",
    "Dressing",
    "Scenario",
    "Simulation",
    "TcrShape",
    "Truth",
    "check_sizes",
    "control_counts",
    "control_inputs",
    "most_control_entries",
    "simulate",
    "write_control_inputs",
]
