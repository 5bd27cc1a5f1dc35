from importlib import import_module

from lib.study.config import ParameterError
from tests.refusals import refused

test_bad_parameters_are_named = refused(
    ("simulation_shifts", {"shifts": ["gcc"]}, "no shift gcc; use all, gc, "),
    ("simulation_shifts", {"models": ["resnet"]}, "no model resnet"),
    ("simulation_shifts", {"severities": [1.5]}, "1.5 is not in"),
    ("simulation_shifts", {"n_train": 3}, "n_train"),
    ("structural_priors", {"priors": ["motif"]}, "no prior motif; use all, none, motif_true"),
    ("structural_priors", {"assay_priors": ["gcc"]}, "no prior gcc"),
    ("structural_priors", {"sizes": [100, 500]}, "sizes go up to 500, n_train is 400"),
    ("uncertainty_repair", {"severities": [0.0, 1.0]}, "0 is not in"),
    ("uncertainty_repair", {"labels": [5, 10]}, "at least 10"),
    ("mpra_gc_ood", {"arm": "sideways"}, "no arm .*use all, group, tilt"),
    ("mpra_gc_ood", {"arm": "group,tails"}, "no arm .*use all, group, tilt"),
    ("mpra_gc_ood", {"folds": 2}, "folds"),
    ("assay_and_program_shifts", {"arm": ("retnia",)}, "no arm retnia"),
    ("assay_and_program_shifts", {"dataset": "mouse"}, "'default', 'real' or 'standin'"),
    ("assay_and_program_shifts", {"elements": 10}, "elements"),
    ("assay_and_program_shifts", {"splitseed": 0}, "split_seed"),
    act=lambda name, given: import_module(f"lib.experiments.{name}").Config.create(
        profile="smoke", **given
    ),
    error=ParameterError,
)
