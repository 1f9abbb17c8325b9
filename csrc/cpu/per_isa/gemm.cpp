// Matrix product in the manner of BLIS (Van Zee & van de Geijn 2015): pieces of A and B are packed so that one
// micro-kernel, a small tile of C held in registers, streams through them. Packing absorbs transposes and any strides.
//
// An element of C is the sum over k in order, in blocks whose size depends on k alone, whatever the shape of the rest:
// a row of the result does not depend on the other rows, nor anything on the number of threads.
#include "../allocator.h"
#include "../threads.h"
#include "kernels.h"
#include "tiles.h"

namespace tge {
namespace TGE_ISA {
namespace {

// Steps of k in a block: nearly equal blocks, whole vectors.
template <class T>
i64 steps_of_block(i64 k) {
    const i64 blocks_of_k = (k + blocks<T>.kc - 1) / blocks<T>.kc;
    return blocks_of_k == 0 ? 0 : least(round_up((k + blocks_of_k - 1) / blocks_of_k, Direct<T>::W), k);
}
i64 tiles_of(i64 m, int nv) { return (m + tile_rows(nv) - 1) / tile_rows(nv); }

// One product: how it is cut, and the block of it that is being computed.
template <class T>
struct Product {
    static constexpr int W = Direct<T>::W;
    static constexpr Blocks size = blocks<T>;
    const Gemm& g;
    i64 kc, nc;
    i64 chunk;                 // steps of k of which B is packed at a time: as many blocks as there is room for
    A a_form = A::panel;
    bool direct_a, direct_b;   // read where it lies; for B: whole vectors of columns only
    bool on_the_way;           // the first tile packs B while it multiplies
    bool transposing;          // B is transposed in registers
    int nv;                    // vectors of a strip: nr = nv·W columns of B
    i64 nr, tiles;             // tiles below each other, of nearly equal height
    i64 band = 1;              // of which so many are packed and multiplied in one piece
    T* packed_b = nullptr;     // for each block of the chunk the strips, one behind the other
    i64 j0 = 0, width = 0;     // columns [j0, j0 + width)
    i64 chunk0 = 0, chunk1 = 0;  // steps [chunk0, chunk1)
    i64 group = 0, groups = 0; // strips in one piece, and pieces beside each other

    explicit Product(const Gemm& gemm) : g(gemm) {
        const i64 k_blocks = (g.k + size.kc - 1) / size.kc;
        kc = steps_of_block<T>(g.k);
        transposing = g.b_row == 1 && g.b_col != 1 && g.m <= transposing_rows && g.k > 1;
        const i64 rows = bytes(g.n * g.k) <= resident ? size.resident_rows : size.direct_rows;
        direct_b = transposing || (g.b_col == 1 && g.m <= rows);
        // One row is a panel whatever its stride.
        const i64 columns = g.a_row != 1 ? size.row_columns : bytes(g.a_col) <= near ? g.n : size.panel_columns;
        direct_a = g.m == 1 || ((g.a_row == 1 || g.a_col == 1) && (g.n <= columns || g.k < W));
        if (direct_a && g.m > 1 && g.a_row != 1) a_form = A::rows;
        const i64 vectors = (g.n + W - 1) / W;
        nv = transposing ? 1 : usual;
        while (!transposing && nv < widest && g.m <= tile_rows(2 * nv)) nv *= 2;
        while (nv > 1 && vectors <= nv / 2) nv /= 2;
        nr = nv * W;
        on_the_way = !direct_b && nv == usual && g.b_col == 1 && bytes(g.b_row) < far;
        const i64 n_blocks = (g.n + size.nc - 1) / size.nc;
        nc = round_up((g.n + n_blocks - 1) / n_blocks, nr);
        const i64 room = direct_b ? k_blocks : size.kc * size.nc / (kc * nc);
        chunk = least(room < 1 ? 1 : room, k_blocks) * kc;
        tiles = transposing ? (g.m + transposing_rows - 1) / transposing_rows : tiles_of(g.m, nv);
        // The rows of a transposed A lie side by side: those of several tiles come with the same lines of the cache.
        if (g.a_row == 1 && !direct_a && tiles >= 4) band = tiles >= 8 * most_band ? most_band : 2;
    }
    static constexpr i64 bytes(i64 elements) { return elements * static_cast<i64>(sizeof(T)); }

    i64 bands() const { return (tiles - on_the_way + band - 1) / band; }  // without a tile that packs

