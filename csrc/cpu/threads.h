// A small pool of threads of our own: work is split by shape alone, so results never depend on the number of threads.
#pragma once
#include <cstdint>

namespace tge {

// One piece of work: items [begin, end) of [0, n). `worker` counts from 0 and differs between the pieces that
// run at the same time, so that it can name a scratch buffer.
using Piece = void (*)(void* context, std::int64_t begin, std::int64_t end, int worker);

// Calls `piece` for [0, grain), [grain, 2·grain), … on as many threads as are free. Runs everything on the calling
// thread if there is one piece only, if the pool serves another caller, or from inside a piece. `worker` stays below
// `limit`: with buffers for k workers, pass k, since num_threads() may change at any time.
constexpr int max_threads = 256;
void parallel_for(std::int64_t n, std::int64_t grain, Piece piece, void* context, int limit = max_threads);

int num_threads();
void set_num_threads(int n);  // 1 … max_threads

}  // namespace tge
