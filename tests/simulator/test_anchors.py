from lib.simulator.anchors import digest


def test_anchors_are_those_committed_before_any_run():
    assert digest() == "2d6b76f14413855720d6415adad08cdd8a102a8d186d245caed9684ae57802b7"
