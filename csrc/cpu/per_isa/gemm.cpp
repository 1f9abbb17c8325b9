// Matrix product in the manner of BLIS (Van Zee & van de Geijn 2015): panels of A and B are packed so that one
// micro-kernel, a small tile of C held in registers, streams through them. Packing absorbs transposes and any strides.
//
// An element of C is the sum over k in order, in blocks of `kc`, whatever the shape of the rest: a row of the result
// does not depend on the other rows, nor anything on the number of threads.
#include "../allocator.h"
#include "../threads.h"
#include "kernels.h"

namespace tge {
namespace TGE_ISA {
namespace {

// Block sizes, by vector width: a tile of `mr` rows times `nv` vectors in registers; kc × nr of B in the first-level
// cache, mc × kc of A in the second, kc × nc of B beyond.
struct Blocks {
    i64 mc, kc, nc;
};
#if TGE_VECTOR_BYTES == 64
constexpr int mr = 12, nv = 2;
constexpr Blocks blocks_of_float = {240, 384, 3072}, blocks_of_double = {120, 384, 1536};
#elif TGE_VECTOR_BYTES == 32
constexpr int mr = 6, nv = 2;
constexpr Blocks blocks_of_float = {144, 256, 3072}, blocks_of_double = {72, 256, 1536};
#else
constexpr int mr = 4, nv = 2;
constexpr Blocks blocks_of_float = {128, 256, 2048}, blocks_of_double = {64, 256, 1024};
#endif
template <class T>
constexpr Blocks blocks = sizeof(T) == 4 ? blocks_of_float : blocks_of_double;

TGE_INLINE i64 least(i64 a, i64 b) { return a < b ? a : b; }
TGE_INLINE i64 round_up(i64 a, i64 b) { return (a + b - 1) / b * b; }

// R rows of C, n ≤ NV·W columns: C = Σ_k a[k·mr + i]·b[k·b_step + j], added to C unless `fresh`, plus bias if there is one.
template <class T, int R, int NV>
void tile(i64 k, const T* a, const T* b, i64 b_step, T* c, i64 c_row, i64 n, bool fresh, const T* bias) {
    using L = Direct<T>;
    using V = typename L::V;
    constexpr int W = L::W;
    V sum[R][NV];
#pragma GCC unroll 12
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) sum[i][j] = V{};
    for (i64 step = 0; step < k; ++step) {
        V row[NV];
        for (int j = 0; j < NV; ++j) row[j] = L::load(b + j * W);
#pragma GCC unroll 12
        for (int i = 0; i < R; ++i) {
            const V x = a[i] - V{};
            for (int j = 0; j < NV; ++j) sum[i][j] += x * row[j];
        }
        a += mr;
        b += b_step;
    }
    if (n == NV * W) {
#pragma GCC unroll 12
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < NV; ++j) {
                T* to = c + i * c_row + j * W;
                V v = fresh ? sum[i][j] : L::load(to) + sum[i][j];
                if (bias) v += L::load(bias + j * W);
                L::store(to, v);
            }
        return;
    }
#pragma GCC unroll 12
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) {
            T* to = c + i * c_row + j * W;
            const i64 m = least(n - j * W, W);
            if (m <= 0) continue;
            V v = fresh ? sum[i][j] : load_part<L>(to, m, T(0)) + sum[i][j];
            if (bias) v += load_part<L>(bias + j * W, m, T(0));
            store_part<L>(to, m, v);
        }
}

template <class T>
using Tile = void (*)(i64, const T*, const T*, i64, T*, i64, i64, bool, const T*);

// The kernel for exactly `rows` rows of a packed panel, and one vector of columns where that is enough.
template <class T, int NV>
Tile<T> tile_for_rows(i64 rows) {
    static const Tile<T> tiles[] = {
        tile<T, 1, NV>, tile<T, 2, NV>, tile<T, 3, NV>, tile<T, 4, NV>,
#if TGE_VECTOR_BYTES >= 32
        tile<T, 5, NV>, tile<T, 6, NV>,
#endif
#if TGE_VECTOR_BYTES >= 64
        tile<T, 7, NV>, tile<T, 8, NV>, tile<T, 9, NV>, tile<T, 10, NV>, tile<T, 11, NV>, tile<T, 12, NV>,
#endif
    };
    return tiles[rows - 1];
}
template <class T>
Tile<T> tile_for(i64 rows, i64 columns) {
    return columns <= Direct<T>::W ? tile_for_rows<T, 1>(rows) : tile_for_rows<T, nv>(rows);
}

