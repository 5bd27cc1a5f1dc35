"""Attribution: which positions of a sequence a fitted network's forecast of the mean rests on.

In: a fitted network and codes ``(n, L)``. Out: scores ``(n, L)`` in the unit of the activity, or
the effect of every single-letter change ``(n, 4, L)``; all of the forecast that users see, averaged
over strands where the network averages. And what such scores are worth: area under the
precision–recall curve against known sites, agreement between networks, what an embedding holds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from captum.attr import IntegratedGradients, Saliency
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor

from lib.arrays import BoolArray, FloatArray
from lib.sequences import UNKNOWN, Codes, validate_codes
from lib.training.batches import as_tensor, channels_last, one_hot, one_thread
from lib.training.fitted import FittedModel, predict, scaled_features

STEPS = 16  # of the path of integrated gradients; Gauss–Legendre nodes
BATCH = 64
_MUTATED_AT_ONCE = 8  # elements whose mutants are forecast together

_Forward = Callable[..., Tensor]


def _forward(model: FittedModel, network: torch.nn.Module) -> _Forward:
    """The forecast of the mean, in the activity's unit, as a function of one-hot sequences."""
    strands = model.config.reverse_complement

    def forward(x: Tensor, side: Tensor | None = None) -> Tensor:
        views = [x, x.flip(1, 2)] if strands else [x]  # letters in the order ACGT
        means = [network(view, side)[:, 0] for view in views]
        return torch.stack(means).mean(0) * model.target_std  # (n,)

    return forward


def _check(model: FittedModel, codes: Codes) -> Codes:
    validate_codes(codes)
    if codes.shape[1] != model.length:
        raise ValueError(
            f"codes have length {codes.shape[1]}, the model was trained on {model.length} nt"
        )
    return codes


def _by_batch(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None,
    attribute: Callable[[_Forward, Tensor, Tensor | None], Tensor],
) -> FloatArray:
    """Attribution ``(n, 4, L)`` of one-hot input, batch by batch on one thread."""
    _check(model, codes)
    rows = as_tensor(codes)
    side = scaled_features(features, model.feature_mean, model.feature_std)
    found = [np.zeros((0, 4, codes.shape[1]))]
    with one_thread(0):
        network = channels_last(model.network())
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        forward = _forward(model, network)
        for start in range(0, len(rows), BATCH):
            batch = slice(start, start + BATCH)
            own = None if side is None else side[batch]
            found.append(attribute(forward, one_hot(rows[batch]), own).detach().double().numpy())
    return np.concatenate(found)


def gradient_input(
    model: FittedModel, codes: Codes, features: NDArray[Any] | None = None
) -> FloatArray:
    """Gradient times input: the slope of the forecast along the letter that is there.

    The gradient is centred over the four letters first: sequences never leave the plane on which
    letters sum to one, so that what is common to all letters says nothing (Majdandzic et al. 2023).

    Parameters
    ----------
    model : FittedModel
    codes : (n, L) uint8 array
    features : (n, p) array, optional

    Returns
    -------
    (n, L) float64 array
        0 where a letter is unknown.

    Raises
    ------
    ValueError
        If the length does not fit the model.
    """

    def attribute(forward: _Forward, x: Tensor, side: Tensor | None) -> Tensor:
        slope = Saliency(forward).attribute(
            x.requires_grad_(), abs=False, additional_forward_args=(side,)
        )
        return (slope - slope.mean(1, keepdim=True)) * x

    return _by_batch(model, codes, features, attribute).sum(axis=1)


def integrated_gradients(
    model: FittedModel, codes: Codes, features: NDArray[Any] | None = None, steps: int = STEPS
) -> FloatArray:
    """Integrated gradients from a sequence of even odds to the one that is there.

    The scores of a sequence sum to its forecast less that of the baseline, a quarter of each letter
    everywhere, up to the error of ``steps`` nodes (Sundararajan et al. 2017).

    Parameters
    ----------
    model, codes, features
        As for :func:`gradient_input`.
    steps : int

    Returns
    -------
    (n, L) float64 array
        Summed over letters.

    Raises
    ------
    ValueError
        If the length does not fit the model.
    """

    def attribute(forward: _Forward, x: Tensor, side: Tensor | None) -> Tensor:
        return IntegratedGradients(forward).attribute(
            x,
            baselines=torch.full_like(x, 0.25),
            n_steps=steps,
            internal_batch_size=BATCH,
            additional_forward_args=None if side is None else (side,),
        )

    return _by_batch(model, codes, features, attribute).sum(axis=1)


def _mutants(codes: Codes) -> Codes:
    """Every single-letter change, ``(n · 4 L, L)``: by element, letter, position."""
    n, length = codes.shape
    mutants = np.broadcast_to(codes[:, None, None], (n, 4, length, length)).copy()
    place = np.arange(length)
    for letter in range(4):
        mutants[:, letter, place, place] = letter
    return mutants.reshape(-1, length)


def _effects(model: FittedModel, codes: Codes, features: NDArray[Any] | None) -> FloatArray:
    n, length = codes.shape
    mutants = _mutants(codes)
    origin = np.repeat(np.arange(n), 4 * length)
    changed = (mutants != codes[origin]).any(axis=1)
    asked = np.concatenate([codes, mutants[changed]])
    side = None
    if features is not None:
        side = np.concatenate([features, features[origin[changed]]])
    mean = predict(model, asked, side)[0]
    effect = np.zeros(len(mutants))
    effect[changed] = mean[n:] - mean[origin[changed]]
    effects = effect.reshape(n, 4, length)
    return np.where((codes == UNKNOWN)[:, None], 0.0, effects)


