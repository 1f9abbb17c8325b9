// NumPy arrays as the kernels see them, and the checks that every call goes through.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "../cpu/table.h"

namespace tge {

namespace py = pybind11;
using i64 = std::int64_t;

constexpr int max_dims = 64;  // NumPy's own limit

// NumPy's type numbers, part of its stable interface.
constexpr int type_bool = 0, type_uint32 = 6, type_long = 7, type_longlong = 9, type_float = 11, type_double = 12;
static_assert(sizeof(long long) == 8, "int64 is long or long long");

// An array's memory, borrowed for the time of a call.
struct View {
    char* data = nullptr;
    int nd = 0;
    const Py_ssize_t* shape = nullptr;
    const Py_ssize_t* strides = nullptr;  // bytes
    int type_num = -1;
    int item_size = 0;  // 1, 2, 4 or 8; 0 for other dtypes
    bool usable = false;  // aligned, in this machine's byte order
    bool contiguous = false, writable = false;

    i64 size() const {
        i64 n = 1;
        for (int d = 0; d < nd; ++d) n *= shape[d];
        return n;
    }
    // 0: float32, 1: float64, −1: not for these kernels
    int floating() const { return !usable ? -1 : type_num == type_float ? 0 : type_num == type_double ? 1 : -1; }
    bool is_int64() const { return usable && item_size == 8 && (type_num == type_long || type_num == type_longlong); }
};

// Thrown by view() for a NumPy scalar, such as arithmetic on 0-d arrays gives, and for an array on a GPU: both are for
// the function that a call falls back on.
struct Foreign {
    const char* what;
};
// TypeError, naming kernel and argument, if `object` is none of these.
View view(PyObject* object, const char* kernel, const char* argument);
bool same_shape(const View& a, const View& b);
std::string shape_text(const View& v);
std::string shape_text(int nd, const Py_ssize_t* shape);

// Number of bytes of an array; ValueError for a negative size, MemoryError if it cannot be addressed.
std::size_t checked_bytes(int nd, const Py_ssize_t* shape, int item_size);
// A new uninitialised C-contiguous array; MemoryError if there is no memory.
py::object new_array(int type_num, int nd, const Py_ssize_t* shape);
// A view of `whole`, a new array, from byte `offset` on; strides in bytes.
py::object part_of(const py::object& whole, Py_ssize_t offset, int nd, const Py_ssize_t* shape, const Py_ssize_t* strides);
inline int float_type(int floating) { return floating == 0 ? type_float : type_double; }
inline int float_size(int floating) { return floating == 0 ? 4 : 8; }

// The result of a kernel: `out` if it is an array that can take it (ValueError if it cannot), else a new one.
py::object result_array(PyObject* out, const char* kernel, int type_num, int nd, const Py_ssize_t* shape);

// Releases the interpreter lock for work that lasts longer than handing it over.
class Unlocked {
public:
    explicit Unlocked(bool worth_it) : state_(worth_it ? PyEval_SaveThread() : nullptr) {}
    ~Unlocked() {
        if (state_) PyEval_RestoreThread(state_);
    }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

private:
    PyThreadState* state_;
};

// One operand of a loop over a common shape.
struct Operand {
    char* data;
    Py_ssize_t strides[max_dims];
};
// Strides of `v` broadcast to (nd, shape).
Operand broadcast(const View& v, int nd);
// Runs `inner` over all elements: operands[0] is written, the others are read. Dimensions are merged where possible and
// the work is shared between threads; `cost` is the price of an element in units of a simple one.
void run_loop(Inner inner, int count, const Operand* operands, int nd, const Py_ssize_t* shape,
              const double* parameters, int cost);
// Copies between views of one shape and item size.
void copy_into(const View& to, const View& from);

}  // namespace tge
