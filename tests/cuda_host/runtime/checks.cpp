// The check build: kernels are compiled with -fsanitize=thread, which calls a hook for every access to memory, but linked
// to these hooks. They know CUDA's rules: two accesses to a word are ordered only by a barrier that both threads passed.
#include <cstring>

#include "runtime.h"

bool checking;

namespace {
bool ordered(const Access& a, uint32_t me) {
  if (a.thread == me) return true;
  if (a.thread / thread_count != block_number) return false;
  if (a.barrier != barrier_count) return true;
  return a.thread % thread_count / 32 == running->warp && a.warp_sync != warp_sync_count[running->warp];
}

void race(const char* what, const Access& a, uintptr_t address, bool write, uintptr_t place) {
  report("race", std::string(what) + ": " + thread_name(block_number, running->number) +
                     (write ? " writes " : " reads ") + describe(address) + ", and no barrier orders it with " +
                     thread_name(a.thread / thread_count, a.thread % thread_count),
         place, (place & ~uintptr_t(0xffffffff)) | a.place);
}

void track(Memory& m, size_t word, uint8_t bytes, bool write, bool atomic, uintptr_t place) {
  Word& w = m.words[word];
  const uint32_t epoch = m.shared ? block_epoch : launch_number;
  const uint32_t me = block_number * thread_count + running->number;
  const uintptr_t address = uintptr_t(m.base) + 4 * word;
  const auto conflicts = [&](const Access& a) {
    return a.epoch == epoch && (a.bytes & bytes) && !(atomic && a.atomic) && !ordered(a, me);
  };
  if (conflicts(w.write)) race(write ? "two writes" : "read after write", w.write, address, write, place);
  const Access now{epoch, me, barrier_count, warp_sync_count[running->warp], uint32_t(place), bytes, atomic};
  if (write) {
    for (const Access& r : {w.read, w.earlier_read})
      if (conflicts(r)) race("write after read", r, address, write, place);
    w.write = now;
  } else {
    if (w.read.thread != me) w.earlier_read = w.read;
    w.read = now;
  }
}

[[noreturn]] void undefined(const char* kind, const std::string& what, uintptr_t place) {
  report(kind, thread_name(block_number, running->number) + " " + what, place);
  stop_thread();
}
}  // namespace

void check_access(uintptr_t address, unsigned size, bool write, bool atomic, uintptr_t place) {
  if (!running || !checking) return;
  if (address - uintptr_t(running->stack) < stack_size) return;            // a local variable
  if (address - uintptr_t(&ch_now) < sizeof ch_now) return;                // threadIdx and its relatives
  static Memory* last;                                                     // most accesses follow one to the same array
  static uint32_t last_launch;
  Memory* m = last;
  if (last_launch != launch_number || address < uintptr_t(m->base) || address + size > uintptr_t(m->base) + m->size) {
    m = memory_at(address, size);
    if (!m && !write && address >= library_begin && address + size <= library_end) return;  // constants
    if (!m) undefined("out-of-bounds", std::string(write ? "writes " : "reads ") + std::to_string(size) +
                      " bytes that no array holds: " + describe(address), place);
    last = m, last_launch = launch_number;
    if (m->words.empty()) m->words.resize((m->size + 3) / 4);
  }
  if (size <= 16 && address % size)
    undefined("misaligned", "accesses " + std::to_string(size) + " bytes at " + describe(address), place);
  const size_t offset = address - uintptr_t(m->base);
  if (write) {
    memset(m->written.data() + offset, 1, size);
  } else if (memchr(m->written.data() + offset, 0, size)) {
    report("uninitialised", thread_name(block_number, running->number) + " reads " + describe(address) +
                                ", which nothing has written", place);
  }
  for (size_t word = offset / 4; word <= (offset + size - 1) / 4; ++word) {
    const size_t begin = word * 4 < offset ? offset - word * 4 : 0;
    const size_t end = offset + size < word * 4 + 4 ? offset + size - word * 4 : 4;
    track(*m, word, uint8_t((0xF << begin) & 0xF & ((1 << end) - 1)), write, atomic, place);
  }
}

// ---------------------------------------------------------------- hooks of -fsanitize=thread
#define PLACE (uintptr_t(__builtin_return_address(0)) - 1)
#define HOOKS(N)                                                                             \
  void __tsan_read##N(void* p) { check_access(uintptr_t(p), N, false, false, PLACE); }           \
  void __tsan_write##N(void* p) { check_access(uintptr_t(p), N, true, false, PLACE); }           \
  void __tsan_unaligned_read##N(void* p) { check_access(uintptr_t(p), N, false, false, PLACE); } \
  void __tsan_unaligned_write##N(void* p) { check_access(uintptr_t(p), N, true, false, PLACE); }
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void* p, unsigned long n) { check_access(uintptr_t(p), unsigned(n), false, false, PLACE); }
void __tsan_write_range(void* p, unsigned long n) { check_access(uintptr_t(p), unsigned(n), true, false, PLACE); }

void ch_atomic_load(const void* p, void* old, unsigned size) {
  check_access(uintptr_t(p), size, false, true, PLACE);
  memcpy(old, p, size);
}
void ch_atomic_store(void* p, const void* value, unsigned size) {
  check_access(uintptr_t(p), size, true, true, PLACE);
  memcpy(p, value, size);
}
}

// ---------------------------------------------------------------- hooks of -fsanitize=alignment,bounds,…
namespace {
struct Where {
  const char* file;
  uint32_t line, column;
};
void wrong(const char* kind, const Where* w, const std::string& what) {
  if (running) undefined(kind, what + " at " + w->file + ":" + std::to_string(w->line), w->line);
}
}  // namespace
extern "C" {
void __ubsan_handle_type_mismatch_v1(Where* w, void* p) {
  wrong("misaligned", w, "follows a misaligned pointer to " + describe(uintptr_t(p)));
}
void __ubsan_handle_out_of_bounds(Where* w, void* i) {
  wrong("index", w, "indexes an array beyond its end, with " + std::to_string(intptr_t(i)));
}
void __ubsan_handle_shift_out_of_bounds(Where* w, void*, void* n) {
  wrong("arithmetic", w, "shifts by " + std::to_string(intptr_t(n)));
}
void __ubsan_handle_divrem_overflow(Where* w, void*, void*) { wrong("arithmetic", w, "divides an integer by zero"); }
void __ubsan_handle_add_overflow(Where* w, void*, void*) { wrong("arithmetic", w, "overflows an integer in a sum"); }
void __ubsan_handle_sub_overflow(Where* w, void*, void*) { wrong("arithmetic", w, "overflows in a difference"); }
void __ubsan_handle_mul_overflow(Where* w, void*, void*) { wrong("arithmetic", w, "overflows an integer in a product"); }
void __ubsan_handle_negate_overflow(Where* w, void*) { wrong("arithmetic", w, "overflows in a negation"); }
}
