#include "array.h"

#include <new>

#include "../cpu/allocator.h"
#include "../cpu/isa.h"
#include "../cpu/threads.h"

namespace tge {

namespace {

constexpr int flag_contiguous = 0x0001, flag_aligned = 0x0100, flag_writable = 0x0400;
constexpr std::size_t pooled_from = 16384;  // bytes; NumPy and the C library serve smaller arrays well

bool is_numpy_scalar(PyObject* object) {
    static PyObject* const generic = py::object(py::module_::import("numpy").attr("generic")).release().ptr();
    return object && PyObject_IsInstance(object, generic) == 1;
}

void free_capsule(PyObject* capsule) { pool_free(PyCapsule_GetPointer(capsule, nullptr)); }

}  // namespace

View view(PyObject* object, const char* kernel, const char* argument) {
    if (!object || !py::detail::npy_api::get().PyArray_Check_(object)) {
        if (is_numpy_scalar(object)) throw Foreign{"a NumPy scalar"};
        // asked of the type: reading the attribute itself would wait for the GPU
        if (object && PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object)), "__cuda_array_interface__"))
            throw Foreign{"an array on a GPU"};
        throw py::type_error(std::string(kernel) + ": " + argument + " must be a numpy.ndarray, not " +
                             (object ? Py_TYPE(object)->tp_name : "nothing"));
    }
    const auto* array = py::detail::array_proxy(object);
    const auto* descr = py::detail::array_descriptor1_proxy(array->descr);
    View v;
    v.data = array->data;
    v.nd = array->nd;
    v.shape = array->dimensions;
    v.strides = array->strides;
    v.type_num = descr->type_num;
    switch (v.type_num) {
        case type_bool: v.item_size = 1; break;
        case 1: case 2: v.item_size = 1; break;
        case 3: case 4: v.item_size = 2; break;
        case 5: case 6: case type_float: v.item_size = 4; break;
        case 7: case 8: v.item_size = sizeof(long); break;
        case 9: case 10: case type_double: v.item_size = 8; break;
        default: v.item_size = 0;
    }
    v.usable = (array->flags & flag_aligned) && (descr->byteorder == '=' || descr->byteorder == '|');
    v.contiguous = array->flags & flag_contiguous;
    v.writable = array->flags & flag_writable;
    return v;
}

bool same_shape(const View& a, const View& b) {
    if (a.nd != b.nd) return false;
    for (int d = 0; d < a.nd; ++d)
        if (a.shape[d] != b.shape[d]) return false;
    return true;
}

std::string shape_text(int nd, const Py_ssize_t* shape) {
    std::string text = "(";
    for (int d = 0; d < nd; ++d) text += std::to_string(shape[d]) + (d + 1 < nd ? ", " : nd == 1 ? "," : "");
    return text + ")";
}
std::string shape_text(const View& v) { return shape_text(v.nd, v.shape); }

std::size_t checked_bytes(int nd, const Py_ssize_t* shape, int item_size) {
    // Like NumPy, zero-sized dimensions do not excuse others that overflow.
    Py_ssize_t bytes = item_size;
    bool none = false;
    for (int d = 0; d < nd; ++d) {
        if (shape[d] < 0) throw py::value_error("shape " + shape_text(nd, shape) + " has a negative size");
        if (shape[d] == 0) none = true;
        else if (__builtin_mul_overflow(bytes, shape[d], &bytes)) throw std::bad_alloc();
    }
    return none ? 0 : static_cast<std::size_t>(bytes);
}

py::object new_array(int type_num, int nd, const Py_ssize_t* shape) {
    if (nd > max_dims) throw py::value_error("an array has at most 64 dimensions");
    const int item_size = type_num == type_bool ? 1 : type_num == type_float || type_num == type_uint32 ? 4 : 8;
    const std::size_t bytes = checked_bytes(nd, shape, item_size);
    auto& numpy = py::detail::npy_api::get();
    PyObject* descr = numpy.PyArray_DescrFromType_(type_num);
    if (!descr) throw py::error_already_set();
    void* memory = nullptr;
    if (bytes >= pooled_from) {
        memory = pool_allocate(bytes);
        if (!memory) {
            Py_DECREF(descr);
            throw std::bad_alloc();
        }
    }
    // Strides are C order unless given; takes over the reference to descr.
    PyObject* array = numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, descr, nd, const_cast<Py_ssize_t*>(shape),
                                                  nullptr, memory, memory ? flag_writable : 0, nullptr);
    if (!array) {
        pool_free(memory);
        throw py::error_already_set();
    }
    auto result = py::reinterpret_steal<py::object>(array);
    if (memory) {
        PyObject* owner = PyCapsule_New(memory, nullptr, free_capsule);
        if (!owner) {
            pool_free(memory);
            throw py::error_already_set();
        }
        if (numpy.PyArray_SetBaseObject_(array, owner) < 0) throw py::error_already_set();
    }
    return result;
}

