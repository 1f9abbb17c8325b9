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
extern template bool gemm<float>(const Gemm&);
extern template bool gemm<double>(const Gemm&);
}  // namespace TGE_ISA
}  // namespace tge
