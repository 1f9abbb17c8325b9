#include "kernels.h"

#define TGE_TEXT_OF(x) #x
#define TGE_TEXT(x) TGE_TEXT_OF(x)

namespace tge {
#ifdef TGE_SPLIT
namespace avx512 {
const Table& table();
}
#endif
namespace TGE_ISA {

static Table filled() {
#ifdef TGE_SPLIT
    // What multiplies matrices is of this set; the rest has nothing to gain.
    Table table = avx512::table();
    table.name = TGE_TEXT(TGE_ISA);
#else
    Table table{};
    table.name = TGE_TEXT(TGE_ISA);
    fill_elementwise(table);
    fill_activations(table);
    fill_reductions(table);
    fill_softmax(table);
    fill_cross_entropy(table);
    fill_pooling(table);
    fill_norms(table);
    fill_recurrent(table);
    fill_lookup(table);
    fill_random(table);
    fill_attention(table);
    fill_optimisers(table);
#endif
    fill_gemm(table);
    fill_convolution(table);
    return table;
}

const Table& table() {
    static const Table filled_once = filled();
    return filled_once;
}

}  // namespace TGE_ISA
}  // namespace tge