py::object part_of(const py::object& whole, Py_ssize_t offset, int nd, const Py_ssize_t* shape, const Py_ssize_t* strides) {
    auto& numpy = py::detail::npy_api::get();
    const View v = view(whole.ptr(), "part_of", "whole");
    PyObject* descr = numpy.PyArray_DescrFromType_(v.type_num);
    if (!descr) throw py::error_already_set();
    PyObject* array = numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, descr, nd, const_cast<Py_ssize_t*>(shape), strides,
                                                  v.data + offset, flag_writable, nullptr);
    if (!array) throw py::error_already_set();
    auto result = py::reinterpret_steal<py::object>(array);
    if (numpy.PyArray_SetBaseObject_(array, py::object(whole).release().ptr()) < 0) throw py::error_already_set();
    return result;
}

py::object result_array(PyObject* out, const char* kernel, int type_num, int nd, const Py_ssize_t* shape) {
    if (!out || out == Py_None) return new_array(type_num, nd, shape);
    const View v = view(out, kernel, "out");
    bool fits = v.nd == nd;
    for (int d = 0; fits && d < nd; ++d) fits = v.shape[d] == shape[d];
    if (!fits)
        throw py::value_error(std::string(kernel) + ": out has shape " + shape_text(v) + ", the result " +
                              shape_text(nd, shape));
    if (v.type_num != type_num || !v.usable)
        throw py::value_error(std::string(kernel) + ": out has another dtype (or byte order) than the result");
    if (!v.writable) throw py::value_error(std::string(kernel) + ": out is read-only");
    return py::reinterpret_borrow<py::object>(out);
}

Operand broadcast(const View& v, int nd) {
    Operand operand;
    operand.data = v.data;
    for (int d = 0; d < nd; ++d) {
        const int own = d - (nd - v.nd);
        operand.strides[d] = own < 0 || v.shape[own] == 1 ? 0 : v.strides[own];
    }
    return operand;
}

namespace {

constexpr int max_operands = 4;

struct Loop {
    Inner inner;
    int count, outer_dims;
    char* data[max_operands];
    i64 outer_shape[max_dims], outer_strides[max_operands][max_dims], inner_strides[max_operands];
    i64 inner_size, piece, pieces_per_row;
    const double* parameters;

    // Pieces are numbered row by row, each row of inner_size elements cut into pieces_per_row.
    void run(i64 begin, i64 end) const {
        if (begin >= end) return;
        i64 row = begin / pieces_per_row, part = begin % pieces_per_row, position[max_dims];
        char* rows[max_operands];
        for (int o = 0; o < count; ++o) rows[o] = data[o];
        for (int d = outer_dims - 1; d >= 0; --d) {
            position[d] = row % outer_shape[d];
            row /= outer_shape[d];
            for (int o = 0; o < count; ++o) rows[o] += position[d] * outer_strides[o][d];
        }
        for (i64 index = begin;;) {
            const i64 start = part * piece;
            char* p[max_operands];
            for (int o = 0; o < count; ++o) p[o] = rows[o] + start * inner_strides[o];
            inner(inner_size - start < piece ? inner_size - start : piece, p, inner_strides, parameters);
            if (++index == end) return;
            if (++part < pieces_per_row) continue;
            part = 0;
            for (int d = outer_dims - 1; d >= 0; --d) {  // on to the next row, without a division
                const bool wraps = ++position[d] == outer_shape[d];
                for (int o = 0; o < count; ++o)
                    rows[o] += wraps ? outer_strides[o][d] * (1 - outer_shape[d]) : outer_strides[o][d];
                if (!wraps) break;
                position[d] = 0;
            }
        }
    }
};

}  // namespace

