#include "kernels.h"

#define TGE_TEXT_OF(x) #x
#define TGE_TEXT(x) TGE_TEXT_OF(x)

namespace tge {
namespace TGE_ISA {

static Table filled() {
    Table table{};
    table.name = TGE_TEXT(TGE_ISA);
    fill_elementwise(table);
    fill_activations(table);
    fill_reductions(table);
    fill_softmax(table);
    fill_cross_entropy(table);
    fill_gemm(table);
    fill_convolution(table);
    fill_pooling(table);
    fill_norms(table);
    fill_attention(table);
    fill_recurrent(table);
    fill_lookup(table);
    fill_random(table);
    fill_optimisers(table);
    return table;
}

const Table& table() {
    static const Table filled_once = filled();
    return filled_once;
}

}  // namespace TGE_ISA
}  // namespace tge
