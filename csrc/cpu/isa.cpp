#include "isa.h"

#include <atomic>

#ifdef TGE_HAVE_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

#ifdef TGE_HAVE_AMX
namespace amx {
const Table& table();
}
#endif

namespace {

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

#ifdef TGE_HAVE_AMX
// The unit's registers are 8 KB that the system saves for each thread which has used them: a process asks for them once.
bool has_amx() {
    constexpr unsigned bfloat16 = 1u << 22, tiles = 1u << 24;  // of leaf 7's EDX
    constexpr long request = 0x1023, tile_data = 18;           // ARCH_REQ_XCOMP_PERM and the state's number
    unsigned a, b, c, d;
    if (!has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & bfloat16) || !(d & tiles)) return false;
    static const bool granted = syscall(SYS_arch_prctl, request, tile_data) == 0;
    return granted;
}
#endif

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
    {"avx512", avx512::table, has_avx512},
#endif
#ifdef TGE_HAVE_AMX
    {"amx", amx::table, has_amx},
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
