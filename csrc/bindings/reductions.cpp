// sum, amax, amin, argmax, argmin over any axes of any layout.
#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "windows.h"

namespace tge {

namespace {

constexpr i64 chunk = 65536;        // elements of one partial result of a long row
constexpr i64 rows_per_chunk = 512;  // rows of one partial result of a column

struct Dims {
    std::vector<i64> shape, strides;
    i64 size() const {
        i64 n = 1;
        for (const i64 s : shape) n *= s;
        return n;
    }
    // Merges with the dimension before where memory allows it.
    void add(i64 n, i64 stride) {
        if (n == 1) return;
        if (!shape.empty() && strides.back() == stride * n) {
            shape.back() *= n;
            strides.back() = stride;
        } else {
            shape.push_back(n);
            strides.push_back(stride);
        }
    }
    i64 offset(i64 index) const {
        i64 bytes = 0;
        for (std::size_t d = shape.size(); d-- > 0; index /= shape[d]) bytes += index % shape[d] * strides[d];
        return bytes;
    }
};

double combine(Reduction kind, double a, double b) {
    if (kind == reduce_sum) return a + b;
    if (kind == reduce_max) return a > b || a != a ? a : b;
    return a < b || a != a ? a : b;
}

struct Job {
    const Table* table;
    Reduction kind;
    int floating;
    const char* data;
    Dims kept, reduced;     // in the row case, of the reduced dimensions all but the last
    i64 n, chunks;          // length of a row and its number of chunks
    i64 parts;              // rows behind one output, times chunks
    i64 rows, columns;      // the column case: rows are reduced, columns next to each other are kept
    double* partial;        // [output][row][chunk], or [outer][chunk][column]