// Transposes blocks of 4 × 4 floats: to[d·width + w] = from[w·across + d] for 4 values of w and `depth` of d, a multiple
// of 4 of which are done.
typedef float Quad __attribute__((vector_size(16)));
typedef float QuadUnaligned __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t QuadIndex __attribute__((vector_size(16)));
TGE_INLINE i64 pack_quads(i64 depth, i64 width, const float* from, i64 across, float* to) {
    const QuadIndex low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5}, second = {2, 3, 6, 7};
    i64 d = 0;
    for (; d + 4 <= depth; d += 4) {
        Quad r[4];
        for (int i = 0; i < 4; ++i) r[i] = *reinterpret_cast<const QuadUnaligned*>(from + i * across + d);
        const Quad a = __builtin_shuffle(r[0], r[1], low), b = __builtin_shuffle(r[2], r[3], low);
        const Quad c = __builtin_shuffle(r[0], r[1], high), e = __builtin_shuffle(r[2], r[3], high);
        const Quad columns[] = {__builtin_shuffle(a, b, first), __builtin_shuffle(a, b, second),
                                __builtin_shuffle(c, e, first), __builtin_shuffle(c, e, second)};
        for (int i = 0; i < 4; ++i) *reinterpret_cast<QuadUnaligned*>(to + (d + i) * width) = columns[i];
    }
    return d;
}
TGE_INLINE i64 pack_quads(i64, i64, const double*, i64, double*) { return 0; }

// `wide` vectors of `depth`, each vector's elements side by side: to[d·width + w] = from[w·across + d·along], padded
// with zeros from w = count on.
template <class T>
void pack(i64 depth, i64 count, i64 width, const T* from, i64 across, i64 along, T* to) {
    if (count == width && across == 1) {
        for (i64 d = 0; d < depth; ++d)
            __builtin_memcpy(to + d * width, from + d * along, static_cast<unsigned long>(width) * sizeof(T));
        return;
    }
    // Blocks of 16 × 16 when reading along `depth`: a cache line is read once, not once per element.
    for (i64 d0 = 0; d0 < depth; d0 += 16) {
        const i64 d1 = least(d0 + 16, depth);
        i64 w = 0;
        if (along == 1)
            for (; w + 4 <= count; w += 4) {
                const T* source = from + w * across + d0;
                const i64 done = pack_quads(d1 - d0, width, source, across, to + d0 * width + w);
                for (i64 i = 0; i < 4; ++i)
                    for (i64 d = done; d < d1 - d0; ++d) to[(d0 + d) * width + w + i] = source[i * across + d];
            }
        for (; w < count; ++w) {
            const T* source = from + w * across;
            T* target = to + w;
            for (i64 d = d0; d < d1; ++d) target[d * width] = source[d * along];
        }
        for (w = count; w < width; ++w)
            for (i64 d = d0; d < d1; ++d) to[d * width + w] = 0;
    }
}

// What the pieces of one product share, for the current block of B.
template <class T>
struct Product {
    static constexpr i64 nr = Direct<T>::W * nv;
    const Gemm* g;
    T* packed_b;       // strips of nr columns
    T* packed_a;       // one block of A for each worker
    i64 a_block;       // its elements
    i64 j0, width;     // columns [j0, j0 + width)
    i64 k0, depth;     // steps [k0, k0 + depth)
    i64 mc;            // rows of a block of A
    i64 group, groups; // strips of B in one piece, and pieces beside each other
    bool direct_b;     // B is read where it lies, except for the last, partial strip

    const T* a() const { return static_cast<const T*>(g->a); }
    const T* b() const { return static_cast<const T*>(g->b); }

    void pack_strips(i64 begin, i64 end) const {
        for (i64 s = begin; s < end; ++s) {
            const i64 j = s * nr, count = least(nr, width - j);
            if (direct_b && count == nr) continue;
            pack(depth, count, nr, b() + k0 * g->b_row + (j0 + j) * g->b_col, g->b_col, g->b_row,
                 packed_b + (direct_b ? 0 : s * nr * depth));
        }
    }

