// Rows of a table by number, and the sums that go back to them.
#include <atomic>
#include <cstring>

#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "windows.h"

namespace tge {
namespace {

[[noreturn]] void out_of_range(const Call& call, i64 index, i64 rows) {
    throw py::index_error(std::string(call.name()) + ": index " + std::to_string(index) +
                          " is out of range for a table of " + std::to_string(rows) + " rows");
}

struct Take {
    i64 rows, row_bytes;
    const i64* index;
    const char* weight;
    char* out;
    std::atomic<i64> wrong{-1};

    static void run(void* context, i64 begin, i64 end, int) {
        Take& t = *static_cast<Take*>(context);
        for (i64 i = begin; i < end; ++i) {
            const i64 row = t.index[i];  // read once: another Python thread might change it meanwhile
            if (row < 0 || row >= t.rows) t.wrong = i;
            else std::memcpy(t.out + i * t.row_bytes, t.weight + row * t.row_bytes, static_cast<std::size_t>(t.row_bytes));
        }
    }
};

py::object take(Call& call) {
    const View weight = call.array(0, "weight"), index = call.array(1, "index");
    if (weight.floating() < 0) return call.decline_dtype(weight);
    if (!index.is_int64()) return call.decline_dtype(index);
    require(weight.nd == 2, call, "weight has shape " + shape_text(weight) + ": (rows, columns) is needed");
    if (index.nd + 1 > max_dims || index.size() == 0 || weight.size() == 0) return call.decline("no elements");
    std::vector<Py_ssize_t> shape = shape_of(index);
    shape.push_back(weight.shape[1]);
    py::object result = new_array(float_type(weight.floating()), index.nd + 1, shape.data());
    const Contiguous weights(weight), places(index);
    Take job{weight.shape[0], weight.shape[1] * float_size(weight.floating()), static_cast<const i64*>(places.data()),
             static_cast<const char*>(weights.data()), view(result.ptr(), call.name(), "out").data};
    {
        const Unlocked unlocked(index.size() * weight.shape[1] > 16384);
        parallel_for(index.size(), 32768 / weight.shape[1] + 1, Take::run, &job);
    }
    if (job.wrong >= 0) out_of_range(call, job.index[job.wrong], weight.shape[0]);
    return result;
}

// Threads share the columns, so that equal indices are summed in order whatever their number.
struct Sums : RowSums {
    int floating;

    static void run(void* context, i64 begin, i64 end, int) {
        const Sums& s = *static_cast<Sums*>(context);
        kernels().add_rows[s.floating](s, begin, end);
    }
};

py::object take_backward(Call& call) {
    const View g = call.array(0, "g"), index = call.array(1, "index");
    if (g.floating() < 0) return call.decline_dtype(g);
    if (!index.is_int64()) return call.decline_dtype(index);
    require(g.nd == index.nd + 1 && std::equal(index.shape, index.shape + index.nd, g.shape), call,
            "g has shape " + shape_text(g) + ", index " + shape_text(index) + ": a row of g for every index is needed");
    const i64 rows = call.integer(2), padding = call.integer(3);
    require(rows >= 0, call, "rows is " + std::to_string(rows));
    if (g.size() == 0) return call.decline("no elements");
    const Py_ssize_t shape[] = {rows, g.shape[g.nd - 1]};
    py::object result = new_array(float_type(g.floating()), 2, shape);
    // A copy: what has been checked stays as it was, whatever another Python thread does.
    const Contiguous gs(g), given(index);
    const Scratch memory(static_cast<std::size_t>(index.size()) * sizeof(i64));
    if (!memory) throw std::bad_alloc();
    i64* places = reinterpret_cast<i64*>(memory.data());
    std::memcpy(places, given.data(), static_cast<std::size_t>(index.size()) * sizeof(i64));
    for (i64 i = 0; i < index.size(); ++i)
        if (places[i] < 0 || places[i] >= rows) out_of_range(call, places[i], rows);
    char* out = view(result.ptr(), call.name(), "out").data;
    Sums job{{index.size(), shape[1], padding, places, gs.data(), out}, g.floating()};
    {
        const Unlocked unlocked(g.size() > 16384);
        std::memset(out, 0, static_cast<std::size_t>(rows * shape[1] * float_size(g.floating())));
        const i64 share = 65536 / job.n + 1;
        parallel_for(shape[1], share < 16 ? 16 : share, Sums::run, &job);
    }
    return result;
}

}  // namespace

void add_lookup(std::vector<Kernel>& list) {
    list.push_back({"take", "weight, index", take});
    list.push_back({"take_backward", "g, index, rows, padding_idx", take_backward});
}

}  // namespace tge
