// What convolutions and pools share: settings for each spatial dimension, and sizes that cannot overflow.
#pragma once
#include "reductions.h"

namespace tge {

constexpr int most_dims = 3;  // spatial dimensions

// a·b + c for sizes that are not negative; MemoryError where that does not fit.
inline i64 checked(i64 a, i64 b, i64 c) {
    i64 result;
    if (__builtin_mul_overflow(a, b, &result) || __builtin_add_overflow(result, c, &result)) throw std::bad_alloc();
    return result;
}

inline std::vector<Py_ssize_t> setting(const Call& call, std::size_t at, const char* what, std::size_t dims, i64 lowest) {
    std::vector<Py_ssize_t> values = call.shape(at);
    require(values.size() == dims, call, std::string(what) + " has " + std::to_string(values.size()) +
                                             " entries, one is needed for each of " + std::to_string(dims) + " dimensions");
    for (const Py_ssize_t v : values)
        require(v >= lowest, call, std::string(what) + " is " + std::to_string(v) + ": the least is " + std::to_string(lowest));
    return values;
}

inline std::vector<Py_ssize_t> shape_of(const View& v, int from = 0) {
    return std::vector<Py_ssize_t>(v.shape + from, v.shape + v.nd);
}
inline std::string text(const std::vector<Py_ssize_t>& shape) {
    return shape_text(static_cast<int>(shape.size()), shape.data());
}

// An operand's memory, contiguous, for as long as this lives.
struct Contiguous : LastAxes {
    static constexpr bool in_order[max_dims] = {};
    explicit Contiguous(const View& v) : LastAxes(v, in_order) { read(); }
    void* data() const { return LastAxes::view().data; }
};

}  // namespace tge
