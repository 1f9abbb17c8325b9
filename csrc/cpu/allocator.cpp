#include "allocator.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdlib>
#include <mutex>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)0)
#endif

namespace tge {
namespace {

// In front of every block, in 64 bytes so that the block stays aligned.
struct alignas(64) Header {
    std::size_t capacity;  // bytes of the block, without this header
    int size_class;
    Header* next;  // in the free list
};
static_assert(sizeof(Header) == 64, "the header must not spoil the alignment");

// Size classes: 256 bytes, then four per power of two (…, 4, 5, 6, 7, 8, 10, … units): at most a quarter is wasted.
constexpr int smallest_log2 = 8, classes = 4 * 40;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t largest = std::size_t{1} << 46;

int class_of(std::size_t bytes) {
    if (bytes <= std::size_t{1} << smallest_log2) return 0;
    const int log2 = 63 - __builtin_clzll(bytes - 1);  // 2^log2 ≤ bytes − 1
    const int quarter = static_cast<int>((bytes - 1) >> (log2 - 2)) & 3;
    return 4 * (log2 - smallest_log2) + quarter + 1;
}

std::size_t capacity_of(int size_class) {
    if (size_class == 0) return std::size_t{1} << smallest_log2;
    const int log2 = smallest_log2 + (size_class - 1) / 4, quarter = (size_class - 1) % 4;
    return (std::size_t{5} + static_cast<std::size_t>(quarter)) << (log2 - 2);
}

// Held for some ten instructions: who finds it taken looks again before it sleeps.
class Mutex {
public:
    void lock() {
        for (int i = 0; i < 100; ++i)
            if (mutex_.try_lock()) return;
        mutex_.lock();
    }
    void unlock() { mutex_.unlock(); }

private:
    std::mutex mutex_;
};
using Lock = std::lock_guard<Mutex>;

Mutex mutex;
Header* free_lists[classes] = {};
MemoryStats stats = {0, 0, 0, std::int64_t{1} << 30, 0, 0};

// A fork while another thread holds the mutex would leave it locked for ever in the child.
const int at_fork = pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });

void* from_system(std::size_t bytes) {
    if (bytes >= huge_page) {
        void* memory = nullptr;
        if (posix_memalign(&memory, huge_page, bytes) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
        // One page fault for 2 MiB instead of 512; the rest, often just the header's 64 bytes, stays in small pages.
        madvise(memory, bytes & ~(huge_page - 1), MADV_HUGEPAGE);
#endif
        return memory;
    }
    return std::aligned_alloc(64, bytes);
}

void count_live(std::size_t capacity) {
    stats.live_bytes += static_cast<std::int64_t>(capacity);
    if (stats.live_bytes > stats.peak_bytes) stats.peak_bytes = stats.live_bytes;
}

}  // namespace

void* pool_allocate(std::size_t bytes) noexcept {
    if (bytes > largest) return nullptr;
    const int size_class = class_of(bytes);
    const std::size_t capacity = capacity_of(size_class);
    Header* header = nullptr;
    {
        const Lock lock(mutex);
        ++stats.allocations;
        header = free_lists[size_class];
        if (header) {
            free_lists[size_class] = header->next;
            stats.cached_bytes -= static_cast<std::int64_t>(capacity);
            ++stats.cache_hits;
            count_live(capacity);
        }
    }
    if (!header) {
        header = static_cast<Header*>(from_system(sizeof(Header) + capacity));
        if (!header) {
            pool_empty_cache();
            header = static_cast<Header*>(from_system(sizeof(Header) + capacity));
            if (!header) return nullptr;
        }
        header->capacity = capacity;
        header->size_class = size_class;
        const Lock lock(mutex);
        count_live(capacity);
    }
    char* block = reinterpret_cast<char*>(header + 1);
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    ASAN_POISON_MEMORY_REGION(block + (bytes + 7) / 8 * 8, capacity - (bytes + 7) / 8 * 8);
    return block;
}

void pool_free(void* block) noexcept {
    if (!block) return;
    Header* header = static_cast<Header*>(block) - 1;
    const auto capacity = static_cast<std::int64_t>(header->capacity);
    ASAN_POISON_MEMORY_REGION(block, header->capacity);
    {
        const Lock lock(mutex);
        stats.live_bytes -= capacity;
        if (stats.cached_bytes + capacity <= stats.cache_limit) {
            stats.cached_bytes += capacity;
            header->next = free_lists[header->size_class];
            free_lists[header->size_class] = header;
            return;
        }
    }
    ASAN_UNPOISON_MEMORY_REGION(block, header->capacity);
    std::free(header);
}

void pool_empty_cache() noexcept {
    Header* lists[classes];
    {
        const Lock lock(mutex);
        for (int i = 0; i < classes; ++i) {
            lists[i] = free_lists[i];
            free_lists[i] = nullptr;
        }
        stats.cached_bytes = 0;
    }
    for (Header* header : lists)
        while (header) {
            Header* next = header->next;
            ASAN_UNPOISON_MEMORY_REGION(header + 1, header->capacity);
            std::free(header);
            header = next;
        }
}

MemoryStats pool_stats() noexcept {
    const Lock lock(mutex);
    return stats;
}

}  // namespace tge
