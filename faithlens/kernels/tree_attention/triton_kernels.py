"""The Triton kernels of tree attention: the attention of a block of queries, the mass of a reader, and the flow.

`triton.py` launches them and says what each does. Parameters in capitals are known when a kernel is compiled: D is the
width of a head and DP the next power of two, BM and BN are the queries and keys of a tile, UNIT and CAP scale and cap
the scores, ACC is the type of sums, FACTOR that of products, and FLOAT32 says how float32 is multiplied.
"""

# The branches of a kernel are chosen when it is compiled, which a type checker cannot know.
# pyright: reportPossiblyUnboundVariable=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check  # a kernel reads names of its module, which the wrapper of a type checker would hide
def compute_scores(queries, keys, CAP: tl.constexpr, ACC: tl.constexpr, FLOAT32: tl.constexpr):
    """Scores of a tile, divided by `UNIT`."""
    scores = tl.dot(queries, tl.trans(keys), input_precision=FLOAT32, out_dtype=ACC)
    if CAP is not None:
        scores = 2 * tl.sigmoid(scores * CAP) - 1
    return scores


@triton.jit
@no_type_check
def load_tile(x, above, start, BN: tl.constexpr, DP: tl.constexpr):
    """Keys or values of a tile; zeros beyond the last row."""
    return x.load([above, start, 0]).reshape(BN, DP)


@triton.jit
@no_type_check
def load_queries(q, head, number, live, q_head, q_row, D: tl.constexpr, DP: tl.constexpr):
    """The queries with these numbers in one head."""
    column = tl.arange(0, DP)
    to = q + head.to(tl.int64) * q_head + number[:, None].to(tl.int64) * q_row + column[None, :]
    return tl.load(to, mask=live[:, None] & (column < D)[None, :], other=0.0)


@triton.jit
@no_type_check
def find_seen(
    row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
):  # fmt: skip
    """Which of the rows `row` sees which of the rows `key`, as in `Tree.compute_visible`."""
    there = key < n_key
    key_place = tl.load(place + key, mask=there, other=0)
    key_until = tl.load(until + key, mask=there, other=0)
    key_depth = tl.load(depth + key, mask=there, other=0)
    own_place = tl.load(place + row, mask=live, other=0)
    own_depth = tl.load(depth + row, mask=live, other=0)
    seen = (key_place[None, :] <= own_place[:, None]) & (own_place[:, None] < key_until[None, :])
    for c in range(cuts):
        low = tl.load(hidden + (row * n_cut + c) * 2, mask=live, other=0)
        high = tl.load(hidden + (row * n_cut + c) * 2 + 1, mask=live, other=0)
        seen = seen & ((key_depth[None, :] < low[:, None]) | (key_depth[None, :] >= high[:, None]))
    for g in range(grafted):
        low = tl.load(grafts + (row * n_graft + g) * 2, mask=live, other=0)
        high = tl.load(grafts + (row * n_graft + g) * 2 + 1, mask=live, other=0)
        seen = seen | ((key[None, :] >= low[:, None]) & (key[None, :] < high[:, None]))
    near = own_depth[:, None] - key_depth[None, :] < window
    return seen & near & live[:, None] & there[None, :]


@triton.jit
@no_type_check
def clear_unseen(values, seen):
    """Values of a tile, with 0 for keys that no query sees: those may hold NaN, and zero times NaN is not zero."""
    return tl.where((tl.max(seen.to(tl.int32), 0) > 0)[:, None], values, 0.0)


