// What the kernels of one instruction set offer: plain function pointers, so that the right set is chosen at run time.
// Everything inside the kernels is single dtype: index 0 is float32, index 1 is float64.
#pragma once
#include <cstdint>

namespace tge {

// out and inputs p[0], p[1], …, each with its own byte stride; n elements. out may be one of the inputs.
using Inner = void (*)(std::int64_t n, char* const* p, const std::int64_t* stride, const double* parameters);

// Elementwise kernels: name, number of inputs, number of parameters, result (0: the input's dtype, 1: bool), whether
// an element costs much more than its memory traffic. The first input of `where` is a bool.
#define TGE_ELEMENTWISE(X)                                                                                   \
    X(add, 2, 0, 0, 0) X(sub, 2, 0, 0, 0) X(mul, 2, 0, 0, 0) X(div, 2, 0, 0, 0) X(pow, 2, 0, 0, 1)               \
    X(maximum, 2, 0, 0, 0) X(minimum, 2, 0, 0, 0)                                                              \
    X(eq, 2, 0, 1, 0) X(ne, 2, 0, 1, 0) X(lt, 2, 0, 1, 0) X(le, 2, 0, 1, 0) X(gt, 2, 0, 1, 0) X(ge, 2, 0, 1, 0)    \
    X(where, 3, 0, 0, 0)                                                                                     \
    X(neg, 1, 0, 0, 0) X(abs, 1, 0, 0, 0) X(sign, 1, 0, 0, 0) X(exp, 1, 0, 0, 1) X(log, 1, 0, 0, 1)               \
    X(log1p, 1, 0, 0, 1) X(sqrt, 1, 0, 0, 0) X(sin, 1, 0, 0, 1) X(cos, 1, 0, 0, 1) X(erf, 1, 0, 0, 1)             \
    X(erfc, 1, 0, 0, 1) X(erfinv, 1, 0, 0, 1) X(rsqrt, 1, 0, 0, 1)                                             \
    X(floor, 1, 0, 0, 0) X(ceil, 1, 0, 0, 0) X(trunc, 1, 0, 0, 0) X(round, 1, 0, 0, 0)                           \
    X(relu, 1, 0, 0, 0) X(relu_backward, 2, 0, 0, 0)                                                           \
    X(leaky_relu, 1, 1, 0, 0) X(leaky_relu_backward, 2, 1, 0, 0)                                               \
    X(sigmoid, 1, 0, 0, 1) X(sigmoid_backward, 2, 0, 0, 0)                                                     \
    X(tanh, 1, 0, 0, 1) X(tanh_backward, 2, 0, 0, 0)                                                           \
    X(gelu, 1, 1, 0, 1) X(gelu_backward, 2, 1, 0, 1)                                                           \
    X(silu, 1, 0, 0, 1) X(silu_backward, 2, 0, 0, 1)                                                           \
    X(softplus, 1, 2, 0, 1) X(softplus_backward, 2, 2, 0, 1)                                                   \
    X(elu, 1, 1, 0, 1) X(elu_backward, 2, 1, 0, 1)                                                             \
    X(mse_backward, 3, 1, 0, 0)

#define X(name, inputs, parameters, result, costly) op_##name,
enum Op : int { TGE_ELEMENTWISE(X) op_count };
#undef X

enum Reduction : int { reduce_sum, reduce_max, reduce_min, reduction_count };

// C (m, n) = A (m, k) · B (k, n) + bias (n) + row_bias (m), added to what C holds if `accumulate`. Strides in elements;
// columns of C are next to each other. `activated` (rows `activated_row` apart, C itself if it may be overwritten)
// receives activation(C).
struct Gemm {
    std::int64_t m, n, k;
    const void *a, *b, *bias;  // bias: or nullptr
    void* c;
    std::int64_t a_row, a_col, b_row, b_col, c_row;
    bool accumulate = false;
    const void* row_bias = nullptr;
    Inner activation = nullptr;
    const double* parameters = nullptr;
    void* activated = nullptr;
    std::int64_t activated_row = 0;
};

// The gradients of a layer y = f(x·wᵀ + b), x (rows, inputs), w (outputs, inputs), b (outputs): dx, dw, db from g and, if f is
// not the identity, from `saved` by its `derivative`. g, saved and what is written are contiguous; numbers of a row of x are
// neighbours.
struct LinearBackward {
    std::int64_t rows, outputs, inputs;
    const void *g, *saved, *x, *w;
    std::int64_t x_row, w_row, w_col;
    Inner derivative;  // or nullptr
    const double* parameters;
    void (*sum_columns)(std::int64_t rows, std::int64_t columns, const void* x, std::int64_t row_stride, double* sums);
    void *dx, *dw, *db;  // db: or nullptr
};

// y (images, groups·outputs, *out) = x (images, groups·channels, *in) * w (groups·outputs, channels, *kernel), all
// contiguous; fewer than three spatial dimensions have ones in front.
struct Convolution {
    std::int64_t images, groups, channels, outputs;
    std::int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    void *x, *w, *y;   // of the three, a kernel writes one
    const void* bias;  // (groups·outputs) or nullptr
    void* bias_gradient;  // the same, written with the weight gradient
};

// Windows over planes (*in) → (*out); fewer than three spatial dimensions have ones in front. All contiguous.
struct Pool {
    std::int64_t planes, in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    void *x, *y;           // of the two, a kernel writes one
    std::int64_t* places;  // of maxima
    std::int64_t divisor;  // of means; 0: the number of entries
    bool include_pad;
};

// Planes of `size` zeros to which n entries each of g are added at their places, in order.
struct Scatter {
    std::int64_t n, size;
    const std::int64_t* places;
    const void* g;
    void* out;
    bool cells;  // g's planes are (rows, columns), and those of `out`, of this width, have a cell of 2 × 2 for each entry
    std::int64_t rows, columns, width;
};

// Rows of n entries; for batch norm x is (rows, channels, n). Backward, y is dx. Without a mean, rows are not centred.
struct Norm {
    std::int64_t rows, channels, n;
    const void *x, *g, *weight, *bias;  // weight, bias: or nullptr
    void *y, *mean, *rstd;
    double eps;
};

// Matrices, one for each entry of a batch. The batch may be of samples with some heads each. Steps in elements.
struct Matrices {
    const void* data;
    std::int64_t sample, step[3];  // from a sample, a head, a row, a column to the next
};

// The arrays of protocol.py's attention: q (batch, queries, depth), k (batch, keys, depth), v (batch, keys, width), mask
// (masks, queries, keys) or none. y, g, and what is written (y; dq, dk, dv) have rows of neighbours; lse is contiguous.
struct Attention {
    std::int64_t batch, heads, queries, keys, depth, width, masks;
    Matrices q, k, v, mask, g, y, dq, dk, dv;
    void* lse;
    bool causal;
    double scale;
};

// Rows of logits and what the loss needs to know; contiguous arrays of the kernel's dtype. The losses and `weight`
// keep their documented meaning in protocol.py.
struct CrossEntropy {
    std::int64_t rows, classes;
    const void* x;
    const std::int64_t* target;
    const void* weight;  // or nullptr: all ones
    std::int64_t ignore_index;
    double smoothing, weight_sum;
};

// out[index[i]] += g[i] for n rows of `columns` entries, in order, but where the index is `skipped`.
struct RowSums {
    std::int64_t n, columns, skipped;
    const std::int64_t* index;
    const void* g;
    void* out;
};

struct Sgd {
    double lr, momentum, dampening, weight_decay;
    bool nesterov, maximize, first;
};

struct Adam {
    double step_size, beta1, beta2, eps, weight_decay, decay_factor, root_correction2;
    bool maximize;
};

struct Table {
    const char* name;
    Inner elementwise[op_count][2];
    Inner copy[4];  // elements of 1, 2, 4 and 8 bytes

