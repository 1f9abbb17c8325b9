#include "isa.h"

#include <atomic>

namespace tge {

// One fill function per instruction set, from per_isa/table.cpp compiled with that set's flags.
namespace baseline {
const Table& table();
}
#ifdef TGE_HAVE_AVX2
namespace avx2 {
const Table& table();
}
#endif
#ifdef TGE_HAVE_AVX512
namespace avx512 {
const Table& table();
}
#endif

namespace {

struct Entry {
    const char* name;
    const Table& (*table)();
    bool (*runs_here)();
};

// From the slowest to the fastest.
const Entry entries[] = {
    {"baseline", baseline::table, [] { return true; }},
#ifdef TGE_HAVE_AVX2
    {"avx2", avx2::table, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
#ifdef TGE_HAVE_AVX512
    {"avx512", avx512::table,
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("fma");
     }},
#endif
};

std::atomic<const Table*> chosen{nullptr};

}  // namespace

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (const Entry& entry : entries)
        if (entry.runs_here()) names.emplace_back(entry.name);
    return names;
}

bool use_isa(const std::string& name) {
    for (const Entry& entry : entries)
        if (name == entry.name && entry.runs_here()) {
            chosen.store(&entry.table());
            return true;
        }
    return false;
}

const Table& kernels() {
    const Table* table = chosen.load(std::memory_order_relaxed);
    if (!table) {
        use_isa(available_isas().back());
        table = chosen.load();
    }
    return *table;
}

}  // namespace tge