void run_loop(Inner inner, int count, const Operand* operands, int nd, const Py_ssize_t* shape,
              const double* parameters, int cost) {
    // Dimensions of size 1 vanish; a dimension joins the one before it where every operand steps evenly over both.
    Loop loop;
    loop.inner = inner;
    loop.count = count;
    loop.parameters = parameters;
    int dims = 0;
    i64 total = 1;
    for (int o = 0; o < count; ++o) loop.data[o] = operands[o].data;
    for (int d = 0; d < nd; ++d) {
        const i64 n = shape[d];
        total *= n;
        if (n == 1) continue;
        bool joins = dims > 0;
        for (int o = 0; joins && o < count; ++o)
            joins = loop.outer_strides[o][dims - 1] == operands[o].strides[d] * n;
        if (!joins) loop.outer_shape[dims++] = 1;
        loop.outer_shape[dims - 1] *= n;
        for (int o = 0; o < count; ++o) loop.outer_strides[o][dims - 1] = operands[o].strides[d];
    }
    if (total == 0) return;
    if (dims == 0) {
        const i64 none[max_operands] = {};
        return inner(1, loop.data, none, parameters);
    }
    const int last = dims - 1;
    loop.outer_dims = last;
    loop.inner_size = loop.outer_shape[last];
    for (int o = 0; o < count; ++o) loop.inner_strides[o] = loop.outer_strides[o][last];
    const i64 share = cost > 1 ? 8192 : 65536;  // elements that are worth a thread's while
    loop.piece = loop.inner_size < share ? loop.inner_size : share;
    loop.pieces_per_row = (loop.inner_size + loop.piece - 1) / loop.piece;
    const i64 pieces = total / loop.inner_size * loop.pieces_per_row;
    if (total < 2 * share) {
        const Unlocked unlocked(total > share);
        return loop.run(0, pieces);
    }
    const Unlocked unlocked(true);
    parallel_for(pieces, share / loop.piece,
                 [](void* context, i64 begin, i64 end, int) { static_cast<Loop*>(context)->run(begin, end); }, &loop);
}

// A copy whose result lies along one dimension and its source along another, in tiles of both: a cache line of the
// source that was fetched for one row of a tile serves the others.
struct Tiles {
    static constexpr i64 side = 32;
    Inner inner;
    View to;
    Operand from;
    int across, along;  // the dimensions along which source and result lie
    i64 tiles_across, tiles_along;

    void run(i64 begin, i64 end) const {
        const i64 steps[] = {to.strides[along], from.strides[along]};
        for (i64 tile = begin; tile < end; ++tile) {
            const i64 a = tile % tiles_along * side, c = tile / tiles_along % tiles_across * side;
            char* p[] = {to.data + a * steps[0], from.data + a * steps[1]};
            i64 rest = tile / tiles_along / tiles_across;
            for (int d = to.nd - 1; d >= 0; --d) {
                if (d == across || d == along) continue;
                p[0] += rest % to.shape[d] * to.strides[d];
                p[1] += rest % to.shape[d] * from.strides[d];
                rest /= to.shape[d];
            }
            const i64 columns = std::min<i64>(side, to.shape[along] - a);
            for (i64 r = c; r < std::min<i64>(c + side, to.shape[across]); ++r) {
                char* const row[] = {p[0] + r * to.strides[across], p[1] + r * from.strides[across]};
                inner(columns, row, steps, nullptr);
            }
        }
    }
};

void copy_into(const View& to, const View& from) {
    const Operand operands[] = {broadcast(to, to.nd), broadcast(from, to.nd)};
    const int index = to.item_size == 1 ? 0 : to.item_size == 2 ? 1 : to.item_size == 4 ? 2 : 3;
    const Inner inner = kernels().copy[index];
    int along = -1, across = -1;
    for (int d = 0; d < to.nd; ++d)
        if (to.shape[d] >= Tiles::side) {
            if (to.strides[d] == to.item_size) along = d;
            if (operands[1].strides[d] == to.item_size) across = d;
        }
    if (along < 0 || across < 0 || along == across || to.size() < 8192)
        return run_loop(inner, 2, operands, to.nd, to.shape, nullptr, 1);
    Tiles tiles{inner, to, operands[1], across, along, (to.shape[across] + Tiles::side - 1) / Tiles::side,
                (to.shape[along] + Tiles::side - 1) / Tiles::side};
    const i64 others = to.size() / to.shape[across] / to.shape[along];
    const Unlocked unlocked(to.size() > 65536);
    parallel_for(tiles.tiles_along * tiles.tiles_across * others, 64, [](void* context, i64 begin, i64 end, int) {
        static_cast<Tiles*>(context)->run(begin, end);
    }, &tiles);
}

}  // namespace tge