    // Rows of n elements next to each other, row_stride bytes apart → a result each, in double (exact for maxima).
    void (*reduce_rows[reduction_count][2])(std::int64_t rows, std::int64_t n, const void* x, std::int64_t row_stride,
                                            double* results);
    // rows of `columns` elements → accumulators, one double per column; row_stride in bytes.
    void (*reduce_columns[reduction_count][2])(std::int64_t rows, std::int64_t columns, const void* x,
                                               std::int64_t row_stride, double* accumulators);
    std::int64_t (*argmax_row[2])(std::int64_t n, const void* x);
    std::int64_t (*argmin_row[2])(std::int64_t n, const void* x);
    double (*squared_distance[2])(std::int64_t n, const void* x, const void* y);
    double (*square_sum[2])(std::int64_t n, const void* x);
    // y[i, j] = Σ x[..i, j]: n sums of `lines` lines, element (i, j) at i·step + j·line_step, in elements; one of the steps
    // is 1 (or there is one line).
    void (*running_sums[2])(std::int64_t n, std::int64_t step, std::int64_t lines, std::int64_t line_step, const void* x,
                            void* y);

    void (*softmax[2])(std::int64_t rows, std::int64_t n, const void* x, void* y);
    void (*log_softmax[2])(std::int64_t rows, std::int64_t n, const void* x, void* y);
    void (*softmax_backward[2])(std::int64_t rows, std::int64_t n, const void* g, const void* y, void* dx);
    void (*log_softmax_backward[2])(std::int64_t rows, std::int64_t n, const void* g, const void* y, void* dx);
    // Rows [begin, end). Returns the first row whose target is not a class, or −1. `loss` is in double.
    std::int64_t (*cross_entropy[2])(const CrossEntropy&, std::int64_t begin, std::int64_t end, double* loss,
                                     double* weights, void* lse);
    std::int64_t (*cross_entropy_backward[2])(const CrossEntropy&, std::int64_t begin, std::int64_t end,
                                              const void* lse, const void* g, std::int64_t g_step, double scale,
                                              void* dx);