@triton.jit
@no_type_check
def kernel(
    q, k, v, sinks, rows, depth, place, until, hidden, grafts, extent, run, tiles, first, starts, out, highest, sums,
    q_head, q_row, out_head, out_row, first_block, n_query, n_key, group, window, n_cut, n_graft,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, UNIT: tl.constexpr, CAP: tl.constexpr,
    LOG2E: tl.constexpr, SUNK: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr, FLOAT32: tl.constexpr,
):  # fmt: skip
    """Output, highest score and sum of weights of one block of queries and one head."""
    head = tl.program_id(0)
    block = first_block + tl.num_programs(1) - 1 - tl.program_id(1)  # later blocks see more, and start first
    listed = tl.load(starts + block) + tl.arange(0, BM)
    live = listed < tl.load(starts + block + 1)
    i = listed - tl.load(starts + first_block)
    above = head // group
    row = tl.load(rows + listed, mask=live, other=0)
    queries = load_queries(q, head, i, live, q_head, q_row, D, DP).to(FACTOR)
    top = tl.full([BM], float("-inf"), ACC)
    total = tl.zeros([BM], ACC)
    if SUNK:  # a first logit, which has no value
        top = tl.zeros([BM], ACC) + tl.load(sinks + head).to(ACC) * LOG2E
        total += 1.0
    weighed = tl.zeros([BM, DP], ACC)
    for start in range(tl.load(run + 2 * block), tl.load(run + 2 * block + 1), BN):
        keys = load_tile(k, above, start, BN, DP).to(FACTOR)
        values = load_tile(v, above, start, BN, DP).to(FACTOR)
        scores = compute_scores(queries, keys, CAP, ACC, FLOAT32)
        new = tl.maximum(top, tl.max(scores, 1) * UNIT)
        weights = tl.exp2(scores * UNIT - new[:, None])
        fade = tl.exp2(top - new)
        total = total * fade + tl.sum(weights, 1)
        weighed = tl.dot(weights.to(FACTOR), values, weighed * fade[:, None], input_precision=FLOAT32, out_dtype=ACC)
        top = new
    cuts = tl.load(extent + 2 * block)
    grafted = tl.load(extent + 2 * block + 1)
    for j in range(tl.load(first + block), tl.load(first + block + 1)):
        start = tl.load(tiles + j) * BN
        key = start + tl.arange(0, BN)
        seen = find_seen(
            row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
        )
        keys = load_tile(k, above, start, BN, DP).to(FACTOR)
        values = clear_unseen(load_tile(v, above, start, BN, DP), seen).to(FACTOR)
        scores = tl.where(seen, compute_scores(queries, keys, CAP, ACC, FLOAT32), float("-inf"))
        new = tl.maximum(top, tl.max(scores, 1) * UNIT)
        level = tl.where(new == float("-inf"), 0.0, new)  # for a query without a visible key so far
        weights = tl.exp2(scores * UNIT - level[:, None])
        fade = tl.exp2(top - level)
        total = total * fade + tl.sum(weights, 1)
        weighed = tl.dot(weights.to(FACTOR), values, weighed * fade[:, None], input_precision=FLOAT32, out_dtype=ACC)
        top = new
    blind = total == 0
    total = tl.where(blind, 1.0, total)
    column = tl.arange(0, DP)
    to = out + head.to(tl.int64) * out_head + i[:, None].to(tl.int64) * out_row + column[None, :]
    tl.store(to, (weighed / total[:, None]).to(out.dtype.element_ty), live[:, None] & (column < D)[None, :])
    # two numbers: their sum would lose the digits of weights near the highest score
    at = head.to(tl.int64) * n_query + i
    tl.store(highest + at, tl.where(blind, 0.0, top), mask=live)
    tl.store(sums + at, total, mask=live)


@triton.jit
@no_type_check
def mass_kernel(
    q, k, rows, depth, place, until, hidden, grafts, extent, run, tiles, first, numbers, starts, reader_first, counts,
    spans, highest, sums, mass,
    q_head, q_row, n_query, n_key, group, window, n_cut, n_graft, n_span, mass_head, mass_reader,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, NS: tl.constexpr, UNIT: tl.constexpr,
    CAP: tl.constexpr, ACC: tl.constexpr, FACTOR: tl.constexpr, FLOAT32: tl.constexpr,
):  # fmt: skip
    """Adds the mean mass of one reader's rows on `NS` spans in one head."""
    head, reader, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    above = head // group
    span = part * NS + tl.arange(0, NS)
    low = tl.load(spans + (reader * n_span + span) * 2, mask=span < n_span, other=0)
    high = tl.load(spans + (reader * n_span + span) * 2 + 1, mask=span < n_span, other=0)
    pooled = tl.zeros([NS], ACC)
    for block in range(tl.load(reader_first + reader), tl.load(reader_first + reader + 1)):
        i = tl.load(starts + block) + tl.arange(0, BM)
        live = i < tl.load(starts + block + 1)
        row = tl.load(rows + i, mask=live, other=0)
        number = tl.load(numbers + i, mask=live, other=0)
        queries = load_queries(q, head, number, live, q_head, q_row, D, DP).to(FACTOR)
        at = head.to(tl.int64) * n_query + number
        top = tl.load(highest + at, mask=live, other=0.0)
        total = tl.load(sums + at, mask=live, other=1.0)
        cuts = tl.load(extent + 2 * block)
        grafted = tl.load(extent + 2 * block + 1)
        shares = tl.zeros([BM, NS], ACC)
        from_key = tl.load(run + 2 * block)
        whole = (tl.load(run + 2 * block + 1) - from_key) // BN
        begin = tl.load(first + block)
        for j in range(whole + tl.load(first + block + 1) - begin):
            listed = j >= whole
            start = tl.where(listed, tl.load(tiles + begin + j - whole, mask=listed, other=0) * BN, from_key + j * BN)
            key = start + tl.arange(0, BN)
            key_depth = tl.load(depth + key, mask=key < n_key, other=-1)
            hot = (key_depth[:, None] >= low[None, :]) & (key_depth[:, None] < high[None, :])
            if tl.max(tl.max(hot.to(tl.int32), 1), 0) > 0:
                seen = find_seen(
                    row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
                )
                scores = compute_scores(queries, load_tile(k, above, start, BN, DP).to(FACTOR), CAP, ACC, FLOAT32)
                weights = tl.exp2(tl.where(seen, scores, float("-inf")) * UNIT - top[:, None])
                shares = tl.dot(weights.to(FACTOR), hot.to(FACTOR), shares, input_precision=FLOAT32, out_dtype=ACC)
        pooled += tl.sum(shares / total[:, None], 0)
    to = mass + head.to(tl.int64) * mass_head + reader * mass_reader + span
    own = tl.load(to, mask=span < n_span, other=0.0)
    tl.store(to, own + (pooled / tl.load(counts + reader)).to(mass.dtype.element_ty), mask=span < n_span)


