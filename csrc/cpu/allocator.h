// A caching allocator: a fresh page from the system costs more than most kernels that fill it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tge {

// At least `bytes` bytes, aligned to 64; nullptr if there is no memory. Thread-safe, like everything here.
void* pool_allocate(std::size_t bytes) noexcept;
void pool_free(void* block) noexcept;  // nullptr is allowed
void pool_empty_cache() noexcept;      // gives cached blocks back to the system

struct MemoryStats {
    std::int64_t live_bytes;    // handed out now
    std::int64_t peak_bytes;    // largest live_bytes so far
    std::int64_t cached_bytes;  // free, kept for the next request
    std::int64_t cache_limit;   // upper bound of cached_bytes
    std::int64_t allocations;   // requests so far …
    std::int64_t cache_hits;    // … and how many of them needed no fresh memory
};
MemoryStats pool_stats() noexcept;

// Owns one block; for scratch memory of a kernel.
class Scratch {
public:
    explicit Scratch(std::size_t bytes) noexcept : block_(pool_allocate(bytes)) {}
    ~Scratch() { pool_free(block_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    explicit operator bool() const { return block_ != nullptr; }
    char* data() const { return static_cast<char*>(block_); }

private:
    void* block_;
};

}  // namespace tge