def mutagenesis(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None = None,
    workers: int = 1,
) -> FloatArray:
    """In-silico mutagenesis: what each single-letter change does to the forecast.

    Side features stay those of the sequence as it is.

    Parameters
    ----------
    model, codes, features
        As for :func:`gradient_input`.
    workers : int
        Processes; any number gives the same values.

    Returns
    -------
    (n, 4, L) float64 array
        Forecast of the changed sequence less that of the sequence; 0 for the letter that is there
        and where it is unknown.

    Raises
    ------
    ValueError
        If the length does not fit the model.
    """
    _check(model, codes)
    jobs = [slice(at, at + _MUTATED_AT_ONCE) for at in range(0, len(codes), _MUTATED_AT_ONCE)]
    found = Parallel(n_jobs=workers)(
        delayed(_effects)(model, codes[job], None if features is None else features[job])
        for job in jobs
    )
    return np.concatenate([np.zeros((0, 4, codes.shape[1])), *found])


def mutagenesis_score(effects: FloatArray) -> FloatArray:
    """Score ``(n, L)`` of each position: forecast less the mean over its three changes."""
    return -effects.sum(axis=1) / 3


SCORERS: Final[Mapping[str, Callable[[FittedModel, Codes], FloatArray]]] = {
    "gradient_input": gradient_input,
    "integrated_gradients": integrated_gradients,
    "mutagenesis": lambda model, codes: mutagenesis_score(mutagenesis(model, codes)),
}


def cover(
    shape: tuple[int, int], element: ArrayLike, start: ArrayLike, end: ArrayLike
) -> BoolArray:
    """Positions that intervals cover.

    Parameters
    ----------
    shape : (n, L)
    element, start, end : (s,) int arrays
        Half-open intervals, each within its element.

    Examples
    --------
    >>> cover((2, 4), [1], [1], [3]).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0]]
    """
    edges = np.zeros((shape[0], shape[1] + 1), np.int64)
    np.add.at(edges, (np.asarray(element, np.int64), np.asarray(start, np.int64)), 1)
    np.add.at(edges, (np.asarray(element, np.int64), np.asarray(end, np.int64)), -1)
    return np.cumsum(edges, axis=1)[:, :-1] > 0


def auprc_sites(
    scores: FloatArray, sites: BoolArray, masked: BoolArray | None = None
) -> tuple[float, float]:
    """Area under the precision–recall curve of |score| against sites, and its chance level.

    Parameters
    ----------
    scores : (n, L) float array
    sites : (n, L) bool array
        Positions to be found.
    masked : (n, L) bool array, optional
        Positions that count neither way, such as sites that stand there by chance.

    Returns
    -------
    auprc_sites, auprc_base : float
        Average precision over all positions, 0 to 1, higher is better; and the share of sites among
        the positions that count, which is what random scores reach. It says nothing of the sign of
        a score, nor of its size.

    Raises
    ------
    ValueError
        If shapes differ, scores are not finite, or there is no site or nothing but sites.

    Examples
    --------
    >>> auprc_sites(np.array([[3.0, -2.0, 1.0, 0.0]]), np.array([[True, False, True, False]]))
    (0.833..., 0.5)
    """
    if scores.shape != sites.shape or (masked is not None and masked.shape != sites.shape):
        raise ValueError(f"scores have shape {scores.shape}, sites {sites.shape}; give equal ones")
    if not np.isfinite(scores).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(scores))[0])
        raise ValueError(f"scores row {row} is {scores[row, column]} at position {column}")
    counted = np.ones(sites.shape, bool) if masked is None else ~masked
    label = sites[counted]
    if label.all() or not label.any():
        raise ValueError(
            f"{int(label.sum())} of {label.size} positions that count are sites; both sites and "
            "other positions are needed"
        )
    area = average_precision_score(label, np.abs(scores[counted]))
    return float(area), float(label.mean())


def agreement(scores: Sequence[FloatArray]) -> FloatArray:
    """Mean correlation over positions between the scores of each two networks, ``(n,)``.

    Parameters
    ----------
    scores : sequence of (n, L) float arrays
        Of at least two networks.

    Returns
    -------
    (n,) float64 array
        In [-1, 1]; 1 where all put the same weight on the same positions. NaN for an element whose
        scores do not vary.

    Raises
    ------
    ValueError
        For fewer than two networks.

    Examples
    --------
    >>> one = np.array([[0.0, 1.0, 2.0]])
    >>> agreement([one, 2 * one, -one]).round(3).tolist()  # (1 - 1 - 1) / 3
    [-0.333]
    """
    if len(scores) < 2:
        raise ValueError(f"{len(scores)} network; agreement needs at least two")
    centred = [values - values.mean(axis=1, keepdims=True) for values in scores]
    norms = [np.linalg.norm(values, axis=1) for values in centred]
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = [
            (centred[a] * centred[b]).sum(axis=1) / (norms[a] * norms[b])
            for a in range(len(scores))
            for b in range(a)
        ]
    return np.asarray(np.mean(pairs, axis=0))
