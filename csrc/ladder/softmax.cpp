// Softmax of each row of x (R, N) in steps: y = e^(x − max) / Σ e^(x − max). The library's own is
// csrc/cpu/per_isa/softmax.cpp.
#include <cmath>
#include <limits>

#include "ladder.h"

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// e^x for x ≤ 0: 2^n · 2^f with n whole and |f| ≤ ½; 2^f by a polynomial, 2^n by writing n into the exponent.
V exponential(V x) {
    x = x < -87.0f ? V{} - 87.0f : x;
    const V t = x * 1.44269504f, shifted = t + 12582912.0f;  // 1.5 · 2²³: adding it rounds to a whole number
    const V n = shifted - 12582912.0f, f = (t - n) * 0.693147181f;
    V p = V{} + 1.0f / 720;
    p = p * f + 1.0f / 120;
    p = p * f + 1.0f / 24;
    p = p * f + 1.0f / 6;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    const VI power = (__builtin_convertvector(n, VI) + 127) << 23;
    return p * reinterpret_cast<V>(power);
}

float largest(V v) {
    float result = v[0];
    for (int j = 1; j < W; ++j) result = result > v[j] ? result : v[j];
    return result;
}
float total(V v) {
    float result = v[0];
    for (int j = 1; j < W; ++j) result += v[j];
    return result;
}
V load_some(const float* p, long n, float pad) {
    V v = V{} + pad;
    for (long j = 0; j < n; ++j) v[j] = p[j];
    return v;
}
void store_some(float* p, long n, V v) {
    for (long j = 0; j < n; ++j) p[j] = v[j];
}

}  // namespace

extern "C" {

// 1. The definition, in three passes: maximum, sum, division; e^x is computed twice, by the C library.
void softmax_1_naive(long rows, long n, const float* x, float* y) {
    for (long r = 0; r < rows; ++r, x += n, y += n) {
        float top = -infinity, sum = 0;
        for (long i = 0; i < n; ++i) top = top > x[i] ? top : x[i];
        for (long i = 0; i < n; ++i) sum += std::exp(x[i] - top);
        for (long i = 0; i < n; ++i) y[i] = std::exp(x[i] - top) / sum;
    }
}

// 2. Keep: the exponentials are stored when they are first known, and multiplied by 1 / sum instead of divided.
void softmax_2_keep(long rows, long n, const float* x, float* y) {
    for (long r = 0; r < rows; ++r, x += n, y += n) {
        float top = -infinity, sum = 0;
        for (long i = 0; i < n; ++i) top = top > x[i] ? top : x[i];
        for (long i = 0; i < n; ++i) sum += y[i] = std::exp(x[i] - top);
        const float scale = 1 / sum;
        for (long i = 0; i < n; ++i) y[i] *= scale;
    }
}

// 3. Vectors: the same three passes, W numbers at a time, with an exponential of our own.
void softmax_3_vectors(long rows, long n, const float* x, float* y) {
    for (long r = 0; r < rows; ++r, x += n, y += n) {
        const long whole = n / W * W, rest = n - whole;
        V tops = load_some(x + whole, rest, -infinity), sums{};
        for (long i = 0; i < whole; i += W) tops = tops > load(x + i) ? tops : load(x + i);
        const float top = largest(tops);
        for (long i = 0; i < whole; i += W) {
            const V e = exponential(load(x + i) - top);
            store(y + i, e);
            sums += e;
        }
        float sum = total(sums);
        const V last = exponential(load_some(x + whole, rest, top) - top);
        for (long j = 0; j < rest; ++j) sum += last[j];
        const float scale = 1 / sum;
        for (long i = 0; i < whole; i += W) store(y + i, load(y + i) * scale);
        store_some(y + whole, rest, last * scale);
    }
}

// 4. Online (Milakov & Gimelshein 2018): maximum and sum in one pass; when a lane meets a larger number, what it has
// summed so far is scaled down. Saves one reading of x, for more exponentials: better only where memory is the limit.
void softmax_4_online(long rows, long n, const float* x, float* y) {
    for (long r = 0; r < rows; ++r, x += n, y += n) {
        const long whole = n / W * W, rest = n - whole;
        V tops = V{} + -3.4e38f, sums{};
        for (long i = 0; i < whole; i += W) {
            const V v = load(x + i), higher = tops > v ? tops : v;
            sums = sums * exponential(tops - higher) + exponential(v - higher);
            tops = higher;
        }
        float top = largest(tops);
        for (long j = whole; j < n; ++j) top = top > x[j] ? top : x[j];
        float sum = total(sums * exponential(tops - top));
        const V last = exponential(load_some(x + whole, rest, top) - top);
        for (long j = 0; j < rest; ++j) sum += last[j];
        const float scale = 1 / sum;
        for (long i = 0; i < whole; i += W) store(y + i, exponential(load(x + i) - top) * scale);
        store_some(y + whole, rest, last * scale);
    }
}

}  // extern "C"
