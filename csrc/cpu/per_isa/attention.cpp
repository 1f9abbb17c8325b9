// Scaled dot-product attention (Vaswani et al. 2017), a block of rows at a time: the scores of a block stay in the cache,
// and the backward pass computes them again from one number per row (Dao et al. 2022).
#include <atomic>

#include "../allocator.h"
#include "../threads.h"
#include "kernels.h"
#include "pack.h"
#include "rows.h"

namespace tge {
namespace TGE_ISA {
namespace {

constexpr i64 score_elements = i64{1} << 16;  // of a block
constexpr i64 most_rows = 64, most_causal_rows = 32;  // of a block; shorter ones see fewer keys in vain

i64 rows_of_block(const Attention& a) {
    const i64 rows = score_elements / (a.keys + 1) + 1, most = a.causal ? most_causal_rows : most_rows;
    return rows < most ? rows : most;
}

// Lanes i, i + 1, … of a row that are below n.
template <class T>
TGE_INLINE typename Simd<T>::I below(i64 n, i64 i) {
    typename Simd<T>::I lane{};
    for (int j = 0; j < Direct<T>::W; ++j) lane[j] = j;
    return lane < static_cast<decltype(lane[0] + 0)>(least(n - i, Direct<T>::W));
}

// Rows of scores are a whole number of vectors long; what lies behind the n keys that a row sees is −∞ after this, and
// so 0 after the exponential. Returns the maximum of scale·s + mask.
template <class T>
T finish_scores(i64 n, i64 length, T* s, T scale, const T* mask, i64 mask_step) {
    using L = Direct<T>;
    using V = typename L::V;
    const V lowest = splat<V>(-__builtin_inf());
    if (mask && mask_step != 1) {
        for (i64 i = 0; i < n; ++i) s[i] = s[i] * scale + mask[i * mask_step];
        scale = 1, mask = nullptr;
    }
    V top = lowest;
    for (i64 i = 0; i < length; i += L::W) {
        V v = i < n ? L::load(s + i) * scale : lowest;
        if (mask && i < n) v += i + L::W <= n ? L::load(mask + i) : load_part<L>(mask + i, n - i, T(0));
        if (i + L::W > n) v = below<T>(n, i) ? v : lowest;
        L::store(s + i, v);
        top = vmax(top, v);
    }
    return max_lanes<T>(top);
}

// s = e^{s − shift}; returns the sum, in float64 over runs of 16 vectors.
template <class T>
double exponentials(i64 length, T* s, T shift) {
    using L = Direct<T>;
    using V = typename L::V;
    D sum{};
    for (i64 start = 0; start < length; start += 16 * L::W) {
        V part{};
        for (i64 i = start; i < least(start + 16 * L::W, length); i += L::W) {
            const V e = vexp(L::load(s + i) - shift);
            L::store(s + i, e);
            part += e;
        }
        sum = add_lanes(sum, part);
    }
    return sum_lanes(sum);
}

// One entry of the batch.
template <class T>
struct Entry {
    const Attention& a;
    i64 b;
    i64 row = round_up(a.keys, Direct<T>::W);  // elements of a row of scores
    bool failed = false;

    i64 sample = b / a.heads, head = b % a.heads;

    // Row t of this entry.
    const T* row_of(const Matrices& x, i64 t) const {
        return static_cast<const T*>(x.data) + sample * x.sample + head * x.step[0] + t * x.step[1];
    }
    T* written(const Matrices& x, i64 t) const { return const_cast<T*>(row_of(x, t)); }
    T& lse(i64 t) const { return static_cast<T*>(a.lse)[b * a.queries + t]; }

    // How many keys row t sees.
    i64 visible(i64 t) const { return a.causal && t + 1 < a.keys ? t + 1 : a.keys; }