    const T* a() const { return static_cast<const T*>(g.a); }
    const T* b() const { return static_cast<const T*>(g.b); }
    i64 first_row(i64 t) const { return g.m * t / tiles; }
    i64 packed_size() const { return transposing ? 0 : (direct_b ? nr : nc) * least(chunk, g.k) + W; }
    i64 strips() const { return (width + nr - 1) / nr; }

    // Vectors of a strip of `count` columns: a power of two.
    int vectors_of(i64 count) const {
        int v = nv;
        while (v > 1 && count <= v / 2 * W) v /= 2;
        return v;
    }
    bool is_direct(i64 count) const { return direct_b && count == vectors_of(count) * W; }
    // Where the strip that begins at column j is packed.
    T* packed(i64 k0, i64 depth, i64 j) const {
        return packed_b + (direct_b ? (k0 - chunk0) * nr : (k0 - chunk0) * nc + j * depth);
    }

    void pack_strips(i64 begin, i64 end) const {
        for (i64 k0 = chunk0; k0 < chunk1; k0 += kc) {
            const i64 depth = least(kc, chunk1 - k0);
            for (i64 s = begin; s < end; ++s) {
                const i64 j = s * nr, count = least(nr, width - j);
                pack(depth, count, vectors_of(count) * W, b() + k0 * g.b_row + (j0 + j) * g.b_col, g.b_col, g.b_row,
                     packed(k0, depth, j));
            }
        }
    }

    // Strips [begin, end) are packed; or multiplied by the first tile, which packs them.
    void prepare(i64 begin, i64 end) const {
        if (!on_the_way) return pack_strips(begin, end);
        if (end * nr > width) pack_strips(end - 1, end);
        multiply(0, 1, begin * nr, least(end * nr, width), true);
    }

    // One band of tiles times one group of strips.
    void multiply_piece(i64 piece) const {
        const i64 t0 = on_the_way + piece % bands() * band, begin = piece / bands() * group * nr;
        multiply(t0, least(t0 + band, tiles), begin, least(begin + group * nr, width), false);
    }

    // Tiles [t0, t1) times columns [begin, end) of the block.
    void multiply(i64 t0, i64 t1, i64 begin, i64 end, bool packs) const {
        for (i64 k0 = chunk0; k0 < chunk1; k0 += kc)
            if (transposing) multiply_transposing(first_row(t0), first_row(t1) - first_row(t0), k0, begin, end);
            else multiply_band(t0, t1, k0, begin, end, packs);
        if (g.activation && chunk1 == g.k) activate<T>(g, first_row(t0), first_row(t1), j0 + begin, end - begin);
    }

