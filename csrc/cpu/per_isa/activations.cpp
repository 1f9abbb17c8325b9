// Activation functions and their derivatives. Smooth ones are computed in float64 for both dtypes (see vmath.h).
#include "kernels.h"
#include "map.h"
#include "vmath.h"

namespace tge {
namespace TGE_ISA {
namespace {

template <class V>
struct Plain {
    explicit Plain(const double*) {}
};
template <class V>
struct WithSlope {
    V slope;
    explicit WithSlope(const double* p) : slope(splat<V>(p[0])) {}
};

template <class V>
struct Relu : Plain<V> {
    using Plain<V>::Plain;
    TGE_INLINE V operator()(const V* v) const { return v[0] <= V{} ? V{} : v[0]; }  // NaN ≤ 0 is false
};
template <class V>
struct ReluBackward : Plain<V> {
    using Plain<V>::Plain;
    TGE_INLINE V operator()(const V* v) const { return v[1] > V{} ? v[0] : V{}; }
};
template <class V>
struct LeakyRelu : WithSlope<V> {
    using WithSlope<V>::WithSlope;
    TGE_INLINE V operator()(const V* v) const { return v[0] > V{} ? v[0] : v[0] * this->slope; }
};
template <class V>
struct LeakyReluBackward : WithSlope<V> {
    using WithSlope<V>::WithSlope;
    TGE_INLINE V operator()(const V* v) const { return v[1] > V{} ? v[0] : v[0] * this->slope; }
};
template <class V>
struct SigmoidBackward : Plain<V> {
    using Plain<V>::Plain;
    TGE_INLINE V operator()(const V* v) const { return v[0] * v[1] * (1 - v[1]); }
};
template <class V>
struct TanhBackward : Plain<V> {
    using Plain<V>::Plain;
    TGE_INLINE V operator()(const V* v) const { return v[0] * (1 - v[1] * v[1]); }
};
// g · scale · (x − y), with the scale in float64 rounded to V.
template <class V>
struct MseBackward : WithSlope<V> {
    using WithSlope<V>::WithSlope;
    TGE_INLINE V operator()(const V* v) const { return v[0] * this->slope * (v[1] - v[2]); }
};

using Parameters = const double*;

template <class M>
struct Sigmoid : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const { return sigmoid<M>(v[0]); }
};
template <class M>
struct Tanh : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const { return M::tanh(v[0]); }
};

constexpr double root_half = 0.7071067811865476, root_2_over_pi = 0.7978845608028654, cubic = 0.044715;

// Φ(x) = erfc(−x/√2)/2 keeps its digits where x is very negative. x · Φ(x) tends to 0 there, also at −∞.
template <class M>
struct GeluErf : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const {
        const D x = v[0], y = x * (0.5 * M::erfc(-x * root_half));
        return x == -inf ? D{} : y;
    }
};
// (1 + tanh z)/2 = sigmoid(2z), which does not cancel.
template <class M>
struct GeluTanh : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const {
        const D x = v[0], z = root_2_over_pi * (x + cubic * x * x * x), y = x * sigmoid<M>(z + z);
        return x == -inf ? D{} : y;
    }
};
template <class M>
struct GeluErfBackward : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const {
        const D x = v[1], tail = x * M::exp(-0.5 * x * x) * 0.3989422804014327;  // 1/√(2π)
        return v[0] * (0.5 * M::erfc(-x * root_half) + (vabs(x) > 1e3 ? D{} : tail));
    }
};
template <class M>
struct GeluTanhBackward : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const {
        const D x = v[1], z = root_2_over_pi * (x + cubic * x * x * x), s = sigmoid<M>(z + z);
        const D tail = x * s * (1.0 - s) * (2 * root_2_over_pi) * (1.0 + 3 * cubic * x * x);
        return v[0] * (s + (vabs(x) > 1e3 ? D{} : tail));
    }
};
template <class M>
struct Silu : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const {
        const D y = v[0] * sigmoid<M>(v[0]);
        return v[0] == -inf ? D{} : y;
    }
};
template <class M>
struct SiluBackward : Plain<D> {
    using Plain<D>::Plain;
    TGE_INLINE D operator()(const D* v) const {
        const D x = v[1], s = sigmoid<M>(x), tail = x * s * (1.0 - s);
        return v[0] * (s + (vabs(x) == inf ? D{} : tail));
    }
};
template <class M>
struct Softplus {
    D beta, threshold;
    explicit Softplus(Parameters p) : beta(splat<D>(p[0])), threshold(splat<D>(p[1])) {}
    TGE_INLINE D operator()(const D* v) const {
        const D x = v[0], z = x * beta, soft = ((z < 0.0 ? D{} : z) + M::log1p(M::exp(-vabs(z)))) / beta;
        return z > threshold ? x : soft;
    }
};
template <class M>
struct SoftplusBackward {
    D beta, threshold;
    explicit SoftplusBackward(Parameters p) : beta(splat<D>(p[0])), threshold(splat<D>(p[1])) {}
    TGE_INLINE D operator()(const D* v) const {
        const D z = v[1] * beta, soft = v[0] * sigmoid<M>(z);
        return z > threshold ? v[0] : soft;
    }
};
template <class M>
struct Elu : WithSlope<D> {
    using WithSlope<D>::WithSlope;
    TGE_INLINE D operator()(const D* v) const { return v[0] > 0.0 ? v[0] : slope * M::expm1(v[0]); }
};
template <class M>
struct EluBackward : WithSlope<D> {
    using WithSlope<D>::WithSlope;
    TGE_INLINE D operator()(const D* v) const { return v[1] > 0.0 ? v[0] : v[0] * slope * M::exp(v[1]); }
};

