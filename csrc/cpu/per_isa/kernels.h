// The files of this folder, each filling its part of the table.
#pragma once
#include "../table.h"
#include "vec.h"

namespace tge {
namespace TGE_ISA {
void fill_elementwise(Table&);
void fill_activations(Table&);
void fill_reductions(Table&);
void fill_softmax(Table&);
void fill_cross_entropy(Table&);
void fill_gemm(Table&);
void fill_convolution(Table&);
void fill_pooling(Table&);
void fill_norms(Table&);
void fill_attention(Table&);
void fill_recurrent(Table&);
void fill_lookup(Table&);
void fill_random(Table&);
void fill_optimisers(Table&);

// The matrix product, for kernels that are made of such; false: no memory.
template <class T>
bool gemm(const Gemm&);
template <>
bool gemm<float>(const Gemm&);
template <>
bool gemm<double>(const Gemm&);
// The same on the vector units, also where there is a matrix unit.
template <class T>
bool vector_gemm(const Gemm&);
extern template bool vector_gemm<float>(const Gemm&);
extern template bool vector_gemm<double>(const Gemm&);

// activated[i, j …] = activation(C[i, j …]) for n elements of each of the rows [begin, end).
template <class T>
void activate(const Gemm& g, i64 begin, i64 end, i64 j, i64 n) {
    const i64 steps[] = {sizeof(T), sizeof(T)};
    const i64 at_once = n == g.c_row && n == g.activated_row ? end - begin : 1;
    for (i64 i = begin; i < end; i += at_once) {
        char* const p[] = {reinterpret_cast<char*>(static_cast<T*>(g.activated) + i * g.activated_row + j),
                           reinterpret_cast<char*>(static_cast<T*>(g.c) + i * g.c_row + j)};
        g.activation(n * at_once, p, steps, g.parameters);
    }
}

#ifdef TGE_SPLIT
// float32 on a unit that multiplies bfloat16 (split_gemm.cpp).
bool split_gemm(const Gemm&);
bool split_linear_backward(const LinearBackward&);

// Splitting takes time for each number of A and B, which many multiplications must save. Of the number of rows only whether
// there are many counts, so that a row among many has the same result whatever the others are.
constexpr std::int64_t many_rows = 64, worth_splitting = 8192;
inline bool is_worth_splitting(const Gemm& g) {
    return g.m >= many_rows && g.n >= 32 && g.k >= 32 && g.n * g.k >= worth_splitting;
}
#endif

// The same for an A that serves many times, packed once, and a B that is laid out while it is needed: a strip of
// `columns` columns at a time, `steps` steps of k, each step's row `width(n)` long for n columns.
template <class T>
struct Strips {
    std::int64_t m, k, columns, steps;
    Strips(std::int64_t rows, std::int64_t depth);
    std::int64_t width(std::int64_t n) const;
    std::int64_t panels_size() const;
    void pack(const T* a, std::int64_t a_row, std::int64_t a_col, T* panels) const;
    // Adds steps [k0, k0 + steps) to n columns of C, or sets these for k0 = 0; row_bias comes with the last ones.
    void multiply(const T* panels, std::int64_t k0, const T* strip, std::int64_t n, T* c, std::int64_t c_row,
                  const T* row_bias) const;
};
extern template struct Strips<float>;
extern template struct Strips<double>;
}  // namespace TGE_ISA
}  // namespace tge