    void row_pieces(i64 begin, i64 end) const {
        const auto rows_of = table->reduce_rows[kind][floating];
        const Dims& next = reduced.shape.empty() ? kept : reduced;  // what the next row is a step further in
        const i64 stride = next.strides.empty() ? 0 : next.strides.back();
        const i64 together = chunks > 1 || next.shape.empty() ? 1 : next.shape.back();  // rows of one stride
        for (i64 i = begin; i < end;) {
            const i64 part = i % parts, start = part % chunks * chunk, length = n - start < chunk ? n - start : chunk;
            const i64 left = together - i % together, count = end - i < left ? end - i : left;
            const i64 at = kept.offset(i / parts) + reduced.offset(part / chunks) + start * float_size(floating);
            rows_of(count, length, data + at, stride, partial + i);
            i += count;
        }
    }
    void column_pieces(i64 begin, i64 end) const {
        for (i64 i = begin; i < end; ++i) {
            const i64 start = i % chunks * rows_per_chunk;
            const i64 count = rows - start < rows_per_chunk ? rows - start : rows_per_chunk;
            const i64 stride = reduced.strides.empty() ? 0 : reduced.strides[0];
            table->reduce_columns[kind][floating](count, columns, data + kept.offset(i / chunks) + start * stride,
                                                  stride, partial + i * columns);
        }
    }
};

template <void (Job::*Pieces)(i64, i64) const>
void share(Job& job, i64 pieces, i64 work_of_one) {
    const i64 total = pieces * work_of_one, grain = work_of_one >= 16384 ? 1 : 16384 / (work_of_one + 1) + 1;
    const Unlocked unlocked(total > 65536);
    if (total < 2 * chunk) return (job.*Pieces)(0, pieces);
    parallel_for(pieces, grain,
                 [](void* context, i64 begin, i64 end, int) { (static_cast<Job*>(context)->*Pieces)(begin, end); },
                 &job);
}

void store(int floating, i64 n, const double* from, char* to) {
    if (floating == 0)
        for (i64 i = 0; i < n; ++i) reinterpret_cast<float*>(to)[i] = static_cast<float>(from[i]);
    else
        for (i64 i = 0; i < n; ++i) reinterpret_cast<double*>(to)[i] = from[i];
}

Scratch scratch(i64 count, i64 size) {
    i64 bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) throw std::bad_alloc();
    return Scratch(static_cast<std::size_t>(bytes));
}

// How the elements behind one result lie: in rows next to each other, in columns whose neighbours belong to the
// neighbouring results, or in neither way.
enum class Lies { rows, columns, otherwise };
Lies lies(const Dims& kept, const Dims& reduced, i64 size) {
    constexpr i64 shortest = 32;  // of several rows behind one result: else a copy takes less than a call for each
    const std::size_t dims = reduced.shape.size();
    const bool columns = dims <= 1 && !kept.shape.empty() && kept.strides.back() == size;
    if (dims == 0) return columns ? Lies::columns : kept.shape.empty() ? Lies::rows : Lies::otherwise;
    if (reduced.strides.back() == size && (dims == 1 || reduced.shape.back() >= shortest)) return Lies::rows;
    return columns ? Lies::columns : Lies::otherwise;
}

// Writes the kept elements, in C order, to `to`.
void reduce(Reduction kind, int floating, const View& x, const Dims& kept, const Dims& reduced, char* to) {
    const i64 size = float_size(floating), outputs = kept.size();
    Job job{&kernels(), kind, floating, x.data, kept, reduced, reduced.size(), 1, 1, 0, 0, nullptr};
    if (lies(kept, reduced, size) == Lies::rows) {
        if (!reduced.shape.empty()) {
            job.n = reduced.shape.back();
            job.reduced.shape.pop_back();
            job.reduced.strides.pop_back();
        }
        job.chunks = job.n > chunk ? (job.n + chunk - 1) / chunk : 1;
        job.parts = job.reduced.size() * job.chunks;
        const Scratch partial = scratch(outputs * job.parts, sizeof(double));
        if (!partial) throw std::bad_alloc();
        job.partial = reinterpret_cast<double*>(partial.data());
        share<&Job::row_pieces>(job, outputs * job.parts, job.n < chunk ? job.n : chunk);
        if (job.parts > 1)
            for (i64 i = 0; i < outputs; ++i) {
                double all = job.partial[i * job.parts];
                for (i64 p = 1; p < job.parts; ++p) all = combine(kind, all, job.partial[i * job.parts + p]);
                job.partial[i] = all;
            }
        return store(floating, outputs, job.partial, to);
    }
    job.columns = kept.shape.back();
    job.kept.shape.pop_back();
    job.kept.strides.pop_back();
    job.rows = job.n;
    job.chunks = (job.rows + rows_per_chunk - 1) / rows_per_chunk;
    if (job.chunks < 1) job.chunks = 1;
    const i64 outer = job.kept.size();
    const Scratch partial = scratch(outer * job.chunks * job.columns, sizeof(double));
    if (!partial) throw std::bad_alloc();
    job.partial = reinterpret_cast<double*>(partial.data());
    share<&Job::column_pieces>(job, outer * job.chunks, job.columns * (job.rows < rows_per_chunk ? job.rows : rows_per_chunk));
    for (i64 o = 0; o < outer; ++o) {
        double* all = job.partial + o * job.chunks * job.columns;
        for (i64 c = 1; c < job.chunks; ++c)
            for (i64 j = 0; j < job.columns; ++j) all[j] = combine(kind, all[j], all[c * job.columns + j]);
        store(floating, job.columns, all, to + o * job.columns * size);
    }
}

struct Plan {
    bool is_reduced[max_dims] = {};
    Py_ssize_t shape[max_dims];  // of the result
    int nd = 0;
    i64 count = 1;  // elements behind one result
};

Plan plan(const Call& call, const View& x, const std::vector<Py_ssize_t>& axes, bool keepdims) {
    Plan p;
    for (const Py_ssize_t axis : axes) {
        if (axis < 0 || axis >= x.nd || p.is_reduced[axis])
            throw py::value_error(std::string(call.name()) + ": axes must be distinct and lie in [0, " +
                                  std::to_string(x.nd) + ") for shape " + shape_text(x));
        p.is_reduced[axis] = true;
        p.count *= x.shape[axis];
    }
    for (int d = 0; d < x.nd; ++d)
        if (!p.is_reduced[d]) p.shape[p.nd++] = x.shape[d];
        else if (keepdims) p.shape[p.nd++] = 1;
    return p;
}

void split(const View& x, const Plan& p, Dims& kept, Dims& reduced) {
    for (int d = 0; d < x.nd; ++d) (p.is_reduced[d] ? reduced : kept).add(x.shape[d], x.strides[d]);
}

}  // namespace