    bool (*gemm[2])(const Gemm&);  // false: no memory for the packed panels
    bool (*linear_backward[2])(const LinearBackward&);  // false: it takes its parts, here or always; or nullptr
    bool (*convolve[2])(const Convolution&);
    bool (*convolve_input_gradient[2])(const Convolution&);
    bool (*convolve_weight_gradient[2])(const Convolution&);
    // Rows or channels [begin, end). The sums of columns (2, n) are of weight and bias; or nullptr.
    void (*layer_norm[2])(const Norm&, std::int64_t begin, std::int64_t end);
    void (*layer_norm_backward[2])(const Norm&, std::int64_t begin, std::int64_t end, void* sums);
    void (*batch_norm[2])(const Norm&, std::int64_t begin, std::int64_t end);
    void (*batch_norm_backward[2])(const Norm&, std::int64_t begin, std::int64_t end, void* dweight, void* dbias);
    // Planes [begin, end).
    void (*max_pool[2])(const Pool&, std::int64_t begin, std::int64_t end);
    void (*avg_pool[2])(const Pool&, std::int64_t begin, std::int64_t end);
    void (*avg_pool_backward[2])(const Pool&, std::int64_t begin, std::int64_t end);
    std::int64_t (*scatter[2])(const Scatter&, std::int64_t begin, std::int64_t end);  // one that lies outside, or −1
    bool (*attention[2])(const Attention&);
    bool (*attention_backward[2])(const Attention&);

    // Rows [begin, end) of the arrays of protocol.py's cells, inputs first, all contiguous.
    void (*lstm_cell[2])(std::int64_t begin, std::int64_t end, std::int64_t hidden, void* const* arrays);
    void (*lstm_cell_backward[2])(std::int64_t begin, std::int64_t end, std::int64_t hidden, void* const* arrays);
    void (*gru_cell[2])(std::int64_t begin, std::int64_t end, std::int64_t hidden, void* const* arrays);
    void (*gru_cell_backward[2])(std::int64_t begin, std::int64_t end, std::int64_t hidden, void* const* arrays);

    // Columns [begin, end).
    void (*add_rows[2])(const RowSums&, std::int64_t begin, std::int64_t end);

    // Words of Philox blocks [first, first + blocks), four per block.
    void (*philox)(std::int64_t blocks, std::uint64_t seed, std::uint32_t stream, std::uint64_t first,
                   std::uint32_t* words);
    void (*uniform[2])(std::int64_t n, const std::uint32_t* words, double low, double span, void* out);
    void (*normal[2])(std::int64_t n, const std::uint32_t* words, double mean, double std, void* out);
    void (*dropout[2])(std::int64_t n, const std::uint32_t* words, double p, const void* x, void* out);

    void (*sgd[2])(const Sgd&, std::int64_t n, void* p, const void* g, void* m);
    void (*adam[2])(const Adam&, std::int64_t n, void* p, const void* g, void* m, void* v, void* v_max);
};

}  // namespace tge
