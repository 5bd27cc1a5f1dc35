"""A regulatory assay with known truth: worlds, sequences, activity, measurement and graded shifts.

``draw_world`` draws a world, ``simulate`` samples an assay in it, ``Shift`` names a departure from
it.
"""

from lib.simulator.assay import Assay, Batch
from lib.simulator.programs import World, draw_world
from lib.simulator.sample import planted_sites, simulate, standin
from lib.simulator.shifts import SEVERITIES, SHIFTS, Shift, dial_table

__all__ = [
    "SEVERITIES",
    "SHIFTS",
    "Assay",
    "Batch",
    "Shift",
    "World",
    "dial_table",
    "draw_world",
    "planted_sites",
    "simulate",
    "standin",
]