LastAxes::LastAxes(const View& x, const bool* last) : copy_(nullptr) {
    for (int pass = 0; pass < 2; ++pass)
        for (int d = 0; d < x.nd; ++d)
            if (last[d] == (pass == 1)) {
                shape_[view_.nd] = x.shape[d];
                strides_[view_.nd++] = x.strides[d];
            }
    view_.data = x.data;
    view_.shape = shape_;
    view_.strides = strides_;
    view_.type_num = x.type_num;
    view_.item_size = x.item_size;
    view_.usable = true;
    original_ = view_;
    Py_ssize_t step = x.item_size;
    bool contiguous = true;
    for (int d = view_.nd - 1; d >= 0; --d) {
        packed_[d] = step;
        if (shape_[d] != 1 && strides_[d] != step) contiguous = false;
        step *= shape_[d];
    }
    if (contiguous || x.size() == 0) return;
    copy_ = pool_allocate(static_cast<std::size_t>(step));
    if (!copy_) throw std::bad_alloc();
    view_.data = static_cast<char*>(copy_);
    view_.strides = packed_;
}

void LastAxes::read() {
    if (copy_) copy_into(view_, original_);
}
void LastAxes::write_back() {
    if (copy_) copy_into(original_, view_);
}

namespace {

py::object reduction(Call& call, Reduction kind) {
    const View x = call.array(0, "x");
    const int floating = x.floating();
    if (floating < 0) return call.decline_dtype(x);
    const Plan p = plan(call, x, call.shape(1), call.truth(2));
    i64 outputs = 1;
    for (int d = 0; d < p.nd; ++d) outputs *= p.shape[d];
    if (p.count == 0 && kind != reduce_sum && outputs > 0)
        throw py::value_error(std::string(call.name()) + ": no elements to compare in shape " + shape_text(x) +
                              " (an empty axis has no maximum or minimum)");
    py::object result = result_array(call.slot[3], call.name(), float_type(floating), p.nd, p.shape);
    const View out = view(result.ptr(), call.name(), "out");
    if (outputs == 0) return result;
    Dims kept, reduced;
    split(x, p, kept, reduced);
    const i64 size = float_size(floating);
    const Scratch temporary = scratch(out.contiguous ? 0 : outputs, size);
    if (!temporary) throw std::bad_alloc();
    char* target = out.contiguous ? out.data : temporary.data();
    if (p.count == 0 || lies(kept, reduced, size) != Lies::otherwise) {
        if (p.count == 0) {
            reduced = Dims();
            reduced.shape.push_back(0);
            reduced.strides.push_back(size);
        }
        reduce(kind, floating, x, kept, reduced, target);
    } else {
        LastAxes moved(x, p.is_reduced);
        moved.read();
        Dims k, r;
        const View& m = moved.view();
        int at = 0;
        for (int d = 0; d < x.nd; ++d)
            if (!p.is_reduced[d]) k.add(m.shape[at], m.strides[at]), ++at;
        for (int d = 0; d < x.nd; ++d)
            if (p.is_reduced[d]) r.add(m.shape[at], m.strides[at]), ++at;
        reduce(kind, floating, m, k, r, target);
    }
    if (!out.contiguous) {
        Py_ssize_t packed[max_dims], step = size;
        for (int d = out.nd - 1; d >= 0; --d) packed[d] = step, step *= out.shape[d];
        View from = out;
        from.data = target;
        from.strides = packed;
        copy_into(out, from);
    }
    return result;
}

py::object sum(Call& call) { return reduction(call, reduce_sum); }
py::object amax(Call& call) { return reduction(call, reduce_max); }
py::object amin(Call& call) { return reduction(call, reduce_min); }

struct Positions {
    i64 (*row)(i64, const void*);
    const char* data;
    i64 n, row_bytes;
    i64* out;
};

py::object position(Call& call, i64 (*const* rows)(i64, const void*)) {
    const View x = call.array(0, "x");
    const int floating = x.floating();
    if (floating < 0) return call.decline_dtype(x);
    const Plan p = plan(call, x, {static_cast<Py_ssize_t>(call.integer(1))}, call.truth(2));
    i64 outputs = 1;
    for (int d = 0; d < p.nd; ++d) outputs *= p.shape[d];
    if (p.count == 0)
        throw py::value_error(std::string(call.name()) + ": the axis is empty in shape " + shape_text(x));
    py::object result = new_array(type_long, p.nd, p.shape);
    if (outputs == 0) return result;
    LastAxes moved(x, p.is_reduced);
    moved.read();
    Positions job{rows[floating], moved.view().data, p.count, p.count * float_size(floating),
                  reinterpret_cast<i64*>(view(result.ptr(), call.name(), "out").data)};
    const Unlocked unlocked(outputs * p.count > 65536);
    parallel_for(outputs, p.count >= 32768 ? 1 : 32768 / p.count + 1,
                 [](void* context, i64 begin, i64 end, int) {
                     const auto& j = *static_cast<Positions*>(context);
                     for (i64 i = begin; i < end; ++i) j.out[i] = j.row(j.n, j.data + i * j.row_bytes);
                 },
                 &job);
    return result;
}

// x (outer, n, inner): lines along the axis, of which many are taken at a time.
struct Lines {
    const Table* table;
    int floating;
    i64 n, inner, all;  // all: outer · inner
    const char* x;
    char* y;

