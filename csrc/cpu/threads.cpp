#include "threads.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>

namespace tge {
namespace {

// The pieces are dealt out in ranges, one for each thread, so that a thread finds in its cache what it has written there in
// the job before. Who has finished with a range of his own takes from those of others.
struct Job {
    struct alignas(64) Range {
        std::atomic<std::int64_t> next{0};
        std::int64_t end = 0;
    };
    std::int64_t grain = 1;
    Piece piece = nullptr;
    void* context = nullptr;
    int threads = 1;
    Range ranges[max_threads];

    void deal(std::int64_t n) {
        const std::int64_t pieces = (n + grain - 1) / grain;
        for (int t = 0; t < threads; ++t) {
            ranges[t].next.store(pieces * t / threads * grain, std::memory_order_relaxed);
            ranges[t].end = t + 1 == threads ? n : pieces * (t + 1) / threads * grain;
        }
    }
    void work(int worker) {
        for (int t = worker, left = threads; left > 0; --left, t = t + 1 == threads ? 0 : t + 1)
            for (Range& range = ranges[t];;) {
                const std::int64_t begin = range.next.fetch_add(grain, std::memory_order_relaxed);
                if (begin >= range.end) break;
                piece(context, begin, begin + grain < range.end ? begin + grain : range.end, worker);
            }
    }
};

thread_local bool inside_piece = false;

// A training step is a row of short jobs with some Python between them, and to wake a thread takes longer than many of
// them. So both sides look for a while, about 0.3 ms, before they sleep; unless another thread waits for the processor.
constexpr int patience = 30000;

template <class Condition> void look_for(int threads, const Condition& happened) {
    static const int processors = static_cast<int>(std::thread::hardware_concurrency());
    if (threads > processors) return;
    for (int i = 0; i < patience && !happened(); ++i) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        std::this_thread::yield();
#endif
    }
}

// A thread of the pool. After a pause the system likes to wake it on the processor where its caller is at work, and takes
// some milliseconds to see that another one is idle. So it is woken elsewhere, and may go where it likes from then on.
struct Helper {
    pthread_t thread{};
    bool asleep = false, moved = false;  // both under the pool's mutex

#if defined(__linux__)
    cpu_set_t allowed;
    void aside() {
        const int here = sched_getcpu();
        if (!asleep || here < 0 || pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) return;
        cpu_set_t others = allowed;
        CPU_CLR(here, &others);
        moved = CPU_COUNT(&others) > 0 && pthread_setaffinity_np(thread, sizeof others, &others) == 0;
    }
    void awake() {
        if (moved) pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
        asleep = moved = false;
    }
#else
    void aside() {}
    void awake() { asleep = false; }
#endif
};

// The pool is never destroyed (its threads may sleep until the process ends). After a fork the child makes a new one.
class Pool {
public:
    // False if another caller is using the pool.
    bool run(std::int64_t n, std::int64_t grain, Piece piece, void* context, int threads) {
        std::unique_lock<std::mutex> caller(callers_, std::try_to_lock);
        if (!caller.owns_lock()) return false;
        grow(threads - 1);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            job_.grain = grain;
            job_.piece = piece;
            job_.context = context;
            job_.threads = threads;
            job_.deal(n);
            helpers_ = threads - 1;
            for (int i = 0; i < helpers_ && i < size_; ++i) pool_[i].aside();
            open_ = true;
            ++generation_;
        }
        wake_.notify_all();
        job_.work(0);
        look_for(threads, [this] { return joined_.load(std::memory_order_acquire) == 0; });
        // A helper that has not woken up by now is not waited for: it finds the job closed and sleeps on.
        std::unique_lock<std::mutex> lock(mutex_);
        open_ = false;
        done_.wait(lock, [this] { return joined_ == 0; });
        return true;
    }

private:
    void grow(int helpers) {
        while (size_ < helpers) {
            try {
                std::thread thread(&Pool::serve, this, size_ + 1);
                pool_[size_].thread = thread.native_handle();
                thread.detach();
            } catch (const std::system_error&) {
                return;  // the system gives no more threads: those we have, at least this one, do the work
            }
            ++size_;
        }
    }

    void serve(int worker) {
        inside_piece = true;
        std::uint64_t seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            pool_[worker - 1].asleep = true;
            wake_.wait(lock, [&] { return generation_ != seen; });
            pool_[worker - 1].awake();
            seen = generation_;
            if (!open_ || worker > helpers_) continue;
            ++joined_;
            const int threads = helpers_ + 1;
            lock.unlock();
            job_.work(worker);
            lock.lock();
            if (--joined_ == 0) done_.notify_one();
            lock.unlock();
            look_for(threads, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
            lock.lock();
        }
    }

    std::mutex callers_, mutex_;
    Helper pool_[max_threads];
    std::condition_variable wake_, done_;
    Job job_;
    int size_ = 0, helpers_ = 0;
    bool open_ = false;
    std::atomic<int> joined_{0};  // these two are changed under the mutex and looked at without it
    std::atomic<std::uint64_t> generation_{0};
};

int threads_from_environment() {
    if (const char* text = std::getenv("OMP_NUM_THREADS")) {
        const long n = std::strtol(text, nullptr, 10);
        if (n >= 1) return n < max_threads ? static_cast<int>(n) : max_threads;
    }
    const unsigned n = std::thread::hardware_concurrency();
    return n < 1 ? 1 : n < unsigned{max_threads} ? static_cast<int>(n) : max_threads;
}

std::atomic<int> thread_count{0};
std::atomic<Pool*> pool{nullptr};

void forget_pool() { pool.store(nullptr); }  // its threads exist in the parent only

Pool& the_pool() {
    Pool* current = pool.load(std::memory_order_acquire);
    if (current) return *current;
    static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
    (void)registered;
    Pool* fresh = new Pool;
    if (pool.compare_exchange_strong(current, fresh)) return *fresh;
    delete fresh;  // another thread was quicker
    return *current;
}

}  // namespace

int num_threads() {
    int n = thread_count.load(std::memory_order_relaxed);
    if (n == 0) {
        n = threads_from_environment();
        thread_count.store(n, std::memory_order_relaxed);
    }
    return n;
}

void set_num_threads(int n) {
    thread_count.store(n < 1 ? 1 : n > max_threads ? max_threads : n, std::memory_order_relaxed);
}

void parallel_for(std::int64_t n, std::int64_t grain, Piece piece, void* context, int limit) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    int threads = num_threads();
    if (threads > limit) threads = limit;
    const std::int64_t pieces = (n + grain - 1) / grain;
    if (pieces < threads) threads = static_cast<int>(pieces);
    if (threads > 1 && !inside_piece) {
        inside_piece = true;  // a piece that calls parallel_for runs it serially
        const bool served = the_pool().run(n, grain, piece, context, threads);
        inside_piece = false;
        if (served) return;
    }
    for (std::int64_t begin = 0; begin < n; begin += grain)
        piece(context, begin, begin + grain < n ? begin + grain : n, 0);
}

}  // namespace tge
