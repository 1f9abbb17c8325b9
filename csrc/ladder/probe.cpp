// The machine's own limits: how fast a core multiplies and adds when nothing else is in its way, and how fast it copies.
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "ladder.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

// Twenty-four independent chains of fused multiply-adds in registers: enough to hide the latency of each.
double fma_chains(long rounds) {
    constexpr int chains = 24;
    V sum[chains];
    for (int i = 0; i < chains; ++i) sum[i] = V{} + 1.0f + static_cast<float>(i);
    V factor = V{} + 0.999f, term = V{} + 0.001f;
    asm volatile("" : "+m"(factor), "+m"(term));
    for (long r = 0; r < rounds; ++r)
#pragma GCC unroll 24
        for (int i = 0; i < chains; ++i) sum[i] = sum[i] * factor + term;
    V total{};
    for (int i = 0; i < chains; ++i) total += sum[i];
    float result = 0;
    for (int j = 0; j < W; ++j) result += total[j];
    volatile float keep = result;
    (void)keep;
    return 2.0 * chains * W * static_cast<double>(rounds);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class Work>
void on_threads(int threads, const Work& work) {
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
    work(0);
    for (std::thread& other : others) other.join();
}

}  // namespace

// Floating-point operations per second of `threads` cores.
extern "C" double probe_fma(int threads) {
    constexpr long rounds = 4'000'000;
    const auto start = std::chrono::steady_clock::now();
    double done = 0;
    on_threads(threads, [&](int t) {
        const double mine = fma_chains(rounds);
        if (t == 0) done = mine;
    });
    return threads * done / seconds_since(start);
}

// Of float32 on the matrix unit, six products of bfloat16 for each: four independent chains. 0 where there is no unit.
extern "C" double probe_unit(int threads) {
#if defined(__AMX_BF16__) && defined(__linux__)
    constexpr long rounds = 1'000'000, request = 0x1023, tile_data = 18;  // of arch_prctl
    if (syscall(SYS_arch_prctl, request, tile_data) != 0) return 0;
    const auto start = std::chrono::steady_clock::now();
    on_threads(threads, [](int) {
        struct alignas(64) {
            unsigned char palette = 1, start = 0, reserved[14] = {};
            unsigned short row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            unsigned char rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } const shape;
        asm volatile("ldtilecfg %0" ::"m"(shape));
        for (long r = 0; r < rounds; ++r)
            asm volatile("tdpbf16ps %tmm6, %tmm4, %tmm0\n\ttdpbf16ps %tmm7, %tmm4, %tmm1\n\t"
                         "tdpbf16ps %tmm6, %tmm5, %tmm2\n\ttdpbf16ps %tmm7, %tmm5, %tmm3");
        asm volatile("tilerelease");
    });
    return threads * 4.0 * (2 * 16 * 16 * 32) * static_cast<double>(rounds) / 6 / seconds_since(start);
#else
    return static_cast<void>(threads), 0.0;
#endif
}

// Bytes per second, read and written both counted, of copying `bytes` per thread `times` times between warm pages.
extern "C" double probe_copy(int threads, long bytes, int times) {
    const auto n = static_cast<unsigned long>(bytes);
    std::vector<std::vector<char>> from(static_cast<unsigned long>(threads), std::vector<char>(n, 1)), to = from;
    const auto start = std::chrono::steady_clock::now();
    on_threads(threads, [&](int t) {
        const auto i = static_cast<unsigned long>(t);
        for (int r = 0; r < times; ++r) {
            std::memcpy(to[i].data(), from[i].data(), n);
            asm volatile("" : : "r"(to[i].data()) : "memory");
        }
    });
    return 2.0 * threads * static_cast<double>(bytes) * times / seconds_since(start);
}
