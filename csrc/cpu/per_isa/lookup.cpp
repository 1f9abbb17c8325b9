// Rows added to rows of a table.
#include "kernels.h"
#include "vec.h"

namespace tge {
namespace TGE_ISA {
namespace {

template <class T>
void add_rows(const RowSums& s, i64 begin, i64 end) {
    using L = Direct<T>;
    constexpr i64 ahead = 4;  // rows of the table that are fetched before they are needed
    const T* g = static_cast<const T*>(s.g);
    T* const out = static_cast<T*>(s.out);
    for (i64 i = 0; i < s.n; ++i, g += s.columns) {
        if (i + ahead < s.n) __builtin_prefetch(out + s.index[i + ahead] * s.columns + begin, 1);
        if (s.index[i] == s.skipped) continue;
        T* const to = out + s.index[i] * s.columns;
        i64 c = begin;
        for (; c + L::W <= end; c += L::W) L::store(to + c, L::load(to + c) + L::load(g + c));
        if (c < end) store_part<L>(to + c, end - c, load_part<L>(to + c, end - c, 0) + load_part<L>(g + c, end - c, 0));
    }
}

}  // namespace

void fill_lookup(Table& t) {
    t.add_rows[0] = add_rows<float>;
    t.add_rows[1] = add_rows<double>;
}

}  // namespace TGE_ISA
}  // namespace tge
