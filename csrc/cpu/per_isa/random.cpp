// Philox 4×32-10 (Salmon et al. 2011) and what is drawn from it. Compiled without contraction to fused
// multiply–add: uniform numbers have the same bits on every machine.
#include "kernels.h"

namespace tge {
namespace TGE_ISA {
namespace {

void philox(i64 blocks, uint64_t seed, uint32_t stream, uint64_t first, uint32_t* words) {
    constexpr int lanes = 16;  // blocks side by side: the inner loops become vectors
    for (i64 done = 0; done < blocks; done += lanes) {
        uint32_t c0[lanes], c1[lanes], c2[lanes], c3[lanes];
        for (int i = 0; i < lanes; ++i) {
            const uint64_t block = first + static_cast<uint64_t>(done + i);
            c0[i] = static_cast<uint32_t>(block);
            c1[i] = static_cast<uint32_t>(block >> 32);
            c2[i] = stream;
            c3[i] = 0;
        }
        uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
        for (int round = 0; round < 10; ++round) {
            for (int i = 0; i < lanes; ++i) {
                const uint64_t p0 = uint64_t{0xD2511F53} * c0[i], p1 = uint64_t{0xCD9E8D57} * c2[i];
                c0[i] = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
                c1[i] = static_cast<uint32_t>(p1);
                c2[i] = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
                c3[i] = static_cast<uint32_t>(p0);
            }
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        const i64 m = blocks - done < lanes ? blocks - done : lanes;
        for (i64 i = 0; i < m; ++i) {
            uint32_t* w = words + 4 * (done + i);
            w[0] = c0[i], w[1] = c1[i], w[2] = c2[i], w[3] = c3[i];
        }
    }
}

TGE_INLINE double unit(uint32_t word) { return static_cast<double>(word >> 8) * 0x1p-24; }

template <class T>
void uniform(i64 n, const uint32_t* words, double low, double span, void* out) {
    for (i64 i = 0; i < n; ++i) static_cast<T*>(out)[i] = static_cast<T>(low + span * unit(words[i]));
}

// Box–Muller: two words make two numbers; n may be odd, words come in pairs.
template <class T>
void normal(i64 n, const uint32_t* words, double mean, double std, void* out) {
    for (i64 i = 0; i < n; i += 2) {
        const double radius = __builtin_sqrt(-2 * __builtin_log((static_cast<double>(words[i]) + 1) * 0x1p-32));
        const double angle = 6.283185307179586 * (static_cast<double>(words[i + 1]) * 0x1p-32);
        static_cast<T*>(out)[i] = static_cast<T>(mean + std * (radius * __builtin_cos(angle)));
        if (i + 1 < n) static_cast<T*>(out)[i + 1] = static_cast<T>(mean + std * (radius * __builtin_sin(angle)));
    }
}

template <class T>
void dropout(i64 n, const uint32_t* words, double p, const void* input, void* out) {
    const T scale = static_cast<T>(p < 1 ? 1 / (1 - p) : 0);
    const T* x = static_cast<const T*>(input);
    for (i64 i = 0; i < n; ++i) {
        const T kept = x[i] * scale;
        static_cast<T*>(out)[i] = unit(words[i]) >= p ? kept : T(0);
    }
}

}  // namespace

void fill_random(Table& t) {
    t.philox = philox;
    t.uniform[0] = uniform<float>;
    t.uniform[1] = uniform<double>;
    t.normal[0] = normal<float>;
    t.normal[1] = normal<double>;
    t.dropout[0] = dropout<float>;
    t.dropout[1] = dropout<double>;
}

}  // namespace TGE_ISA
}  // namespace tge
