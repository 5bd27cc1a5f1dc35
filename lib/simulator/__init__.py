"""A regulatory assay with known truth: worlds, sequences, activity, measurement and graded shifts.

``draw_world`` draws a world, ``simulate`` samples an assay in it, ``Shift`` names a departure from
it.
"""

from lib.simulator.assay import Assay
from lib.simulator.programs import World, draw_world
from lib.simulator.sample import simulate, standin
from lib.simulator.shifts import SHIFTS, Shift

__all__ = ["SHIFTS", "Assay", "Shift", "World", "draw_world", "simulate", "standin"]
