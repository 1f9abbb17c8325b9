// Random numbers and dropout, all from Philox.
#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "reductions.h"

namespace tge {
namespace {

constexpr i64 step = 4096;  // words made at a time, in the first-level cache

struct Draw {
    i64 n;
    std::uint64_t seed, offset;
    std::uint32_t stream;
    void (*from_words)(const Draw&, i64 at, i64 n, const std::uint32_t* words);
    int floating;
    double first, second;
    const char* in;
    char* out;

    static void run(void* context, i64 begin, i64 end, int) {
        const Draw& d = *static_cast<Draw*>(context);
        std::uint32_t words[step];
        for (i64 part = begin; part < end; ++part) {
            const i64 at = part * step, count = d.n - at < step ? d.n - at : step;
            kernels().philox((count + 3) / 4, d.seed, d.stream, d.offset + static_cast<std::uint64_t>(at / 4), words);
            d.from_words(d, at, count, words);
        }
    }
    void all() {
        const Unlocked unlocked(n > 8192);
        parallel_for((n + step - 1) / step, 4, run, this);
    }
    void key(const Call& call, std::size_t i) {
        seed = call.word(i);
        stream = static_cast<std::uint32_t>(call.word(i + 1));
        offset = call.word(i + 2);
    }
};

py::object philox(Call& call) {
    const i64 n = call.integer(0);
    const Py_ssize_t shape[] = {static_cast<Py_ssize_t>(n)};
    py::object result = new_array(type_uint32, 1, shape);
    Draw draw{};
    draw.n = n;
    draw.key(call, 1);
    draw.out = view(result.ptr(), call.name(), "out").data;
    draw.from_words = [](const Draw& d, i64 at, i64 count, const std::uint32_t* words) {
        std::uint32_t* to = reinterpret_cast<std::uint32_t*>(d.out) + at;
        for (i64 i = 0; i < count; ++i) to[i] = words[i];
    };
    draw.all();
    return result;
}

py::object distribution(Call& call, bool is_normal) {
    const int floating = call.floating_dtype(3);
    if (floating < 0) return call.decline("not a float dtype");
    const auto shape = call.shape(0);
    py::object result = new_array(float_type(floating), static_cast<int>(shape.size()), shape.data());
    const View out = view(result.ptr(), call.name(), "out");
    Draw draw{};
    draw.n = out.size();
    draw.key(call, 4);
    draw.floating = floating;
    draw.first = call.number(1);
    draw.second = is_normal ? call.number(2) : call.number(2) - draw.first;
    draw.out = out.data;
    if (is_normal)
        draw.from_words = [](const Draw& d, i64 at, i64 n, const std::uint32_t* words) {
            kernels().normal[d.floating](n, words, d.first, d.second, d.out + at * float_size(d.floating));
        };
    else
        draw.from_words = [](const Draw& d, i64 at, i64 n, const std::uint32_t* words) {
            kernels().uniform[d.floating](n, words, d.first, d.second, d.out + at * float_size(d.floating));
        };
    draw.all();
    return result;
}

py::object uniform(Call& call) { return distribution(call, false); }
py::object normal(Call& call) { return distribution(call, true); }

py::object dropout(Call& call) {
    const View given = call.array(0, "x");
    const int floating = given.floating();
    if (floating < 0) return call.decline_dtype(given);
    const double p = call.number(1);
    Draw draw{};
    draw.key(call, 2);
    py::object result = result_array(call.slot[5], call.name(), float_type(floating), given.nd, given.shape);
    draw.n = given.size();
    if (draw.n == 0) return result;
    constexpr bool in_order[max_dims] = {};
    LastAxes x(given, in_order), out(view(result.ptr(), call.name(), "out"), in_order);
    x.read();
    draw.floating = floating;
    draw.first = p;
    draw.in = x.view().data;
    draw.out = out.view().data;
    draw.from_words = [](const Draw& d, i64 at, i64 n, const std::uint32_t* words) {
        const i64 bytes = at * float_size(d.floating);
        kernels().dropout[d.floating](n, words, d.first, d.in + bytes, d.out + bytes);
    };
    draw.all();
    out.write_back();
    return result;
}

}  // namespace

void add_random(std::vector<Kernel>& list) {
    list.push_back({"philox", "n, seed, stream, offset", philox});
    list.push_back({"uniform", "shape, low, high, dtype, seed, stream, offset", uniform});
    list.push_back({"normal", "shape, mean, std, dtype, seed, stream, offset", normal});
    list.push_back({"dropout", "x, p, seed, stream, offset, *, out=None", dropout});
}

}  // namespace tge
