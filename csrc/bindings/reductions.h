// Arrays with chosen axes moved to the end, contiguous.
#pragma once
#include "../cpu/allocator.h"
#include "call.h"

namespace tge {

// `x` with the axes marked in `last` moved behind the others: the memory itself where it happens to lie that way, else
// a temporary, to be filled by read() for an input and copied back by write_back() for an output.
class LastAxes {
public:
    LastAxes(const View& x, const bool* last);
    ~LastAxes() { pool_free(copy_); }
    LastAxes(const LastAxes&) = delete;
    LastAxes& operator=(const LastAxes&) = delete;

    const View& view() const { return view_; }
    void read();
    void write_back();

private:
    View view_, original_;
    Py_ssize_t shape_[max_dims], strides_[max_dims], packed_[max_dims];
    void* copy_;
};

}  // namespace tge