    // A block has few rows, and what a row gives does not depend on how many they are.
    void run(const Gemm& product) {
        if (!vector_gemm<T>(product)) failed = true;
    }
    // scores (rows, row) = q·kᵀ of rows [t, t + rows) and as many keys as the last of them sees.
    void multiply_keys(i64 t, i64 rows, T* scores) {
        run({rows, visible(t + rows - 1), a.depth, row_of(a.q, t), row_of(a.k, 0), nullptr, scores,
             a.q.step[1], a.q.step[2], a.k.step[2], a.k.step[1], row});
    }
    // What row t's scores become before the softmax; `length` of them are read later. Returns their maximum.
    T finish(i64 t, i64 length, T* s) const {
        const T* m = static_cast<const T*>(a.mask.data);
        if (m) m += b * a.masks / a.batch * a.mask.step[0] + t * a.mask.step[1];
        return finish_scores(visible(t), length, s, static_cast<T>(a.scale), m, a.mask.step[2]);
    }
};

// y = softmax(scores)·v for rows [t, t + rows).
template <class T>
void forward_block(Entry<T>& e, i64 t, i64 rows, T* scores) {
    const Attention& a = e.a;
    const T lowest = static_cast<T>(-__builtin_inf());
    const i64 keys = e.visible(t + rows - 1), length = round_up(keys, Direct<T>::W);
    e.multiply_keys(t, rows, scores);
    T tops[most_rows], factors[most_rows];
    double sums[most_rows + DW];  // logs() works on whole vectors
    for (i64 r = 0; r < rows; ++r) {
        T* s = scores + r * e.row;
        tops[r] = e.finish(t + r, length, s);
        const bool blind = tops[r] == lowest;  // it sees no key: zeros
        sums[r] = exponentials(length, s, blind ? T(0) : tops[r]);
        factors[r] = blind ? T(0) : static_cast<T>(1 / sums[r]);
    }
    for (i64 r = rows; r < rows + DW; ++r) sums[r] = 1;
    logs<T>(rows, sums);
    for (i64 r = 0; r < rows; ++r)
        e.lse(t + r) = tops[r] == lowest ? lowest : static_cast<T>(static_cast<double>(tops[r]) + sums[r]);
    e.run({rows, a.width, keys, scores, e.row_of(a.v, 0), nullptr, e.written(a.y, t), e.row, 1, a.v.step[1], a.v.step[2],
           a.y.step[1]});
    for (i64 r = 0; r < rows; ++r) {
        T* y = e.written(a.y, t + r);
        const T factor = factors[r];
        if (factor == 0) // not 0·v, which may be NaN
            for (i64 i = 0; i < a.width; ++i) y[i] = 0;
        else row_map(a.width, y, y, y, [factor](auto x, auto) { return x * factor; });
    }
}

// Writes what rows [t, t + rows) give to dk and dv of the keys that they see, or adds it, and writes their dq. `scores` has
// room for two blocks.
template <class T>
void backward_block(Entry<T>& e, i64 t, i64 rows, T* scores, bool add) {
    using L = Direct<T>;
    const Attention& a = e.a;
    const i64 keys = e.visible(t + rows - 1);
    const T scale = static_cast<T>(a.scale);
    const i64 length = round_up(keys, Direct<T>::W);
    const T *q = e.row_of(a.q, t), *g = e.row_of(a.g, t);
    T* slopes = scores + rows * e.row;
    e.multiply_keys(t, rows, scores);
    e.run({rows, keys, a.width, g, e.row_of(a.v, 0), nullptr, slopes, a.g.step[1], 1, a.v.step[2], a.v.step[1], e.row});
    for (i64 r = 0; r < rows; ++r) {
        T *p = scores + r * e.row, *ds = slopes + r * e.row;
        const T lse = e.lse(t + r);
        const bool blind = lse == static_cast<T>(-__builtin_inf());
        const i64 n = blind ? 0 : e.visible(t + r);
        const T dot = static_cast<T>(row_sum(a.width, e.row_of(a.g, t + r), e.row_of(a.y, t + r),
                                             [](auto x, auto y) { return x * y; }));
        e.finish(t + r, length, p);
        exponentials(length, p, blind ? static_cast<T>(__builtin_inf()) : lse);
        for (i64 i = 0; i < length; i += L::W) {
            const typename L::V slope = L::load(p + i) * (L::load(ds + i) - dot) * scale;
            L::store(ds + i, i + L::W <= n ? slope : below<T>(n, i) ? slope : typename L::V{});
        }
    }
    e.run({rows, a.depth, keys, slopes, e.row_of(a.k, 0), nullptr, e.written(a.dq, t), e.row, 1, a.k.step[1], a.k.step[2],
           a.dq.step[1]});
    Gemm product = {keys, a.depth, rows, slopes, q, nullptr, e.written(a.dk, 0), 1, e.row, a.q.step[1], a.q.step[2],
                    a.dk.step[1]};
    product.accumulate = add;
    e.run(product);
    product = {keys, a.width, rows, scores, g, nullptr, e.written(a.dv, 0), 1, e.row, a.g.step[1], 1, a.dv.step[1]};
    product.accumulate = add;
    e.run(product);
}

struct Job {
    const Attention& a;
    i64 rows, blocks;
    std::atomic<bool> failed{false};

