// Matrix product in the manner of BLIS (Van Zee & van de Geijn 2015): pieces of A and B are packed so that one
// micro-kernel, a small tile of C held in registers, streams through them. Packing absorbs transposes and any strides.
//
// An element of C is the sum over k in order, in blocks whose size depends on k alone, whatever the shape of the rest:
// a row of the result does not depend on the other rows, nor anything on the number of threads.
#include "../allocator.h"
#include "../threads.h"
#include "kernels.h"
#include "pack.h"

namespace tge {
namespace TGE_ISA {
namespace {

// Block sizes, by vector width.
struct Blocks {
    i64 kc;           // steps of k: kc × (rows of a tile) of A stay in the first-level cache …
    i64 nc;           // … and kc × nc of B in the second
    i64 direct_rows;  // with no more rows than this B is read where it lies: packing would not pay
    i64 direct_columns;  // with no more columns than this A is
};
#if TGE_VECTOR_BYTES == 64
constexpr int registers = 32;
constexpr Blocks blocks_of_float = {256, 1024, 56, 64}, blocks_of_double = {192, 512, 56, 32};
#elif TGE_VECTOR_BYTES == 32
constexpr int registers = 16;
constexpr Blocks blocks_of_float = {256, 1024, 24, 32}, blocks_of_double = {192, 512, 24, 16};
#else
constexpr int registers = 16;
constexpr Blocks blocks_of_float = {256, 1024, 16, 16}, blocks_of_double = {192, 512, 16, 8};
#endif
template <class T>
constexpr Blocks blocks = sizeof(T) == 4 ? blocks_of_float : blocks_of_double;

// A tile is up to `tile_rows(nv)` rows of nv = 1, 2, 4 or 8 vectors: high for many rows, wide for few. Its sums, a row of
// B and an element of A fill the registers.
constexpr int usual = 2, widest = 8;
constexpr int tile_rows(int nv) {
    return nv < usual ? tile_rows(usual) : nv + nv + 1 > registers ? 1 : (registers - 1 - nv) / nv;
}
// A's rows are read side by side from memory: more of them than a cache set has ways would displace each other.
constexpr int direct_tile_rows(int nv) { return tile_rows(nv) < 8 ? tile_rows(nv) : 8; }

// How a tile reads A: `Panel`: a[k·a_step + i], so packed, or a transposed matrix; `Rows`: a[i·a_step + k].
enum class A { panel, rows };

// R rows of C, n ≤ NV·W columns: C = Σ_k A[i, k]·b[k·b_step + j], added to C if `add`, plus bias if there is one.
template <class T, int R, int NV, A a_form>
void tile(i64 k, const T* a, i64 a_step, const T* b, i64 b_step, T* c, i64 c_row, i64 n, bool add, const T* bias) {
    using L = Direct<T>;
    using V = typename L::V;
    constexpr int W = L::W, line = 64 / sizeof(T);
    constexpr i64 ahead = 8;  // steps of B that are fetched early
    V sum[R][NV];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            sum[i][j] = V{};
            __builtin_prefetch(c + i * c_row + j * W, 1);
        }
    const T* third[(R + 2) / 3];  // every third row: the two between are reached from it, which saves registers
#pragma GCC unroll 16
    for (int i = 0; i < (R + 2) / 3; ++i) third[i] = a + 3 * i * a_step;
    const auto step = [&](i64 s) __attribute__((always_inline)) {
        V row[NV];
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            row[j] = L::load(b + j * W);
            __builtin_prefetch(b + ahead * b_step + j * W);
        }
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
            const V x = (a_form == A::panel ? a[i] : third[i / 3][(i % 3) * a_step + s]) - V{};
#pragma GCC unroll 8
            for (int j = 0; j < NV; ++j) sum[i][j] += x * row[j];
        }
        b += b_step;
    };
    if constexpr (a_form == A::panel) {
        for (i64 s = 0; s < k; ++s, a += a_step) step(0);
    } else {
        for (i64 start = 0; start < k; start += line) {
#pragma GCC unroll 16
            for (int i = 0; i < R; ++i) __builtin_prefetch(third[i / 3] + (i % 3) * a_step + start + 4 * line);
            const i64 end = least(start + line, k);
            for (i64 s = start; s < end; ++s) step(s);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j) {
            T* to = c + i * c_row + j * W;
            V v = sum[i][j];
            if (n >= (j + 1) * W) {
                if (add) v = L::load(to) + v;
                if (bias) v += L::load(bias + j * W);
                L::store(to, v);
            } else if (n > j * W) {
                const i64 m = n - j * W;
                if (add) v = load_part<L>(to, m, T(0)) + v;
                if (bias) v += load_part<L>(bias + j * W, m, T(0));
                store_part<L>(to, m, v);
            }
        }
}

template <class T>
using Tile = void (*)(i64, const T*, i64, const T*, i64, T*, i64, i64, bool, const T*);

template <class T, int R, int NV, A a_form>
Tile<T> tile_of(i64 rows) {
    if constexpr (R > 1)
        if (rows < R) return tile_of<T, R - 1, NV, a_form>(rows);
    return tile<T, R, NV, a_form>;
}
template <class T, int NV>
Tile<T> tile_of(i64 rows, A a_form) {
    return a_form == A::rows ? tile_of<T, direct_tile_rows(NV), NV, A::rows>(rows)
                             : tile_of<T, tile_rows(NV), NV, A::panel>(rows);
}
// The kernel for exactly `rows` rows and nv vectors of columns.
template <class T>
Tile<T> tile_of(i64 rows, int nv, A a_form) {
    return nv == 1   ? tile_of<T, 1>(rows, a_form)
           : nv == 2 ? tile_of<T, 2>(rows, a_form)
           : nv == 4 ? tile_of<T, 4>(rows, a_form)
                     : tile_of<T, 8>(rows, a_form);
}

// One product: how it is cut, and the block of it that is being computed.
template <class T>
struct Product {
    static constexpr int W = Direct<T>::W;
    static constexpr Blocks size = blocks<T>;
    const Gemm& g;
    i64 kc, nc;
    A a_form = A::panel;
    bool direct_a, direct_b;   // read where it lies; for B: whole vectors of columns only
    int nv;                    // vectors of a strip: nr = nv·W columns of B
    i64 nr, tiles;             // tiles below each other, of nearly equal height
    T* packed_b = nullptr;     // the strips of the current block, one behind the other
    i64 j0 = 0, width = 0;     // columns [j0, j0 + width)
    i64 k0 = 0, depth = 0;     // steps [k0, k0 + depth)
    i64 group = 0, groups = 0; // strips in one piece, and pieces beside each other

