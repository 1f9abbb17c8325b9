// LSTM and GRU cells: the arrays around the kernels.
#include <memory>

#include "../cpu/isa.h"
#include "../cpu/threads.h"
#include "windows.h"

namespace tge {
namespace {

constexpr std::size_t max_arrays = 7;

// An array of the call: its name, and how many blocks of H entries its rows have.
struct Argument {
    const char* name;
    i64 blocks;
};

using Run = void (*)(i64 begin, i64 end, i64 hidden, void* const* arrays);  // as in table.h

struct Cell {
    Run run;
    i64 hidden;
    void* arrays[max_arrays];
};

// `state`: the place of an input (N, H), which says what N and H are.
py::object cell(Call& call, const Run* kernel, std::size_t state, const std::vector<Argument>& inputs,
                const std::vector<i64>& outputs) {
    const View like = call.array(state, inputs[state].name);
    const int floating = like.floating();
    if (floating < 0) return call.decline_dtype(like);
    require(like.nd == 2, call, std::string(inputs[state].name) + " must be (N, H), not " + shape_text(like));
    const i64 rows = like.shape[0], hidden = like.shape[1];
    Cell job{kernel[floating], hidden, {}};
    std::unique_ptr<Contiguous> read[max_arrays];
    for (std::size_t a = 0; a < inputs.size(); ++a) {
        const View v = call.array(a, inputs[a].name);
        if (v.floating() != floating) return call.decline_dtype(v);
        require(v.nd == 2 && v.shape[0] == rows && v.shape[1] == inputs[a].blocks * hidden, call,
                std::string(inputs[a].name) + " has shape " + shape_text(v) + "; beside " + inputs[state].name + " " +
                    shape_text(like) + " it must have " + std::to_string(inputs[a].blocks) + " entries for each of its");
        read[a] = std::make_unique<Contiguous>(v);
        job.arrays[a] = read[a]->data();
    }
    py::tuple results(outputs.size());
    for (std::size_t o = 0; o < outputs.size(); ++o) {
        const Py_ssize_t shape[] = {like.shape[0], static_cast<Py_ssize_t>(outputs[o] * hidden)};
        py::object array = new_array(float_type(floating), 2, shape);
        job.arrays[inputs.size() + o] = view(array.ptr(), call.name(), "result").data;
        results[o] = std::move(array);
    }
    if (rows * hidden == 0) return std::move(results);
    const Unlocked unlocked(rows * hidden > 4096);
    parallel_for(rows, 4096 / hidden + 1,
                 [](void* context, i64 begin, i64 end, int) {
                     const auto& c = *static_cast<Cell*>(context);
                     c.run(begin, end, c.hidden, c.arrays);
                 },
                 &job);
    return std::move(results);
}

py::object lstm_cell(Call& call) {
    return cell(call, kernels().lstm_cell, 2, {{"gx", 4}, {"gh", 4}, {"c", 1}}, {1, 1, 4});
}
py::object lstm_cell_backward(Call& call) {
    return cell(call, kernels().lstm_cell_backward, 0, {{"dh", 1}, {"dc", 1}, {"gates", 4}, {"c", 1}, {"new", 1}},
                {4, 1});
}
py::object gru_cell(Call& call) {
    return cell(call, kernels().gru_cell, 2, {{"gx", 3}, {"gh", 3}, {"h", 1}}, {1, 4});
}
py::object gru_cell_backward(Call& call) {
    return cell(call, kernels().gru_cell_backward, 0, {{"dh", 1}, {"gates", 4}, {"h", 1}}, {3, 3, 1});
}

}  // namespace

void add_recurrent(std::vector<Kernel>& list) {
    list.push_back({"lstm_cell", "gx, gh, c", lstm_cell});
    list.push_back({"lstm_cell_backward", "dh, dc, gates, c, new", lstm_cell_backward});
    list.push_back({"gru_cell", "gx, gh, h", gru_cell});
    list.push_back({"gru_cell_backward", "dh, gates, h", gru_cell_backward});
}

}  // namespace tge