    explicit Job(const Attention& attention)
        : a(attention), rows(rows_of_block(a)), blocks((a.queries + rows - 1) / rows) {}
    i64 rows_in(i64 block) const { return block + 1 < blocks ? rows : a.queries - block * rows; }
    // Pieces of about 2¹⁸ multiplications.
    i64 grain(i64 queries) const { return (i64{1} << 18) / (queries * a.keys * (a.depth + a.width) + 1) + 1; }
};

template <class T>
bool attention(const Attention& a) {
    Job job(a);
    parallel_for(a.batch * job.blocks, job.grain(job.rows), [](void* context, i64 begin, i64 end, int) {
        Job& j = *static_cast<Job*>(context);
        const Scratch memory(static_cast<unsigned long>(j.rows * round_up(j.a.keys, Direct<T>::W)) * sizeof(T));
        if (!memory) j.failed = true;
        for (i64 i = begin; i < end && memory; ++i) {
            Entry<T> entry{j.a, i / j.blocks};
            const i64 block = i % j.blocks;
            forward_block(entry, block * j.rows, j.rows_in(block), reinterpret_cast<T*>(memory.data()));
            if (entry.failed) j.failed = true;
        }
    }, &job);
    return !job.failed;
}

template <class T>
bool attention_backward(const Attention& a) {
    Job job(a);
    parallel_for(a.batch, job.grain(a.queries), [](void* context, i64 begin, i64 end, int) {
        Job& j = *static_cast<Job*>(context);
        const Attention& v = j.a;
        const Scratch memory(static_cast<unsigned long>(2 * j.rows * round_up(v.keys, Direct<T>::W)) * sizeof(T));
        if (!memory) j.failed = true;
        for (i64 b = begin; b < end && memory; ++b) {
            Entry<T> entry{v, b};
            // The last rows see all keys that any row sees.
            for (i64 s = v.queries > 0 ? entry.visible(v.queries - 1) : 0; s < v.keys; ++s) {
                for (i64 i = 0; i < v.depth; ++i) entry.written(v.dk, s)[i] = 0;
                for (i64 i = 0; i < v.width; ++i) entry.written(v.dv, s)[i] = 0;
            }
            for (i64 block = j.blocks - 1; block >= 0; --block)
                backward_block(entry, block * j.rows, j.rows_in(block), reinterpret_cast<T*>(memory.data()),
                               block < j.blocks - 1);
            if (entry.failed) j.failed = true;
        }
    }, &job);
    return !job.failed;
}

}  // namespace

void fill_attention(Table& t) {
    t.attention[0] = attention<float>;
    t.attention[1] = attention<double>;
    t.attention_backward[0] = attention_backward<float>;
    t.attention_backward[1] = attention_backward<double>;
}

}  // namespace TGE_ISA
}  // namespace tge