    explicit Product(const Gemm& gemm) : g(gemm) {
        const i64 k_blocks = (g.k + size.kc - 1) / size.kc;
        kc = least(round_up((g.k + k_blocks - 1) / k_blocks, W), g.k);  // nearly equal blocks
        direct_b = g.b_col == 1 && g.m <= size.direct_rows;
        // One row is a panel whatever its stride.
        direct_a = g.m == 1 || ((g.a_row == 1 || g.a_col == 1) && g.n <= size.direct_columns);
        if (direct_a && g.m > 1 && g.a_row != 1) a_form = A::rows;
        const i64 vectors = (g.n + W - 1) / W;
        nv = usual;
        while (nv < widest && g.m <= tile_rows(2 * nv)) nv *= 2;
        while (nv > 1 && vectors <= nv / 2) nv /= 2;
        nr = nv * W;
        const i64 n_blocks = (g.n + size.nc - 1) / size.nc;
        nc = round_up((g.n + n_blocks - 1) / n_blocks, nr);
        const i64 mr = a_form == A::rows ? direct_tile_rows(nv) : tile_rows(nv);
        tiles = (g.m + mr - 1) / mr;
    }

    const T* a() const { return static_cast<const T*>(g.a); }
    const T* b() const { return static_cast<const T*>(g.b); }
    i64 first_row(i64 t) const { return g.m * t / tiles; }

    // Vectors of a strip of `count` columns: a power of two.
    int vectors_of(i64 count) const {
        int v = nv;
        while (v > 1 && count <= v / 2 * W) v /= 2;
        return v;
    }
    bool is_direct(i64 count) const { return direct_b && count == vectors_of(count) * W; }

    void pack_strips(i64 begin, i64 end) const {
        for (i64 s = begin; s < end; ++s) {
            const i64 j = s * nr, count = least(nr, width - j);
            if (!is_direct(count))
                pack(depth, count, vectors_of(count) * W, b() + k0 * g.b_row + (j0 + j) * g.b_col, g.b_col, g.b_row,
                     packed_b + (direct_b ? 0 : j * depth));
        }
    }