@triton.jit
@no_type_check
def flow_kernel(
    q, k, v, rows, depth, place, until, hidden, grafts, extent, run, tiles, first, numbers, spans, highest, sums,
    mass, flow,
    q_head, q_row, n_query, n_read, n_key, group, window, n_cut, n_graft, n_span,
    D: tl.constexpr, DP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, UNIT: tl.constexpr, CAP: tl.constexpr,
    ACC: tl.constexpr, FACTOR: tl.constexpr, FLOAT32: tl.constexpr,
):  # fmt: skip
    """Mass and weighted values of one span of a block of read rows in one head."""
    head, block, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    above = head // group
    i = block * BM + tl.arange(0, BM)
    live = i < n_read
    row = tl.load(rows + i, mask=live, other=0)
    number = tl.load(numbers + i, mask=live, other=0)
    queries = load_queries(q, head, number, live, q_head, q_row, D, DP).to(FACTOR)
    at = head.to(tl.int64) * n_query + number
    top = tl.load(highest + at, mask=live, other=0.0)
    total = tl.load(sums + at, mask=live, other=1.0)
    low = tl.load(spans + (i * n_span + part) * 2, mask=live, other=0)
    high = tl.load(spans + (i * n_span + part) * 2 + 1, mask=live, other=0)
    least = tl.min(tl.where(low < high, low, n_key), 0)
    most = tl.max(tl.where(low < high, high, 0), 0)
    cuts = tl.load(extent + 2 * block)
    grafted = tl.load(extent + 2 * block + 1)
    share = tl.zeros([BM], ACC)
    weighed = tl.zeros([BM, DP], ACC)
    from_key = tl.load(run + 2 * block)
    whole = (tl.load(run + 2 * block + 1) - from_key) // BN
    begin = tl.load(first + block)
    for j in range(whole + tl.load(first + block + 1) - begin):
        listed = j >= whole
        start = tl.where(listed, tl.load(tiles + begin + j - whole, mask=listed, other=0) * BN, from_key + j * BN)
        key = start + tl.arange(0, BN)
        key_depth = tl.load(depth + key, mask=key < n_key, other=-1)
        if tl.max(((key_depth >= least) & (key_depth < most)).to(tl.int32), 0) > 0:
            seen = find_seen(
                row, key, live, depth, place, until, hidden, grafts, n_key, window, n_cut, n_graft, cuts, grafted
            )
            seen = seen & (key_depth[None, :] >= low[:, None]) & (key_depth[None, :] < high[:, None])
            scores = compute_scores(queries, load_tile(k, above, start, BN, DP).to(FACTOR), CAP, ACC, FLOAT32)
            weights = tl.exp2(tl.where(seen, scores, float("-inf")) * UNIT - top[:, None])
            values = clear_unseen(load_tile(v, above, start, BN, DP), seen).to(FACTOR)
            share += tl.sum(weights, 1)
            weighed = tl.dot(weights.to(FACTOR), values, weighed, input_precision=FLOAT32, out_dtype=ACC)
    to = (head.to(tl.int64) * n_read + i) * n_span + part
    tl.store(mass + to, share / total, mask=live)
    column = tl.arange(0, DP)
    tl.store(
        flow + to[:, None] * D + column[None, :], (weighed / total[:, None]).to(flow.dtype.element_ty),
        live[:, None] & (column < D)[None, :],
    )  # fmt: skip
