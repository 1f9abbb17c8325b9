// Activation functions and their derivatives. What the smooth ones are made of is in single.h and vmath.h.
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

// M: Smooth32 or Smooth64. An operation without parameters, of one function of M.
#define TGE_SMOOTH(name, expression)                              \
    template <class M>                                            \
    struct name : Plain<typename M::V> {                          \
        using V = typename M::V;                                  \
        using Plain<V>::Plain;                                    \
        TGE_INLINE V operator()(const V* v) const { return expression; } \
    };
TGE_SMOOTH(Sigmoid, M::sigmoid(v[0]))
TGE_SMOOTH(Tanh, M::tanh(v[0]))
TGE_SMOOTH(Silu, M::silu(v[0]))
TGE_SMOOTH(SiluBackward, v[0] * M::silu_slope(v[1]))
TGE_SMOOTH(GeluErf, M::gelu(v[0]))
TGE_SMOOTH(GeluErfBackward, v[0] * M::gelu_slope(v[1]))
TGE_SMOOTH(GeluTanh, M::gelu_tanh(v[0]))
TGE_SMOOTH(GeluTanhBackward, v[0] * M::gelu_tanh_slope(v[1]))
#undef TGE_SMOOTH

template <class M>
struct WithBeta {
    using V = typename M::V;
    V beta, beta_low, inverse, threshold;
    explicit WithBeta(const double* p)
        : beta(splat<V>(p[0])), beta_low(splat<V>(p[0] - static_cast<double>(beta[0]))), inverse(splat<V>(1 / p[0])),
          threshold(splat<V>(p[1])) {}
};
template <class M>
struct Softplus : WithBeta<M> {
    using V = typename M::V;
    using WithBeta<M>::WithBeta;
    TGE_INLINE V operator()(const V* v) const {
        const V soft = M::softplus(v[0], this->beta, this->beta_low) * this->inverse;
        return v[0] * this->beta > this->threshold ? v[0] : soft;
    }
};
template <class M>
struct SoftplusBackward : WithBeta<M> {
    using V = typename M::V;
    using WithBeta<M>::WithBeta;
    TGE_INLINE V operator()(const V* v) const {
        const V soft = v[0] * M::sigmoid(v[1], this->beta, this->beta_low);
        return v[1] * this->beta > this->threshold ? v[0] : soft;
    }
};
template <class M>
struct Elu : WithSlope<typename M::V> {
    using V = typename M::V;
    using WithSlope<V>::WithSlope;
    TGE_INLINE V operator()(const V* v) const { return v[0] > V{} ? v[0] : this->slope * M::expm1(v[0]); }
};
template <class M>
struct EluBackward : WithSlope<typename M::V> {
    using V = typename M::V;
    using WithSlope<V>::WithSlope;
    TGE_INLINE V operator()(const V* v) const { return v[1] > V{} ? v[0] : v[0] * this->slope * M::exp(v[1]); }
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
#define SMOOTH(op, inputs, functor)                              \
    t[op_##op][0] = map<Layout32, inputs, functor<Smooth32>>;    \
    t[op_##op][1] = map<Direct<double>, inputs, functor<Smooth64>>;
    SMOOTH(sigmoid, 1, Sigmoid) SMOOTH(tanh, 1, Tanh)
    SMOOTH(silu, 1, Silu) SMOOTH(silu_backward, 2, SiluBackward)
    SMOOTH(softplus, 1, Softplus) SMOOTH(softplus_backward, 2, SoftplusBackward)
    SMOOTH(elu, 1, Elu) SMOOTH(elu_backward, 2, EluBackward)
#undef SMOOTH
#define GELU(op, inputs, erf_form, tanh_form)                                                     \
    t[op_##op][0] = gelu_either<Layout32, inputs, erf_form<Smooth32>, tanh_form<Smooth32>>;       \
    t[op_##op][1] = gelu_either<Direct<double>, inputs, erf_form<Smooth64>, tanh_form<Smooth64>>;
    GELU(gelu, 1, GeluErf, GeluTanh)
    GELU(gelu_backward, 2, GeluErfBackward, GeluTanhBackward)
#undef GELU
}

}  // namespace TGE_ISA
}  // namespace tge