    i64 together() const { return inner == 1 ? 64 : 512; }
    i64 groups() const {
        const i64 of_one = inner == 1 ? all : inner;
        return all / of_one * ((of_one + together() - 1) / together());
    }
    void operator()(i64 begin, i64 end) const {
        const i64 together = this->together();
        const i64 size = float_size(floating), of_inner = (inner + together - 1) / together;
        for (i64 group = begin; group < end; ++group) {
            const i64 first = inner == 1 ? group * together : group % of_inner * together;
            const i64 left = (inner == 1 ? all : inner) - first, lines = left < together ? left : together;
            const i64 start = inner == 1 ? first * n : group / of_inner * n * inner + first;
            table->running_sums[floating](n, inner == 1 ? 1 : inner, lines, inner == 1 ? n : 1, x + start * size,
                                          y + start * size);
        }
    }
};

py::object cumsum(Call& call) {
    const View x = call.array(0, "x");
    const int floating = x.floating();
    if (floating < 0) return call.decline_dtype(x);
    const i64 axis = call.integer(1);
    if (axis < 0 || axis >= x.nd) return call.decline("axis");
    py::object result = new_array(float_type(floating), x.nd, x.shape);
    if (x.size() == 0) return result;
    const Contiguous xs(x);
    Lines job{&kernels(), floating, x.shape[axis], 1, 0, static_cast<const char*>(xs.data()),
              view(result.ptr(), call.name(), "out").data};
    for (int d = static_cast<int>(axis) + 1; d < x.nd; ++d) job.inner *= x.shape[d];
    job.all = x.size() / job.n;
    const Unlocked unlocked(x.size() > 16384);
    parallel_for(job.groups(), 16384 / (job.n * job.together()) + 1,
                 [](void* context, i64 begin, i64 end, int) { (*static_cast<Lines*>(context))(begin, end); }, &job);
    return result;
}

py::object argmax(Call& call) { return position(call, kernels().argmax_row); }
py::object argmin(Call& call) { return position(call, kernels().argmin_row); }

}  // namespace

void add_reductions(std::vector<Kernel>& list) {
    list.push_back({"sum", "x, axes, keepdims, *, out=None", sum});
    list.push_back({"amax", "x, axes, keepdims, *, out=None", amax});
    list.push_back({"amin", "x, axes, keepdims, *, out=None", amin});
    list.push_back({"argmax", "x, axis, keepdims", argmax});
    list.push_back({"cumsum", "x, axis", cumsum});
    list.push_back({"argmin", "x, axis, keepdims", argmin});
}

}  // namespace tge
