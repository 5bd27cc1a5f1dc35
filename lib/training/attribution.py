"""Attribution: which positions of a sequence a fitted network's forecast of the mean rests on.

In: a fitted network without side features and codes ``(n, L)``. Out: scores ``(n, L)`` in the unit
of the activity, or the effect of every single-letter change ``(n, 4, L)``; all of the forecast that
users see, averaged over strands where the network averages. And what such scores are worth: area
under the precision–recall curve against known sites.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from captum.attr import IntegratedGradients, Saliency
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score
from torch import Tensor

from lib.arrays import BoolArray, FloatArray
from lib.sequences import UNKNOWN, Codes
from lib.training.config import one_thread
from lib.training.fitted import FittedModel, inputs, one_hot, predict

STEPS = 16  # of the path of integrated gradients; Gauss–Legendre nodes
BATCH = 64
_MUTATED_AT_ONCE = 8  # elements whose mutants are forecast together

_Forward = Callable[[Tensor], Tensor]


def _scores(
    model: FittedModel, codes: Codes, attribute: Callable[[_Forward, Tensor], Tensor]
) -> FloatArray:
    """An attribution of one-hot input, summed over letters, batch by batch on one thread."""
    rows, _ = inputs(model, codes)
    found = [np.zeros((0, model.length))]
    with one_thread(0):
        network = model.network().requires_grad_(False)

        def forward(x: Tensor) -> Tensor:
            """The forecast of the mean, in the activity's unit."""
            views = [x, x.flip(1, 2)] if model.config.reverse_complement else [x]  # letters ACGT
            means = [network(view, None)[:, 0] for view in views]
            return torch.stack(means).mean(0) * model.target_std  # (n,)

        for start in range(0, len(codes), BATCH):
            letters = one_hot(rows[start : start + BATCH])
            found.append(attribute(forward, letters).detach().double().numpy().sum(axis=1))
    return np.concatenate(found)


def gradient_input(model: FittedModel, codes: Codes) -> FloatArray:
    """Gradient times input: the slope of the forecast along the letter that is there.

    The gradient is centred over the four letters first: sequences never leave the plane on which
    letters sum to one, so that what is common to all letters says nothing (Majdandzic et al. 2023).

    ``(n, L)`` float64, 0 where a letter is unknown. A ``ValueError`` says that the length of the
    codes ``(n, L)`` does not fit the model, or that it needs side features.
    """

    def attribute(forward: _Forward, x: Tensor) -> Tensor:
        slope = Saliency(forward).attribute(x.requires_grad_(), abs=False)
        return (slope - slope.mean(1, keepdim=True)) * x

    return _scores(model, codes, attribute)


def integrated_gradients(model: FittedModel, codes: Codes) -> FloatArray:
    """Integrated gradients from a sequence of even odds to the one that is there, ``(n, L)``.

    The scores of a sequence sum to its forecast less that of the baseline, a quarter of each letter
    everywhere, up to the error of 16 nodes (Sundararajan et al. 2017). Parameters, values and
    errors are as for :func:`gradient_input`.
    """

    def attribute(forward: _Forward, x: Tensor) -> Tensor:
        even = torch.full_like(x, 0.25)
        return IntegratedGradients(forward).attribute(
            x, baselines=even, n_steps=STEPS, internal_batch_size=BATCH
        )

    return _scores(model, codes, attribute)


def _effects(model: FittedModel, codes: Codes) -> FloatArray:
    n, length = codes.shape
    mutants = np.broadcast_to(codes[:, None, None], (n, 4, length, length)).copy()
    place = np.arange(length)
    for letter in range(4):
        mutants[:, letter, place, place] = letter
    changed = (mutants != codes[:, None, None]).any(axis=3)  # (n, 4, L)
    mean = predict(model, np.concatenate([codes, mutants[changed]]))[0]
    effects = np.zeros((n, 4, length))
    effects[changed] = mean[n:] - mean[np.nonzero(changed)[0]]
    return np.where((codes == UNKNOWN)[:, None], 0.0, effects)


def mutagenesis(model: FittedModel, codes: Codes, workers: int = 1) -> FloatArray:
    """In-silico mutagenesis: what each single-letter change does to the forecast, ``(n, 4, L)``.

    Forecast of the changed sequence less that of the sequence; 0 for the letter that is there and
    where it is unknown. Any number of ``workers``, which are processes, gives the same values.
    Parameters and errors are as for :func:`gradient_input`.
    """
    jobs = [slice(at, at + _MUTATED_AT_ONCE) for at in range(0, len(codes), _MUTATED_AT_ONCE)]
    found = Parallel(n_jobs=workers)(delayed(_effects)(model, codes[job]) for job in jobs)
    return np.concatenate([np.zeros((0, 4, model.length)), *found])


# Each gives (n, L); of mutagenesis the forecast less the mean over a position's three changes.
SCORERS: Final[Mapping[str, Callable[[FittedModel, Codes], FloatArray]]] = {
    "gradient_input": gradient_input,
    "integrated_gradients": integrated_gradients,
    "mutagenesis": lambda model, codes: -mutagenesis(model, codes).sum(axis=1) / 3,
}


def cover(
    shape: tuple[int, int], element: ArrayLike, start: ArrayLike, end: ArrayLike
) -> BoolArray:
    """Positions ``(n, L)`` that intervals ``start`` to ``end``, each of an element, cover.

    Examples
    --------
    >>> cover((2, 4), [1], [1], [3]).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0]]
    """
    edges = np.zeros((shape[0], shape[1] + 1), np.int64)
    np.add.at(edges, (np.asarray(element, np.int64), np.asarray(start, np.int64)), 1)
    np.add.at(edges, (np.asarray(element, np.int64), np.asarray(end, np.int64)), -1)
    return np.cumsum(edges, axis=1)[:, :-1] > 0


def auprc_sites(scores: FloatArray, sites: BoolArray, masked: BoolArray) -> tuple[float, float]:
    """Area under the precision–recall curve of |score| against sites, and its chance level.

    Average precision over all positions ``(n, L)``, 0 to 1, higher is better; and the share of
    sites among the positions that count, which is what random scores reach. It says nothing of the
    sign of a score, nor of its size. ``masked`` positions count neither way, such as sites that
    stand there by chance. Scores that are not finite, no site or nothing but sites are a
    ``ValueError``.

    Examples
    --------
    >>> scores, sites = np.array([[3.0, -2.0, 1.0, 0.0]]), np.array([[True, False, True, False]])
    >>> auprc_sites(scores, sites, np.zeros((1, 4), bool))
    (0.833..., 0.5)
    """
    label = sites[~masked]
    if label.all() or not label.any():
        raise ValueError(
            f"{int(label.sum())} of {label.size} positions that count are sites; both sites and "
            "other positions are needed"
        )
    area = average_precision_score(label, np.abs(scores[~masked]))
    return float(area), float(label.mean())