    // Of these the steps [k0, k0 + kc).
    void multiply_band(i64 t0, i64 t1, i64 k0, i64 begin, i64 end, bool packs) const {
        const i64 depth = least(kc, chunk1 - k0);
        constexpr i64 room = tile_rows(usual) * size.kc + W;  // for one tile
        alignas(64) T packed_a[most_band * room];
        if (band > 1) pack_band(t0, t1, k0, depth, packed_a, room);
        for (i64 t = t0; t < t1; ++t) {
            const i64 i0 = first_row(t), rows = first_row(t + 1) - i0;
            const T* panel = a() + i0 * g.a_row + k0 * g.a_col;
            if (direct_a) {
                multiply_tiles(i0, rows, panel, a_form == A::rows ? g.a_row : g.a_col, k0, begin, end, packs);
                continue;
            }
            T* packed = packed_a + (t - t0) * room;
            if (band == 1) pack(depth, rows, rows, panel, g.a_row, g.a_col, packed);
            multiply_tiles(i0, rows, packed, rows, k0, begin, end, packs);
        }
    }
    // The panels of several tiles of a transposed A, together. Whole vectors: what is written behind one step's rows is
    // written again in the next step.
    void pack_band(i64 t0, i64 t1, i64 k0, i64 depth, T* packed, i64 room) const {
        using L = Direct<T>;
        i64 start[most_band], rows[most_band];
        bool whole[most_band];  // is there a vector of rows to read, if not all to keep?
        for (i64 t = t0; t < t1; ++t) {
            start[t - t0] = first_row(t);
            rows[t - t0] = first_row(t + 1) - first_row(t);
            whole[t - t0] = rows[t - t0] <= W && first_row(t) + W <= g.m;
        }
        const T* from = a() + k0 * g.a_col;
        for (i64 d = 0; d < depth; ++d, from += g.a_col)
            for (i64 t = 0; t < t1 - t0; ++t) {
                T* to = packed + t * room + d * rows[t];
                const T* row = from + start[t];
                __builtin_prefetch(row + 8 * g.a_col);
                if (whole[t]) L::store(to, L::load(row));
                else pack_straight(1, rows[t], rows[t], row, 0, to);
            }
    }
    // The tiles of rows [i0, i0 + rows).
    void multiply_tiles(i64 i0, i64 rows, const T* panel, i64 a_step, i64 k0, i64 begin, i64 end, bool packs) const {
        const i64 depth = least(kc, chunk1 - k0);
        T* c = static_cast<T*>(g.c) + i0 * g.c_row + j0;
        const Tile<T> full = tile_of<T>(rows, nv, a_form);
        for (i64 j = begin; j < end; j += nr) {
            const i64 columns = least(nr, width - j);
            const int v = vectors_of(columns);
            const bool in_place = is_direct(columns);
            const T* lies = b() + k0 * g.b_row + (j0 + j) * g.b_col;
            T* strip = packed(k0, depth, j);
            if (packs && columns == nr) {
                tile_of<T, usual, true>(rows, a_form)(depth, panel, a_step, lies, g.b_row, c + j, g.c_row, columns,
                                                      finish(i0, k0, j), strip);
                continue;
            }
            (v == nv ? full : tile_of<T>(rows, v, a_form))(depth, panel, a_step, in_place ? lies : strip,
                                                           in_place ? g.b_row : v * W, c + j, g.c_row, columns,
                                                           finish(i0, k0, j), nullptr);
        }
    }
    void multiply_transposing(i64 i0, i64 rows, i64 k0, i64 begin, i64 end) const {
        T* c = static_cast<T*>(g.c) + i0 * g.c_row + j0;
        for (i64 j = begin; j < end; j += nr)
            transposing_tile_of<T>(rows)(least(kc, chunk1 - k0), a() + i0 * g.a_row + k0 * g.a_col, g.a_row, g.a_col,
                                         b() + k0 + (j0 + j) * g.b_col, g.b_col, c + j, g.c_row, least(nr, width - j),
                                         finish(i0, k0, j));
    }
    // Biases go with the last block of k.
    Finish<T> finish(i64 i0, i64 k0, i64 j) const {
        const bool ends = k0 + kc >= g.k;
        return {k0 > 0 || g.accumulate, ends && g.bias ? static_cast<const T*>(g.bias) + j0 + j : nullptr,
                ends && g.row_bias ? static_cast<const T*>(g.row_bias) + i0 : nullptr};
    }

