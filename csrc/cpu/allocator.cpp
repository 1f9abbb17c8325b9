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

// Blocks of less than a huge page share slabs made of such pages: the processor knows only so many pages by heart, and
// fetches no further ahead than to the end of one. A slab goes back to the system when none of its blocks is in use.
struct Slab {
    Slab* next;
    std::size_t used;  // bytes that blocks have been made of
    std::int64_t live;  // blocks in use
};

// In front of every block, in 64 bytes so that the block stays aligned.
struct alignas(64) Header {
    std::size_t capacity;  // bytes of the block, without this header
    int size_class;
    bool given_back;  // free, and its memory the system's again until it is written to
    Header* next;     // in the free list
    Slab* slab;       // or nullptr
    const void* thread;  // that has freed it, and has what it has written there in its processor's cache
};
static_assert(sizeof(Header) == 64, "the header must not spoil the alignment");

// Size classes: 256 bytes, then four per power of two (…, 4, 5, 6, 7, 8, 10, … units): at most a quarter is wasted.
constexpr int smallest_log2 = 8, classes = 4 * 40;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t largest = std::size_t{1} << 46;
constexpr std::size_t slab_bytes = 4 * huge_page, least_of_slab = std::size_t{1} << 16, small_page = 4096;

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
Slab* slabs = nullptr;  // blocks are made of the first one
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

// Straight from the system, to which the C library would not give so little back: huge pages, where there are any.
void* new_slab() {
    void* const memory = mmap(nullptr, slab_bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    char* const first = static_cast<char*>(memory);
    const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(memory) % huge_page) % huge_page;
    if (before > 0) munmap(first, before);
    if (before < huge_page) munmap(first + before + slab_bytes, huge_page - before);
#ifdef MADV_HUGEPAGE
    madvise(first + before, slab_bytes, MADV_HUGEPAGE);
#endif
    return first + before;
}

// A block of a slab; nullptr if there is no memory. The mutex is held.
Header* from_slab(std::size_t bytes) {
    if (!slabs || slabs->used + bytes > slab_bytes) {
        Slab* slab = static_cast<Slab*>(new_slab());
        if (!slab) return nullptr;
        *slab = {slabs, sizeof(Header), 0};
        slabs = slab;
    }
    Header* header = reinterpret_cast<Header*>(reinterpret_cast<char*>(slabs) + slabs->used);
    slabs->used += bytes;
    header->slab = slabs;
    return header;
}

// The pages of a free block of a slab, which stays in its list.
void give_back(Header* header) {
    const auto begin = (reinterpret_cast<std::uintptr_t>(header + 1) + small_page - 1) / small_page * small_page;
    const auto end = (reinterpret_cast<std::uintptr_t>(header + 1) + header->capacity) / small_page * small_page;
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    header->given_back = true;
}

const void* this_thread() {
    static thread_local const char here = 0;
    return &here;
}

// Takes a block from a free list: one of the first few that this thread has freed, or the first. The mutex is held.
Header* from_list(Header** list) {
    constexpr int few = 4;
    Header** link = list;
    for (int i = 0; i < few && *link && (*link)->thread != this_thread(); ++i) link = &(*link)->next;
    if (!*link || (*link)->thread != this_thread()) link = list;
    Header* const header = *link;
    if (header) *link = header->next;
    return header;
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
    const bool in_slab = capacity >= least_of_slab && capacity < huge_page;
    Header* header = nullptr;
    {
        const Lock lock(mutex);
        ++stats.allocations;
        header = from_list(&free_lists[size_class]);
        if (header) {
            if (!header->given_back) {
                stats.cached_bytes -= static_cast<std::int64_t>(capacity);
                ++stats.cache_hits;
            }
        } else if (in_slab && (header = from_slab(sizeof(Header) + capacity))) {
            header->capacity = capacity;
            header->size_class = size_class;
        }
        if (header) {
            header->given_back = false;
            if (header->slab) ++header->slab->live;
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
        *header = {capacity, size_class, false, nullptr, nullptr, nullptr};
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
    header->thread = this_thread();
    ASAN_POISON_MEMORY_REGION(block, header->capacity);
    {
        const Lock lock(mutex);
        stats.live_bytes -= capacity;
        const bool is_cached = stats.cached_bytes + capacity <= stats.cache_limit;
        if (is_cached || header->slab) {
            if (header->slab) --header->slab->live;
            if (is_cached) stats.cached_bytes += capacity;
            else give_back(header);
            header->next = free_lists[header->size_class];
            free_lists[header->size_class] = header;
            return;
        }
    }
    ASAN_UNPOISON_MEMORY_REGION(block, header->capacity);
    std::free(header);
}

void pool_empty_cache() noexcept {
    Header* alone = nullptr;  // blocks that are no slab's
    Slab* unused = nullptr;
    {
        const Lock lock(mutex);
        for (Header*& list : free_lists) {
            Header* kept = nullptr;
            for (Header *header = list, *next; header; header = next) {
                next = header->next;
                Header** to = header->slab ? &kept : &alone;
                if (header->slab && header->slab->live == 0) continue;  // it goes with its slab
                if (header->slab && !header->given_back) give_back(header);
                header->next = *to;
                *to = header;
            }
            list = kept;
        }
        for (Slab** link = &slabs; *link;) {
            Slab* slab = *link;
            if (slab->live > 0) {
                link = &slab->next;
                continue;
            }
            *link = slab->next;
            slab->next = unused;
            unused = slab;
        }
        stats.cached_bytes = 0;
    }
    while (alone) {
        Header* next = alone->next;
        ASAN_UNPOISON_MEMORY_REGION(alone + 1, alone->capacity);
        std::free(alone);
        alone = next;
    }
    while (unused) {
        Slab* next = unused->next;
        ASAN_UNPOISON_MEMORY_REGION(unused, slab_bytes);
        munmap(unused, slab_bytes);
        unused = next;
    }
}

MemoryStats pool_stats() noexcept {
    const Lock lock(mutex);
    return stats;
}

}  // namespace tge