template <class L, int N, class ErfForm, class TanhForm>
void gelu_either(i64 n, char* const* p, const i64* stride, const double* parameters) {
    (parameters[0] != 0 ? map<L, N, TanhForm> : map<L, N, ErfForm>)(n, p, stride, parameters);
}

}  // namespace

void fill_activations(Table& table) {
    auto& t = table.elementwise;
#define BOTH(op, inputs, functor)                                \
    t[op_##op][0] = map<Direct<float>, inputs, functor<F>>;      \
    t[op_##op][1] = map<Direct<double>, inputs, functor<D>>;
    BOTH(relu, 1, Relu) BOTH(relu_backward, 2, ReluBackward)
    BOTH(leaky_relu, 1, LeakyRelu) BOTH(leaky_relu_backward, 2, LeakyReluBackward)
    BOTH(sigmoid_backward, 2, SigmoidBackward) BOTH(tanh_backward, 2, TanhBackward)
    BOTH(mse_backward, 3, MseBackward)
#undef BOTH
#define SMOOTH(op, inputs, functor)                         \
    t[op_##op][0] = map<Widened, inputs, functor<Lite>>;    \
    t[op_##op][1] = map<Direct<double>, inputs, functor<Full>>;
    SMOOTH(sigmoid, 1, Sigmoid) SMOOTH(tanh, 1, Tanh)
    SMOOTH(silu, 1, Silu) SMOOTH(silu_backward, 2, SiluBackward)
    SMOOTH(softplus, 1, Softplus) SMOOTH(softplus_backward, 2, SoftplusBackward)
    SMOOTH(elu, 1, Elu) SMOOTH(elu_backward, 2, EluBackward)
#undef SMOOTH
    t[op_gelu][0] = gelu_either<Widened, 1, GeluErf<Lite>, GeluTanh<Lite>>;
    t[op_gelu][1] = gelu_either<Direct<double>, 1, GeluErf<Full>, GeluTanh<Full>>;
    t[op_gelu_backward][0] = gelu_either<Widened, 2, GeluErfBackward<Lite>, GeluTanhBackward<Lite>>;
    t[op_gelu_backward][1] = gelu_either<Direct<double>, 2, GeluErfBackward<Full>, GeluTanhBackward<Full>>;
}

}  // namespace TGE_ISA
}  // namespace tge
