from __future__ import annotations

from itertools import pairwise

import pytest
import torch


def product(a, b):
    """The shape of the product by torch, on tensors without storage; None where it refuses."""
    try:
        return tuple((torch.empty(a, device="meta") @ torch.empty(b, device="meta")).shape)
    except RuntimeError:
        return None


def sizes(rng, n):
    """Different sizes, none of them 1."""
    return [int(x) for x in 2 + rng.permutation(20)[:n]]


@pytest.mark.points(1)
@pytest.mark.task("matmul_shape")
def test_matrices(student, rng, close, raises):
    """The inner sizes disappear and the outer ones stay; where the inner ones differ ValueError is raised."""
    n, d, m, k = sizes(rng, 4)
    for a, b in [((n, d), (d, n)), ((n, d), (d, m)), ((n, n), (n, m)), ((1, d), (d, 1)), ((n, 1), (1, m))]:
        close(student.matmul_shape(a, b), product(a, b), what=f"matmul_shape({a}, {b})")
    for a, b in [((n, d), (n, d)), ((n, d), (k, m)), ((d, n), (d, m)), ((n, 1), (d, m)), ((n, d), (1, m))]:
        with raises(ValueError):
            student.matmul_shape(a, b)


@pytest.mark.points(2)
@pytest.mark.task("matmul_shape")
def test_stacks(student, rng, close, raises):
    """Sizes in front are matched from the right, as NumPy does; where they can't be ValueError is raised."""
    n, d, m, p, q = sizes(rng, 5)
    fits = [((p,), (p,)), ((p,), ()), ((), (p,)), ((p,), (1,)), ((1,), (p,)), ((q, p), (p,)), ((1, p), (q, 1)),
            ((q, 1), (1, p)), ((p,), (q, 1)), ((1,), (1,)), ((q, 1, p), (p, 1))]  # fmt: skip
    for front_a, front_b in fits:
        a, b = (*front_a, n, d), (*front_b, d, m)
        close(student.matmul_shape(a, b), product(a, b), what=f"matmul_shape({a}, {b})")
    for front_a, front_b in [((p,), (q,)), ((q, p), (q,)), ((p, q), (q, p))]:
        with raises(ValueError):
            student.matmul_shape((*front_a, n, d), (*front_b, d, m))


def first(features, layers):
    """The first layer at which a batch of inputs really can't go on, or whose bias has another size."""
    x = torch.empty(3, features, device="meta")
    for index, (weight, bias) in enumerate(layers):
        try:
            x = x @ torch.empty(weight, device="meta")
        except RuntimeError:
            return index
        if bias is not None and bias != tuple(x.shape[1:]):
            return index
    return None


def network(rng, n, biased):
    """A network that fits, with n layers of different sizes and biases on those of these indices."""
    widths = sizes(rng, n + 1)
    return widths[0], [((d, m), (m,) if i in biased else None) for i, (d, m) in enumerate(pairwise(widths))]


@pytest.mark.points(1)
@pytest.mark.task("first_bad_layer")
def test_weights(student, rng, close):
    """The first layer that takes another number of features is found, the first and the last one too, or none."""
    features, layers = network(rng, 4, ())
    layers[3] = ((99, 98), None)
    close(
        student.first_bad_layer(features, layers), 3, what="first_bad_layer where the last of four takes more"
    )
    features, layers = network(rng, 5, (0, 2, 3))
    what = "first_bad_layer where the input does not fit"
    close(student.first_bad_layer(features + 1, layers), 0, what=what)
    for bad in (4, 2, 0):
        wrong = list(layers)
        (d, m), bias = wrong[bad]
        wrong[bad] = ((d + 25, m), bias)
        what = f"first_bad_layer where layer {bad} takes more"
        close(student.first_bad_layer(features, wrong), bad, what=what)
    turned = list(layers)
    turned[1] = ((turned[1][0][1], turned[1][0][0]), turned[1][1])
    turned[3] = ((99, 98), None)
    expected = first(features, turned)
    close(
        student.first_bad_layer(features, turned),
        expected,
        what="first_bad_layer where a weight is transposed",
    )
    assert student.first_bad_layer(features, layers) is None, (
        "a network that fits has no bad layer: return None"
    )


@pytest.mark.points(1)
@pytest.mark.task("first_bad_layer")
def test_biases(student, rng, close):
    """A bias must have one number for each output feature; (1,) is not stretched; a missing one is no mistake."""
    features, layers = network(rng, 4, range(4))
    for bad, kind in [(2, "input"), (1, "one"), (3, "more")]:
        wrong = list(layers)
        (d, m), _ = wrong[bad]
        wrong[bad] = ((d, m), {"input": (d,), "one": (1,), "more": (m + 1,)}[kind])
        what = f"first_bad_layer where the bias of layer {bad} has another size"
        close(student.first_bad_layer(features, wrong), first(features, wrong), what=what)
    features, layers = network(rng, 4, (1, 3))
    one = [*layers, ((layers[-1][0][1], 1), (1,)), ((1, 5), None), ((6, 2), None)]
    close(student.first_bad_layer(features, one), 6, what="first_bad_layer where layer 6 takes more")


@pytest.mark.points(1)
@pytest.mark.task("mlp_sizes")
def test_activations(student, rng, close, parts):
    """One shape for each layer, a row for each input of the batch."""
    for n in (2, 3, 6):
        batch, *widths = sizes(rng, n + 1)
        x, expected = torch.empty(batch, widths[0], device="meta"), []
        for d, m in pairwise(widths):
            x = torch.nn.Linear(d, m, device="meta")(x)
            expected.append(tuple(x.shape))
        given = parts(student.mlp_sizes(batch, widths), "activations", "parameters", what="mlp_sizes")
        shapes = given[0]
        assert isinstance(shapes, (list, tuple)), "the activations must be a list of shapes"
        assert all(isinstance(s, (list, tuple)) for s in shapes), "the activations must be a list of shapes"
        close([tuple(s) for s in shapes], expected, what=f"the activations for sizes {widths}")


@pytest.mark.points(1)
@pytest.mark.task("mlp_sizes")
def test_parameters(student, rng, close, parts):
    """Weights and biases of all layers are counted, whatever the batch."""
    for n in (2, 3, 6):
        batch, *widths = sizes(rng, n + 1)
        layers = [torch.nn.Linear(d, m, device="meta") for d, m in pairwise(widths)]
        expected = sum(p.numel() for layer in layers for p in layer.parameters())
        given = parts(student.mlp_sizes(batch, widths), "activations", "parameters", what="mlp_sizes")
        close(given[1], expected, what=f"the number of parameters for sizes {widths}")
