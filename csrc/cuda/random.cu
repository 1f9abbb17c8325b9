// Random numbers: Philox 4×32-10 (Salmon et al. 2011), the same streams as on the CPU. Uniform
// numbers have the same bits everywhere: sum and product are rounded each, never fused.

struct Words {
    u32 w[4];
};
// Block `index` of a stream: counter (index, stream, 0), key = seed.
__device__ inline Words philox(u64 index, u32 stream, u64 seed) {
    u32 c0 = (u32)index, c1 = (u32)(index >> 32), c2 = stream, c3 = 0, k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
        c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
        c1 = (u32)p1;
        c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
        c3 = (u32)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}
__device__ inline f64 unit(u32 word) { return (f64)(word >> 8) * 0x1p-24; }  // in [0, 1)

// Each thread fills the four entries that one block of words is for.
#define FOURS(i, count) FOR_EACH(i, ((count) + 3) / 4)
#define EACH_OF_FOUR(j, i, count) for (int j = 0; j < 4 && 4 * (i) + j < (count); ++j)

extern "C" __global__ void philox_u32(u32* y, i64 count, u64 seed, u32 stream, u64 offset) {
    FOURS(i, count) {
        const Words words = philox(offset + i, stream, seed);
        EACH_OF_FOUR(j, i, count) y[4 * i + j] = words.w[j];
    }
}
#define RANDOM(T)                                                                                                  \
    extern "C" __global__ void uniform_##T(T* y, i64 count, u64 seed, u32 stream, u64 offset, f64 low, f64 range) { \
        FOURS(i, count) {                                                                                          \
            const Words words = philox(offset + i, stream, seed);                                                  \
            EACH_OF_FOUR(j, i, count) y[4 * i + j] = (T)__dadd_rn(low, __dmul_rn(range, unit(words.w[j])));                          \
        }                                                                                                          \
    }                                                                                                              \
    extern "C" __global__ void normal_##T(T* y, i64 count, u64 seed, u32 stream, u64 offset, f64 mean, f64 std) {  \
        FOURS(i, count) {                                                                                          \
            const Words words = philox(offset + i, stream, seed);                                                  \
            EACH_OF_FOUR(j, i, count) {                                                                            \
                const f64 radius = sqrt(-2 * log(((f64)words.w[j & 2] + 1) * 0x1p-32));                            \
                const f64 angle = 6.283185307179586476925 * ((f64)words.w[j | 1] * 0x1p-32);                       \
                y[4 * i + j] = (T)(mean + std * (radius * (j & 1 ? sin(angle) : cos(angle))));                     \
            }                                                                                                      \
        }                                                                                                          \
    }                                                                                                              \
    extern "C" __global__ void dropout_##T(T* y, const T* x, i64 count, u64 seed, u32 stream, u64 offset, f64 p) { \
        const T scale = (T)(p < 1 ? 1 / (1 - p) : 0.0);                                                            \
        FOURS(i, count) {                                                                                          \
            const Words words = philox(offset + i, stream, seed);                                                  \
            EACH_OF_FOUR(j, i, count) y[4 * i + j] = unit(words.w[j]) >= p ? x[4 * i + j] * scale : T(0);          \
        }                                                                                                          \
    }
RANDOM(f32)
RANDOM(f64)