    void multiply(i64 piece, int worker) const {
        const i64 i0 = piece / groups * mc, rows = least(mc, g->m - i0);
        const i64 first = piece % groups * group * nr, last = least(first + group * nr, width);
        T* block = packed_a + worker * a_block;
        for (i64 i = 0; i < rows; i += mr)
            pack(depth, least(mr, rows - i), mr, a() + (i0 + i) * g->a_row + k0 * g->a_col, g->a_row, g->a_col,
                 block + i * depth);
        const bool fresh = k0 == 0, ends = k0 + depth == g->k;
        T* c = static_cast<T*>(g->c) + i0 * g->c_row + j0;
        const T* bias = ends && g->bias ? static_cast<const T*>(g->bias) + j0 : nullptr;
        for (i64 j = first; j < last; j += nr) {
            const i64 columns = least(nr, width - j);
            const bool direct = direct_b && columns == nr;
            const T* strip = direct ? b() + k0 * g->b_row + j0 + j : packed_b + (direct_b ? 0 : j * depth);
            for (i64 i = 0; i < rows; i += mr)
                tile_for<T>(least(mr, rows - i), columns)(depth, block + i * depth, strip, direct ? g->b_row : nr,
                                                 c + i * g->c_row + j, g->c_row, columns, fresh,
                                                 bias ? bias + j : nullptr);
        }
    }
};

template <class T>
bool gemm(const Gemm& g) {
    constexpr i64 nr = Product<T>::nr;
    constexpr Blocks size = blocks<T>;
    if (g.m <= 0 || g.n <= 0) return true;
    if (g.k <= 0) {
        for (i64 i = 0; i < g.m; ++i)
            for (i64 j = 0; j < g.n; ++j)
                static_cast<T*>(g.c)[i * g.c_row + j] = g.bias ? static_cast<const T*>(g.bias)[j] : T(0);
        return true;
    }
    const i64 kc = least(size.kc, g.k), nc = least(size.nc, round_up(g.n, nr));
    Product<T> p{};
    p.g = &g;
    p.mc = least(size.mc, round_up(g.m, mr));
    p.direct_b = g.b_col == 1 && g.m <= 4 * mr;  // too few rows to pay for packing
    const bool shared = g.m * g.n >= 1024 && g.m * g.n * g.k >= (i64{1} << 20);
    const int workers = shared ? num_threads() : 1;
    p.a_block = p.mc * kc;
    const Scratch b_memory(static_cast<unsigned long>((p.direct_b ? nr : nc) * kc) * sizeof(T));
    const Scratch a_memory(static_cast<unsigned long>(p.a_block * workers) * sizeof(T));
    if (!b_memory || !a_memory) return false;
    p.packed_b = reinterpret_cast<T*>(b_memory.data());
    p.packed_a = reinterpret_cast<T*>(a_memory.data());
    for (p.j0 = 0; p.j0 < g.n; p.j0 += nc) {
        p.width = least(nc, g.n - p.j0);
        const i64 strips = (p.width + nr - 1) / nr, row_blocks = (g.m + p.mc - 1) / p.mc;
        // About eight pieces or more, each at least four strips wide: a matter of the shape, not of the threads.
        p.groups = row_blocks >= 8 || !shared ? 1 : least((strips + 3) / 4, (8 + row_blocks - 1) / row_blocks);
        p.group = (strips + p.groups - 1) / p.groups;
        p.groups = (strips + p.group - 1) / p.group;
        for (p.k0 = 0; p.k0 < g.k; p.k0 += kc) {
            p.depth = least(kc, g.k - p.k0);
            const auto pack_piece = [](void* context, i64 begin, i64 end, int) {
                static_cast<Product<T>*>(context)->pack_strips(begin, end);
            };
            const auto multiply_piece = [](void* context, i64 begin, i64 end, int worker) {
                for (i64 piece = begin; piece < end; ++piece)
                    static_cast<Product<T>*>(context)->multiply(piece, worker);
            };
            if (shared) {
                if (p.direct_b) p.pack_strips(0, strips);
                else parallel_for(strips, 16, pack_piece, &p);
                parallel_for(row_blocks * p.groups, 1, multiply_piece, &p, workers);
            } else {
                p.pack_strips(0, strips);
                multiply_piece(&p, 0, row_blocks * p.groups, 0);
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
