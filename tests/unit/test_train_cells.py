"""Sequence cells: time is time, the state carries the past, memory is as declared, and each is what its paper says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import conv1d, scaled_dot_product_attention

from fluxatlas.errors import ConfigError
from fluxatlas.train.networks.attention import ITransformer, Transformer, sliding_attention
from fluxatlas.train.networks.cells import CELLS, make_cell
from fluxatlas.train.networks.sequence import SequenceCell, Sizes
from fluxatlas.train.networks.stepwise import Tcn, doubling
from fluxatlas.train.networks.windows import kept_queries, prob_sparse, pyramid_mask
from fluxatlas.train.states import pyramid

VARIATES, STATICS, HIDDEN, WINDOW = 4, 2, 8, 12
FEATURES = VARIATES + STATICS
NAMES = list(CELLS)
WHOLE = ["transformer", "itransformer", "informer", "pyraformer"]
BOUNDED = ["tcn", *WHOLE]
VARIANTS = [(name, layers) for name in NAMES for layers in (1, 2)]


def cell_of(name: str, layers: int = 1, dtype: torch.dtype = torch.float64, **sizes) -> SequenceCell:
    torch.manual_seed(11)
    sizes = {"variates": VARIATES, "fixed": STATICS, "hidden": HIDDEN, "window": WINDOW, **sizes}
    return make_cell(name, Sizes(layers=layers, **sizes)).to(dtype).eval()


def series(days: int, cells: int = 3, seed: int = 5, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Features (time, cell, feature), the last of them constant in time."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(days, cells, FEATURES, generator=generator, dtype=dtype)
    x[..., -STATICS:] = x[0, :, -STATICS:]
    return x


def run(cell: SequenceCell, x: torch.Tensor, state: torch.Tensor | None = None) -> torch.Tensor:
    with torch.no_grad():
        return cell(x, state)[0]


def moved(x: torch.Tensor, day: int) -> torch.Tensor:
    """The series with the weather of one day changed."""
    x = x.clone()
    x[day, :, :-STATICS] += 3.0
    return x


# What holds for every cell.


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_values_and_state_have_the_declared_shapes(name, layers) -> None:
    cell = cell_of(name, layers)
    for days in (1, 5, 40):
        hidden, state = cell(series(days))
        assert hidden.shape == (days, 3, cell.width) and cell.width == HIDDEN
        assert state.shape == (cell.state_shape[0], 3, cell.state_shape[1])
    assert cell.stepwise == (name not in WHOLE)
    assert cell.memory == (WINDOW - 1 if name in BOUNDED else None)


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
@pytest.mark.parametrize("day", [1, 17, 29])
def test_a_day_changes_nothing_before_it(name, layers, day) -> None:
    cell, x = cell_of(name, layers), series(30)
    before, after = run(cell, x), run(cell, moved(x, day))
    torch.testing.assert_close(after[:day], before[:day], rtol=0, atol=1e-13)
    assert ((after[day] - before[day]).abs().amax(dim=-1) > 1e-4).all()


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_cells_do_not_see_each_other(name, layers) -> None:
    cell, x, order = cell_of(name, layers), series(20, cells=5), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(run(cell, x[:, order]), run(cell, x)[:, order], rtol=0, atol=1e-13)
    torch.testing.assert_close(run(cell, x[:, 2:3]), run(cell, x)[:, 2:3], rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_the_order_of_days_matters(name, layers) -> None:
    """The same days in another order, all of them within the window, the last one in its place."""
    cell, x = cell_of(name, layers), series(WINDOW)
    order = [*torch.randperm(WINDOW - 1, generator=torch.Generator().manual_seed(2)).tolist(), WINDOW - 1]
    assert ((run(cell, x[order])[-1] - run(cell, x)[-1]).abs().amax(dim=-1) > 1e-5).all()


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_no_state_is_a_state_of_zeros(name, layers) -> None:
    cell, x = cell_of(name, layers), series(30)
    zeros = torch.zeros(cell.state_shape[0], 3, cell.state_shape[1], dtype=x.dtype)
    (plain, last), (other, end) = cell(x), cell(x, zeros)
    torch.testing.assert_close(other, plain, rtol=0, atol=1e-13)
    torch.testing.assert_close(end, last, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_nothing_in_and_no_biases_is_nothing_out(name, layers) -> None:
    cell = cell_of(name, layers)
    with torch.no_grad():
        for part, value in cell.named_parameters():
            if "bias" in part or part in ("names", "gate.bias"):
                value.zero_()
    assert (run(cell, torch.zeros(25, 2, FEATURES, dtype=torch.float64)) == 0).all()
    assert (run(cell, series(25)) != 0).any()


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
@pytest.mark.parametrize("cuts", [(73,), (1, 2, 5, 11, 12, 13, 200, 364), (180, 181)])
def test_a_year_in_pieces_is_the_year_in_one(name, layers, cuts) -> None:
    cell, x = cell_of(name, layers, torch.float32), series(365, dtype=torch.float32)
    whole, last = cell(x)
    pieces, state = [], None
    for start, stop in zip((0, *cuts), (*cuts, len(x)), strict=True):
        hidden, state = cell(x[start:stop], state)
        pieces.append(hidden)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=0, atol=2e-5)
    torch.testing.assert_close(state, last, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_day_by_day_is_the_series_in_one(name, layers) -> None:
    cell, x = cell_of(name, layers, torch.float32), series(40, dtype=torch.float32)
    whole, last = cell(x)
    state, days = None, []
    for day in x:
        hidden, state = cell.step(day, state)
        days.append(hidden)
    torch.testing.assert_close(torch.stack(days), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(state, last, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_memory_is_as_long_as_declared(name, layers) -> None:
    cell, x = cell_of(name, layers), series(60)
    changed = (run(cell, moved(x, 20)) - run(cell, x)).abs().amax(dim=(1, 2))
    if cell.memory is None:
        assert changed[-1] > 0  # 39 days later
    else:
        assert changed[20 + cell.memory] > 1e-9, "the last day that sees it"
        assert (changed[21 + cell.memory :] < 1e-13).all()
        assert (changed[20 : 20 + cell.memory] > 1e-9).all(), "a hole within the window"


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("name", BOUNDED)
def test_a_window_alone_gives_the_value_of_its_last_day(name, layers) -> None:
    """Windows that advance day by day, or by blocks behind their context, agree with the whole series."""
    cell, x = cell_of(name, layers), series(50)
    whole = run(cell, x)
    for day in range(cell.memory, 50):
        alone = run(cell, x[day - cell.memory : day + 1])
        torch.testing.assert_close(alone[-1], whole[day], rtol=0, atol=1e-12)
    block = run(cell, x[30 - cell.memory : 45])
    torch.testing.assert_close(block[cell.memory :], whole[30:45], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_every_parameter_has_a_gradient(name, layers) -> None:
    cell, x = cell_of(name, layers), series(30)
    hidden, _ = cell(x)
    (hidden * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)).sum().backward()
    for part, value in cell.named_parameters():
        assert value.grad is not None and torch.isfinite(value.grad).all(), part
        assert value.grad.abs().sum() > 1e-8, part


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_of_a_carried_state_is_that_of_one_run(name) -> None:
    cell, x = cell_of(name, 2), series(30)
    cell(x)[0].square().sum().backward()
    whole = {part: value.grad.clone() for part, value in cell.named_parameters()}
    cell.zero_grad()
    first, state = cell(x[:13])
    (first.square().sum() + cell(x[13:], state)[0].square().sum()).backward()
    for part, value in cell.named_parameters():
        torch.testing.assert_close(value.grad, whole[part], rtol=1e-9, atol=1e-11, msg=part)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_between_layers_while_training_alone(name) -> None:
    x = series(10)
    two = cell_of(name, 2, dropout=0.5)
    torch.testing.assert_close(run(two, x), run(cell_of(name, 2), x))
    assert not torch.equal(run(two.train(), x), run(two, x))
    one = cell_of(name, 1, dropout=0.5).train()
    assert torch.equal(run(one, x), run(one, x))


# What each cell is.


@pytest.mark.parametrize(("name", "torchs"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_gru_and_lstm_are_those_of_torch_bit_by_bit(name, torchs) -> None:
    cell = cell_of(name, 2, torch.float32)
    torch.manual_seed(11)
    reference = torchs(FEATURES, HIDDEN, 2)
    assert [*cell.state_dict()] == [*reference.state_dict()]
    x = series(50, dtype=torch.float32)
    with torch.no_grad():  # with gradients the GRU has a kernel of its own: test_train_gru.py
        expected, last = reference(x)
        hidden, state = cell(x)
    assert torch.equal(hidden, expected)
    assert torch.equal(state, last if name == "gru" else torch.cat(last, dim=-1))


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_ea_lstm_is_the_loop_of_its_paper(dtype, close) -> None:
    """Equations 7 to 12 of Kratzert et al. (2019), day by day, and their gradients; in float32 by a fused kernel."""
    cell, x = cell_of("ea_lstm", 2, dtype), series(15, dtype=dtype)
    statics, below = x[0, :, -STATICS:], x[..., :-STATICS]
    for layer in cell.layers:
        gate, (hidden, memory), found = torch.sigmoid(layer.gate(statics)), torch.zeros(2, 3, HIDDEN, dtype=dtype), []
        for day in below:
            forget, inner, out = (layer.inner(day) + layer.recurrent(hidden)).chunk(3, dim=-1)
            memory = torch.sigmoid(forget) * memory + gate * torch.tanh(inner)
            hidden = torch.sigmoid(out) * torch.tanh(memory)
            found.append(hidden)
        below = torch.stack(found)
    values, state = cell.train()(x)
    torch.testing.assert_close(values, below, rtol=0, atol=close)
    torch.testing.assert_close(state[1], torch.cat([hidden, memory], dim=-1), rtol=0, atol=close)
    weights = [*cell.parameters()]
    expected = torch.autograd.grad(below.square().sum(), weights)
    for one, other in zip(torch.autograd.grad(values.square().sum(), weights), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=10 * close, atol=10 * close)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_a_part_without_statics_runs(name) -> None:
    cell, x = cell_of(name, 2, fixed=0), series(20)[..., :VARIATES]
    before = run(cell, x)
    assert ((run(cell, x + 1.0) - before).abs() > 1e-6).any()
    cell(x)[0].square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in cell.parameters() if value.numel())


@pytest.mark.parametrize("fixed", [STATICS, 0])
@pytest.mark.parametrize(("name", "layers"), VARIANTS)
def test_constants_that_are_the_same_everywhere_fold_into_the_biases(name, layers, fixed) -> None:
    code = torch.tensor([0.7, -1.2, 2.0]).double()
    told, plain = cell_of(name, layers, fixed=fixed + 3), cell_of(name, layers, fixed=fixed)
    x = series(30)[..., : VARIATES + fixed]
    told.fold(code, plain)
    expected = run(told, torch.cat([x, code.expand(30, 3, 3)], dim=-1))
    torch.testing.assert_close(run(plain, x), expected, rtol=0, atol=1e-12)
    other = run(told, torch.cat([x, 2 * code.expand(30, 3, 3)], dim=-1))
    assert ((other - expected).abs().amax(dim=(0, 1)) > 1e-4).any()


def test_tcn_is_a_stack_of_dilated_convolutions() -> None:
    cell, x = cell_of("tcn"), series(40)
    assert cell.dilations == [1, 2, 4, 4]
    hidden = cell.entry(x).permute(1, 2, 0)
    for level, dilation in zip(cell.levels, cell.dilations, strict=True):
        kernel = level.weight.unflatten(1, (2, HIDDEN)).permute(0, 2, 1)  # out, in, (earlier, today)
        padded = nn.functional.pad(hidden, (dilation, 0))
        hidden = hidden + torch.relu(conv1d(padded, kernel, level.bias, dilation=dilation))
    torch.testing.assert_close(cell(x)[0], hidden.permute(2, 0, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("span", [1, 2, 3, 11, 64, 181, 364])
def test_dilations_reach_every_lag_of_the_span_and_none_beyond(span) -> None:
    reached = {0}
    for dilation in doubling(span):
        reached |= {lag + dilation for lag in reached}
    assert reached == set(range(span + 1))


@pytest.mark.parametrize("context", [0, 7, 200])
@pytest.mark.parametrize("span", [3, 7, 400])
def test_sliding_attention_is_the_plain_formula(context, span) -> None:
    """More days than are computed at once; half of the cells have seen four days of the context."""
    torch.manual_seed(4)
    days, width = 150, 4
    query, key, value = (torch.randn(2, 2, n, width).double() for n in (days, days + context, days + context))
    lags, seen = torch.randn(2, span + 1).double(), torch.tensor([4.0, 1e3])
    expected = torch.zeros_like(query)
    for cell in range(2):
        for day in range(days):
            keys = [j for j in range(context + day + 1) if context + day - j <= span and context - j <= seen[cell]]
            ago = torch.tensor([context + day - j for j in keys])
            score = (key[cell][:, keys] @ query[cell, :, day, :, None])[..., 0] / width**0.5 + lags[:, ago]
            expected[cell, :, day] = (torch.softmax(score, dim=1)[..., None] * value[cell][:, keys]).sum(dim=1)
    found = sliding_attention(query, key, value, lags, seen)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_attention_over_all_days_without_a_bias_is_causal_attention_of_torch() -> None:
    torch.manual_seed(4)
    query, key, value = torch.randn(3, 2, 2, 300, 4).double()
    expected = scaled_dot_product_attention(query, key, value, is_causal=True)
    found = sliding_attention(query, key, value, torch.zeros(2, 300).double())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_days_that_were_not_seen_are_masked() -> None:
    """Whatever stands in the slots of days before the first has no effect; a history of three days is three days."""
    cell, x = cell_of("transformer", 2), series(20)
    _, state = cell(x[:3])
    assert (state[..., -1] == 3).all()
    garbage = state.clone()
    buffers = garbage[..., :-1].unflatten(-1, (WINDOW - 1, HIDDEN))  # a view: 6 days of one layer, then 5 of the other
    buffers[:, :, :3] = 1e3
    buffers[:, :, 6:8] = -1e3
    torch.testing.assert_close(run(cell, x[3:], garbage), run(cell, x)[3:], rtol=0, atol=1e-12)
    buffers[:, :, 3] = 1e3
    assert not torch.allclose(run(cell, x[3:], garbage)[0], run(cell, x)[3])


def test_cells_with_and_without_a_past_run_side_by_side() -> None:
    cell, x = cell_of("transformer"), series(20, cells=2)
    _, state = cell(x[:10])
    state[:, 1] = 0
    both = run(cell, x[10:], state)
    torch.testing.assert_close(both[:, 0], run(cell, x)[10:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(both[:, 1], run(cell, x[10:])[:, 1], rtol=0, atol=1e-12)


def test_itransformer_is_attention_between_variates() -> None:
    """One layer written out: windows to tokens by hand, softmax over variates, normalised first."""
    cell, x = cell_of("itransformer"), series(30)
    layer, heads = cell.layers[0], 4
    day = 25
    window = x[day - WINDOW + 1 : day + 1, :, :-STATICS]
    moving = torch.einsum("wcv,dw->cvd", window, cell.window.weight)
    tokens = torch.cat([moving + cell.names, cell.place(x[0, :, None, -STATICS:])], dim=1)
    inner = layer.norm1(tokens)
    mixed = inner @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias
    query, key, value = (part.unflatten(-1, (heads, -1)) for part in mixed.chunk(3, dim=-1))
    weights = torch.softmax(torch.einsum("cqhd,ckhd->chqk", query, key) / (HIDDEN / heads) ** 0.5, dim=-1)
    tokens = tokens + layer.self_attn.out_proj(torch.einsum("chqk,ckhd->cqhd", weights, value).flatten(2))
    tokens = tokens + layer.linear2(torch.relu(layer.linear1(layer.norm2(tokens))))
    torch.testing.assert_close(run(cell, x)[day], cell.out(tokens.flatten(1)).detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kept", [1, 4, 9])
def test_prob_sparse_attention_is_full_for_the_queries_that_it_keeps(kept) -> None:
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, 4, 9, 5, generator=generator, dtype=torch.float64) for _ in range(3))
    full, found = scaled_dot_product_attention(query, key, value), prob_sparse(query, key, value, kept)
    for window in range(2):
        for head in range(4):
            scores = query[window, head] @ key[window, head].T / 5**0.5
            uneven = [float(row.max() - row.mean()) for row in scores]
            for day in range(9):
                active = sorted(uneven)[-kept] <= uneven[day]
                expected = full[window, head, day] if active else value[window, head].mean(dim=0)
                torch.testing.assert_close(found[window, head, day], expected, rtol=1e-12, atol=1e-12)
    if kept == 9:
        torch.testing.assert_close(found, full, rtol=1e-12, atol=1e-12)
    assert [kept_queries(days) for days in (1, 2, 12, 60, 365)] == [1, 2, 12, 25, 30]


@pytest.mark.parametrize("window", [2, 3, 4, 12, 30, 365])
def test_nodes_of_the_pyramid_see_neighbours_children_and_parent(window) -> None:
    scales = pyramid(window)
    assert scales == {2: (2,), 3: (3,), 4: (4, 1), 12: (12, 3), 30: (30, 7, 1), 365: (365, 91, 22, 5, 1)}[window]
    number = {node: k for k, node in enumerate((s, i) for s, count in enumerate(scales) for i in range(count))}
    seen = {
        node: {other for other in number if other[0] == node[0] and abs(other[1] - node[1]) <= 2} for node in number
    }
    for s in range(len(scales) - 1):
        for i in range(scales[s + 1]):
            last = scales[s] if i == scales[s + 1] - 1 else 4 * i + 4
            for child in range(4 * i, last):
                seen[s, child].add((s + 1, i))
                seen[s + 1, i].add((s, child))
    expected = torch.zeros(len(number), len(number), dtype=torch.bool)
    for node, others in seen.items():
        expected[number[node], [number[other] for other in others]] = True
    assert torch.equal(pyramid_mask(scales), expected)


def test_nodes_outside_the_mask_are_not_seen() -> None:
    """With the pyramid cut off, one layer sees two days back and no more; the coarser nodes see the whole window."""
    cell, x = cell_of("pyraformer"), series(WINDOW)
    with torch.no_grad():
        cell.out.weight[:, HIDDEN:] = 0.0  # what the days say alone
        cell.mask[:WINDOW, WINDOW:] = False
    changed = torch.stack([(run(cell, moved(x, day)) - run(cell, x))[-1].abs().max() for day in range(WINDOW)])
    assert (changed[-3:] > 1e-6).all() and (changed[:-3] < 1e-13).all()


def test_itransformer_tells_variates_apart() -> None:
    cell, x = cell_of("itransformer"), series(20)
    assert not torch.allclose(run(cell, x[..., [1, 0, 2, 3, 4, 5]]), run(cell, x))
    assert not torch.allclose(run(cell, x[..., [0, 1, 2, 3, 5, 4]]), run(cell, x))


@pytest.mark.parametrize("kind", [Tcn, Transformer, ITransformer])
@pytest.mark.parametrize("window", [2, 3, 30])
def test_windows_of_any_length(kind, window) -> None:
    torch.manual_seed(0)
    cell, x = kind(Sizes(VARIATES, STATICS, 6, layers=2, window=window)).double().eval(), series(70)
    whole, state = run(cell, x), None
    for day, expected in zip(x, whole, strict=True):
        hidden, state = cell.step(day, state)
        torch.testing.assert_close(hidden, expected, rtol=0, atol=1e-12)
    changed = (run(cell, moved(x, 20)) - whole).abs().amax(dim=(1, 2)) > 1e-13
    assert changed.nonzero().flatten().tolist() == list(range(20, 20 + window))


def test_an_unknown_cell_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'transformer'"):
        cell_of("tranformer")
