// Scaled dot-product attention (Vaswani et al. 2017), a block of rows at a time: the scores of a block stay in the cache,
// and the backward pass computes them again from one number per row (Dao et al. 2022).
#include <atomic>

#include "../allocator.h"
#include "../threads.h"
#include "kernels.h"
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

// One entry of the batch.
template <class T>
struct Entry {
    const Attention& a;
    i64 b;
    bool failed = false;

    const T* q(i64 t) const { return static_cast<const T*>(a.q) + b * a.q_step[0] + t * a.q_step[1]; }
    const T* g(i64 t) const { return static_cast<const T*>(a.g) + b * a.g_step[0] + t * a.g_step[1]; }
    const T* k() const { return static_cast<const T*>(a.k) + b * a.k_step[0]; }
    const T* v() const { return static_cast<const T*>(a.v) + b * a.v_step[0]; }
    T* y(i64 t) const { return static_cast<T*>(a.y) + (b * a.queries + t) * a.width; }
    T& lse(i64 t) const { return static_cast<T*>(a.lse)[b * a.queries + t]; }

    // How many keys row t sees.
    i64 visible(i64 t) const { return a.causal && t + 1 < a.keys ? t + 1 : a.keys; }

    void run(const Gemm& product) {
        if (!gemm<T>(product)) failed = true;
    }
    // scores (rows, keys) = q·kᵀ of rows [t, t + rows) and as many keys as the last of them sees.
    void multiply_keys(i64 t, i64 rows, T* scores) {
        run({rows, visible(t + rows - 1), a.depth, q(t), k(), nullptr, scores,
             a.q_step[1], a.q_step[2], a.k_step[2], a.k_step[1], a.keys});
    }
    // What row t's scores become before the softmax: scale·s + mask.
    void finish_scores(i64 t, T* s) const {
        const T scale = static_cast<T>(a.scale);
        const i64 n = visible(t);
        row_map(n, s, s, s, [scale](auto x, auto) { return x * scale; });
        if (!a.mask) return;
        const T* m = static_cast<const T*>(a.mask) + b * a.masks / a.batch * a.mask_step[0] + t * a.mask_step[1];
        if (a.mask_step[2] == 1) return row_map(n, s, m, s, [](auto x, auto y) { return x + y; });
        for (i64 i = 0; i < n; ++i) s[i] += m[i * a.mask_step[2]];
    }
};

// y = softmax(scores)·v for rows [t, t + rows).
template <class T>
void forward_block(Entry<T>& e, i64 t, i64 rows, T* scores) {
    const Attention& a = e.a;
    const T lowest = static_cast<T>(-__builtin_inf());
    const i64 keys = e.visible(t + rows - 1);
    e.multiply_keys(t, rows, scores);
    T factors[most_rows];
    for (i64 r = 0; r < rows; ++r) {
        T* s = scores + r * a.keys;
        const i64 n = e.visible(t + r);
        e.finish_scores(t + r, s);
        const T top = row_max(n, s);
        const bool blind = top == lowest;  // it sees no key: zeros
        const double sum = blind ? 0 : exp_sum(n, s, top, s);
        for (i64 i = blind ? 0 : n; i < keys; ++i) s[i] = 0;
        factors[r] = blind ? T(0) : static_cast<T>(1 / sum);
        e.lse(t + r) = blind ? lowest : static_cast<T>(static_cast<double>(top) + __builtin_log(sum));
    }
    e.run({rows, a.width, keys, scores, e.v(), nullptr, e.y(t), a.keys, 1, a.v_step[1], a.v_step[2], a.width});
    for (i64 r = 0; r < rows; ++r) {
        T* y = e.y(t + r);
        const T factor = factors[r];
        if (factor == 0) // not 0·v, which may be NaN
            for (i64 i = 0; i < a.width; ++i) y[i] = 0;
        else row_map(a.width, y, y, y, [factor](auto x, auto) { return x * factor; });
    }
}

// Adds to dk and dv what rows [t, t + rows) give, and writes their dq. `scores` has room for two blocks.
template <class T>
void backward_block(Entry<T>& e, i64 t, i64 rows, T* scores, T* dq, T* dk, T* dv) {
    const Attention& a = e.a;
    const i64 keys = e.visible(t + rows - 1);
    const T scale = static_cast<T>(a.scale);
    T* slopes = scores + rows * a.keys;
    e.multiply_keys(t, rows, scores);
    e.run({rows, keys, a.width, e.g(t), e.v(), nullptr, slopes, a.g_step[1], 1, a.v_step[2], a.v_step[1], a.keys});
    for (i64 r = 0; r < rows; ++r) {
        T *p = scores + r * a.keys, *ds = slopes + r * a.keys;
        const T lse = e.lse(t + r);
        const bool blind = lse == static_cast<T>(-__builtin_inf());
        const i64 n = blind ? 0 : e.visible(t + r);
        if (!blind) e.finish_scores(t + r, p);
        const T dot = static_cast<T>(row_sum(a.width, e.g(t + r), e.y(t + r), [](auto x, auto y) { return x * y; }));
        row_map(n, p, p, p, [lse](auto x, auto) { return vexp(x - lse); });
        row_map(n, p, ds, ds, [dot, scale](auto x, auto y) { return x * (y - dot) * scale; });
        for (i64 i = n; i < keys; ++i) p[i] = ds[i] = 0;
    }
    e.run({rows, a.depth, keys, slopes, e.k(), nullptr, dq, a.keys, 1, a.k_step[1], a.k_step[2], a.depth});
    Gemm product = {keys, a.depth, rows, slopes, e.q(t), nullptr, dk, 1, a.keys, a.q_step[1], a.q_step[2], a.depth};
    product.accumulate = true;
    e.run(product);
    product = {keys, a.width, rows, scores, e.g(t), nullptr, dv, 1, a.keys, a.g_step[1], 1, a.width};
    product.accumulate = true;
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
        const Scratch memory(static_cast<unsigned long>(j.rows * j.a.keys) * sizeof(T));
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
        const Scratch memory(static_cast<unsigned long>(2 * j.rows * v.keys) * sizeof(T));
        if (!memory) j.failed = true;
        for (i64 b = begin; b < end && memory; ++b) {
            Entry<T> entry{v, b};
            T *dk = static_cast<T*>(v.dk) + b * v.keys * v.depth, *dv = static_cast<T*>(v.dv) + b * v.keys * v.width;
            for (i64 i = 0; i < v.keys * v.depth; ++i) dk[i] = 0;
            for (i64 i = 0; i < v.keys * v.width; ++i) dv[i] = 0;
            for (i64 block = 0; block < j.blocks; ++block) {
                const i64 t = block * j.rows;
                backward_block(entry, t, j.rows_in(block), reinterpret_cast<T*>(memory.data()),
                               static_cast<T*>(v.dq) + (b * v.queries + t) * v.depth, dk, dv);
            }
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
