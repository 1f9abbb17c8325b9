// The cells of recurrent networks, between their matrix products: a pass over each row, its blocks (gates) in parallel.
#include "kernels.h"
#include "vmath.h"

namespace tge {
namespace TGE_ISA {
namespace {

// A cell says how many blocks of H entries a row of each of its arrays has, inputs first; they come to it in order.
template <class M>
struct LstmCell {
    using V = typename M::V;
    static constexpr int inputs = 3, outputs = 3, blocks[] = {4, 4, 1, 1, 1, 4};
    static TGE_INLINE void step(const V* v, V* out) {
        const V i = M::sigmoid(v[0] + v[4]), f = M::sigmoid(v[1] + v[5]), g = M::tanh(v[2] + v[6]);
        const V o = M::sigmoid(v[3] + v[7]), c = f * v[8] + i * g;
        out[0] = o * M::tanh(c), out[1] = c;
        out[2] = i, out[3] = f, out[4] = g, out[5] = o;
    }
};

template <class M>
struct LstmCellBackward {
    using V = typename M::V;
    static constexpr int inputs = 5, outputs = 2, blocks[] = {1, 1, 4, 1, 1, 4, 1};
    static TGE_INLINE void step(const V* v, V* out) {
        const V dh = v[0], i = v[2], f = v[3], g = v[4], o = v[5], t = M::tanh(v[7]);
        const V dc = v[1] + dh * o * (1 - t * t);
        out[0] = dc * g * i * (1 - i);
        out[1] = dc * v[6] * f * (1 - f);
        out[2] = dc * i * (1 - g * g);
        out[3] = dh * t * o * (1 - o);
        out[4] = dc * f;
    }
};

template <class M>
struct GruCell {
    using V = typename M::V;
    static constexpr int inputs = 3, outputs = 2, blocks[] = {3, 3, 1, 1, 4};
    static TGE_INLINE void step(const V* v, V* out) {
        const V r = M::sigmoid(v[0] + v[3]), z = M::sigmoid(v[1] + v[4]), n = M::tanh(v[2] + r * v[5]);
        out[0] = (1 - z) * n + z * v[6];
        out[1] = r, out[2] = z, out[3] = n, out[4] = v[5];
    }
};

template <class M>
struct GruCellBackward {
    using V = typename M::V;
    static constexpr int inputs = 3, outputs = 3, blocks[] = {1, 4, 1, 3, 3, 1};
    static TGE_INLINE void step(const V* v, V* out) {
        const V dh = v[0], r = v[1], z = v[2], n = v[3];
        const V dn = dh * (1 - z) * (1 - n * n);
        const V dr = dn * v[4] * r * (1 - r), dz = dh * (v[5] - n) * z * (1 - z);
        out[0] = dr, out[1] = dz, out[2] = dn;
        out[3] = dr, out[4] = dz, out[5] = dn * r;
        out[6] = dh * z;
    }
};

template <class Cell>
constexpr int blocks_of(int from, int to) {
    int n = 0;
    for (int a = from; a < to; ++a) n += Cell::blocks[a];
    return n;
}

template <class L, class Cell>
void cell(i64 begin, i64 end, i64 hidden, void* const* arrays) {
    using S = typename L::Store;
    constexpr int all = Cell::inputs + Cell::outputs, in = blocks_of<Cell>(0, Cell::inputs);
    constexpr int out = blocks_of<Cell>(Cell::inputs, all);
    for (i64 row = begin; row < end; ++row) {
        S* p[in + out];
        for (int a = 0, k = 0; a < all; ++a)
            for (int b = 0; b < Cell::blocks[a]; ++b)
                p[k++] = static_cast<S*>(arrays[a]) + (row * Cell::blocks[a] + b) * hidden;
        typename L::V v[in], y[out];
        i64 i = 0;
        for (; i + L::W <= hidden; i += L::W) {
            for (int k = 0; k < in; ++k) v[k] = L::load(p[k] + i);
            Cell::step(v, y);
            for (int k = 0; k < out; ++k) L::store(p[in + k] + i, y[k]);
        }
        if (i == hidden) continue;
        for (int k = 0; k < in; ++k) v[k] = load_part<L>(p[k] + i, hidden - i, S(0));
        Cell::step(v, y);
        for (int k = 0; k < out; ++k) store_part<L>(p[in + k] + i, hidden - i, y[k]);
    }
}

}  // namespace

void fill_recurrent(Table& t) {
#define BOTH(kernel, functor)                                      \
    t.kernel[0] = cell<Layout32, functor<Smooth32>>;               \
    t.kernel[1] = cell<Direct<double>, functor<Smooth64>>;
    BOTH(lstm_cell, LstmCell) BOTH(lstm_cell_backward, LstmCellBackward)
    BOTH(gru_cell, GruCell) BOTH(gru_cell_backward, GruCellBackward)
#undef BOTH
}

}  // namespace TGE_ISA
}  // namespace tge