    // One tile's height of rows times one group of strips.
    void multiply(i64 piece) const {
        const i64 t = piece / groups, i0 = first_row(t), rows = first_row(t + 1) - i0;
        const i64 begin = piece % groups * group * nr, end = least(begin + group * nr, width);
        const T* panel = a() + i0 * g.a_row + k0 * g.a_col;
        i64 a_step = a_form == A::rows ? g.a_row : g.a_col;
        alignas(64) T packed_a[tile_rows(usual) * size.kc + W];
        if (!direct_a) {
            pack(depth, rows, rows, panel, g.a_row, g.a_col, packed_a);
            panel = packed_a;
            a_step = rows;
        }
        const bool add = k0 > 0 || g.accumulate, ends = k0 + depth == g.k;
        T* c = static_cast<T*>(g.c) + i0 * g.c_row + j0;
        const T* bias = ends && g.bias ? static_cast<const T*>(g.bias) + j0 : nullptr;
        const Tile<T> full = tile_of<T>(rows, nv, a_form);
        for (i64 j = begin; j < end; j += nr) {
            const i64 columns = least(nr, width - j);
            const int v = vectors_of(columns);
            const bool direct = is_direct(columns);
            const T* strip = direct ? b() + k0 * g.b_row + j0 + j : packed_b + (direct_b ? 0 : j * depth);
            (v == nv ? full : tile_of<T>(rows, v, a_form))(depth, panel, a_step, strip, direct ? g.b_row : v * W, c + j,
                                                           g.c_row, columns, add, bias ? bias + j : nullptr);
        }
    }
};

template <class T>
void no_steps(const Gemm& g) {
    for (i64 i = 0; i < g.m; ++i)
        for (i64 j = 0; j < g.n; ++j) {
            T& c = static_cast<T*>(g.c)[i * g.c_row + j];
            c = (g.accumulate ? c : T(0)) + (g.bias ? static_cast<const T*>(g.bias)[j] : T(0));
        }
}

template <class T>
bool gemm(const Gemm& g) {
    if (g.m <= 0 || g.n <= 0) return true;
    if (g.k <= 0) return no_steps<T>(g), true;
    Product<T> p(g);
    const i64 b_size = (p.direct_b ? p.nr : p.nc) * p.kc + p.W;
    alignas(64) T small_b[16384 / sizeof(T)];
    const bool is_small = b_size <= static_cast<i64>(sizeof small_b / sizeof(T));
    const Scratch b_memory(is_small ? 0 : static_cast<unsigned long>(b_size) * sizeof(T));
    if (!b_memory) return false;
    p.packed_b = is_small ? small_b : reinterpret_cast<T*>(b_memory.data());
    const bool shared = g.m * g.n >= 1024 && g.m * g.n * g.k >= (i64{1} << 20);
    for (p.j0 = 0; p.j0 < g.n; p.j0 += p.nc) {
        p.width = least(p.nc, g.n - p.j0);
        const i64 strips = (p.width + p.nr - 1) / p.nr;
        // About eight pieces or more, each at least four strips wide: a matter of the shape, not of the threads.
        p.groups = p.tiles >= 8 || !shared ? 1 : least((strips + 3) / 4, (8 + p.tiles - 1) / p.tiles);
        p.group = (strips + p.groups - 1) / p.groups;
        p.groups = (strips + p.group - 1) / p.group;
        for (p.k0 = 0; p.k0 < g.k; p.k0 += p.kc) {
            p.depth = least(p.kc, g.k - p.k0);
            const auto pack_piece = [](void* context, i64 begin, i64 end, int) {
                static_cast<Product<T>*>(context)->pack_strips(begin, end);
            };
            const auto multiply_piece = [](void* context, i64 begin, i64 end, int) {
                for (i64 piece = begin; piece < end; ++piece) static_cast<Product<T>*>(context)->multiply(piece);
            };
            if (shared) {
                if (p.direct_b) p.pack_strips(0, strips);
                else parallel_for(strips, 16, pack_piece, &p);
                parallel_for(p.tiles * p.groups, 1, multiply_piece, &p);
            } else {
                p.pack_strips(0, strips);
                multiply_piece(&p, 0, p.tiles * p.groups, 0);
            }
        }
    }
    return true;
}

}  // namespace

void fill_gemm(Table& t) {
    t.gemm[0] = gemm<float>;
    t.gemm[1] = gemm<double>;
}

}  // namespace TGE_ISA
}  // namespace tge