    void run() {
        const bool shared = g.m * g.n >= 1024 && g.m * g.n * g.k >= (i64{1} << 20);
        for (j0 = 0; j0 < g.n; j0 += nc) {
            width = least(nc, g.n - j0);
            // About eight pieces or more, each at least four strips wide. A packed B that is not smaller than A is not sent
            // from one processor to another: a thread multiplies what it has packed.
            groups = bands() == 0 || !shared ? 1 : least((strips() + 3) / 4, (8 + bands() - 1) / bands());
            const i64 own = shared && !direct_b && g.m <= g.n ? least((strips() + 1) / 2, num_threads()) : 1;
            if (groups < own) groups = own;
            group = (strips() + groups - 1) / groups;
            groups = (strips() + group - 1) / group;
            for (chunk0 = 0; chunk0 < g.k; chunk0 = chunk1) {
                chunk1 = least(chunk0 + chunk, g.k);
                // Of a B that is read where it lies a last strip of not whole vectors is packed all the same.
                if (direct_b && !transposing && !is_direct(width - (strips() - 1) * nr)) pack_strips(strips() - 1, strips());
                if (!shared) {
                    if (!direct_b) prepare(0, strips());
                    for (i64 piece = 0; piece < bands() * groups; ++piece) multiply_piece(piece);
                    continue;
                }
                const auto first = [](void* context, i64 begin, i64 end, int) {
                    static_cast<Product*>(context)->prepare(begin, end);
                };
                const auto others = [](void* context, i64 begin, i64 end, int) {
                    for (i64 piece = begin; piece < end; ++piece) static_cast<Product*>(context)->multiply_piece(piece);
                };
                if (!direct_b) parallel_for(strips(), (strips() + 7) / 8, first, this);
                parallel_for(bands() * groups, 1, others, this);
            }
        }
    }
};

// The product of no columns with no rows: zeros.
template <class T>
void no_steps(const Gemm& g) {
    for (i64 i = 0; i < g.m; ++i) {
        for (i64 j = 0; j < g.n; ++j) {
            T& c = static_cast<T*>(g.c)[i * g.c_row + j];
            c = (g.accumulate ? c : T(0)) + (g.bias ? static_cast<const T*>(g.bias)[j] : T(0)) +
                (g.row_bias ? static_cast<const T*>(g.row_bias)[i] : T(0));
        }
        if (g.activation) activate<T>(g, i, i + 1, 0, g.n);
    }
}

// A single column is better computed as a row: vectors run along it.
template <class T>
bool column(const Gemm& g) {
    const Gemm flipped = {1,       g.m,     g.k,     g.b,  g.a,          g.row_bias, g.c, 0,
                          g.b_row, g.a_col, g.a_row, g.m, g.accumulate};
    if (!vector_gemm<T>(flipped)) return false;
    T* c = static_cast<T*>(g.c);
    if (g.bias)
        for (i64 i = 0; i < g.m; ++i) c[i] += *static_cast<const T*>(g.bias);
    if (g.activation) activate<T>(g, 0, g.m, 0, 1);
    return true;
}

}  // namespace

template <class T>
bool vector_gemm(const Gemm& g) {
    if (g.m <= 0 || g.n <= 0) return true;
    if (g.k <= 0) return no_steps<T>(g), true;
    if (g.n == 1 && g.m > 1 && g.c_row == 1) return column<T>(g);
    Product<T> p(g);
    alignas(64) T small_b[16384 / sizeof(T)];
    if (p.packed_size() <= static_cast<i64>(sizeof small_b / sizeof(T))) {
        p.packed_b = small_b;
        p.run();
        return true;
    }
    const Scratch b_memory(static_cast<unsigned long>(p.packed_size()) * sizeof(T));
    if (!b_memory) return false;
    p.packed_b = reinterpret_cast<T*>(b_memory.data());
    p.run();
    return true;
}
template bool vector_gemm<float>(const Gemm&);
template bool vector_gemm<double>(const Gemm&);

template <>
bool gemm<float>(const Gemm& g) {
#ifdef TGE_SPLIT
    if (is_worth_splitting(g)) return split_gemm(g);
#endif
    return vector_gemm<float>(g);
}
template <>
bool gemm<double>(const Gemm& g) { return vector_gemm<double>(g); }

// Panels lie as they are read: for each block of k one tile's after the other.
template <class T>
Strips<T>::Strips(i64 rows, i64 depth)
    : m(rows), k(depth), columns(usual * Direct<T>::W), steps(steps_of_block<T>(depth)) {}
template <class T>
i64 Strips<T>::width(i64 n) const { return n <= Direct<T>::W ? Direct<T>::W : columns; }
template <class T>
i64 Strips<T>::panels_size() const { return m * k + Direct<T>::W; }
template <class T>
void Strips<T>::pack(const T* a, i64 a_row, i64 a_col, T* panels) const {
    const i64 tiles = tiles_of(m, usual);
    for (i64 k0 = 0; k0 < k; k0 += steps)
        for (i64 t = 0, depth = least(steps, k - k0); t < tiles; ++t) {
            const i64 i0 = m * t / tiles, rows = m * (t + 1) / tiles - i0;
            TGE_ISA::pack(depth, rows, rows, a + i0 * a_row + k0 * a_col, a_row, a_col, panels);
            panels += rows * depth;
        }
}
template <class T>
void Strips<T>::multiply(const T* panels, i64 k0, const T* strip, i64 n, T* c, i64 c_row, const T* row_bias) const {
    const i64 tiles = tiles_of(m, usual), depth = least(steps, k - k0);
    const int nv = n <= Direct<T>::W ? 1 : usual;
    panels += m * k0;
    for (i64 t = 0; t < tiles; ++t) {
        const i64 i0 = m * t / tiles, rows = m * (t + 1) / tiles - i0;
        const Finish<T> finish = {k0 > 0, nullptr, row_bias && k0 + steps >= k ? row_bias + i0 : nullptr};
        tile_of<T>(rows, nv, A::panel)(depth, panels, rows, strip, nv * Direct<T>::W, c + i0 * c_row, c_row, n, finish,
                                       nullptr);
        panels += rows * depth;
    }
}
template struct Strips<float>;
template struct Strips<double>;

void fill_gemm(Table& t) {
    t.gemm[0] = gemm<float>;
    t.gemm[1] = gemm<double>;
#ifdef TGE_SPLIT
    t.linear_backward[0] = split_linear_backward;
#endif
}

}  // namespace TGE_ISA
}  // namespace tge
