// Device memory: ordinary host memory with a guard on either side, filled with 0xFF (NaN) until somebody writes to it.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "runtime.h"

Memory static_shared, dynamic_shared;
uintptr_t library_begin, library_end;

namespace {
constexpr size_t guard = 512;
std::map<uintptr_t, Memory> allocations;  // by base address

bool holds(const Memory& m, uintptr_t address, size_t size) {
  return address >= uintptr_t(m.base) && address + size <= uintptr_t(m.base) + m.size;
}
Memory* allocation_at(uintptr_t address, size_t size) {
  auto it = allocations.upper_bound(address);
  return it != allocations.begin() && holds((--it)->second, address, size) ? &it->second : nullptr;
}
}  // namespace

Memory* memory_at(uintptr_t address, size_t size) {
  for (Memory* m : {&static_shared, &dynamic_shared})
    if (holds(*m, address, size)) return m;
  return allocation_at(address, size);
}

// The byte of the array that holds the address, or of the one that it misses by the least.
std::string describe(uintptr_t address) {
  const Memory* nearest = memory_at(address, 1);
  uintptr_t distance = nearest ? 0 : 1 << 20;
  const auto consider = [&](const Memory& m) {
    const uintptr_t begin = uintptr_t(m.base), end = begin + m.size;
    const uintptr_t d = address < begin ? begin - address : address - end;
    if (d < distance) distance = d, nearest = &m;
  };
  if (!nearest) {
    consider(static_shared), consider(dynamic_shared);
    for (const auto& a : allocations) consider(a.second);
  }
  if (!nearest) return "far from every array";
  return "byte " + std::to_string(intptr_t(address - uintptr_t(nearest->base))) + " of " + nearest->name + " (" +
         std::to_string(nearest->size) + " bytes)";
}

extern "C" {
void* ch_malloc(size_t size, const char* name) {
  const size_t all = (size + 2 * guard + 255) / 256 * 256;
  auto p = static_cast<char*>(aligned_alloc(256, all));
  if (!p) return nullptr;
  memset(p, 0xFF, all);
  allocations.emplace(uintptr_t(p + guard), Memory(p + guard, size, name, false));
  return p + guard;
}

int ch_free(void* p) {
  if (!allocations.erase(uintptr_t(p))) return -1;
  free(static_cast<char*>(p) - guard);
  return 0;
}

void ch_name(void* p, const char* name) {
  if (Memory* m = allocation_at(uintptr_t(p), 0)) m->name = name;
}

int ch_write(void* to, const void* from, size_t size) {  // host to device
  Memory* m = allocation_at(uintptr_t(to), size);
  if (!m) return -1;
  memcpy(to, from, size);
  std::fill_n(m->written.begin() + (static_cast<char*>(to) - m->base), size, 1);
  return 0;
}

int ch_read(void* to, const void* from, size_t size) {  // device to host
  if (!allocation_at(uintptr_t(from), size)) return -1;
  memcpy(to, from, size);
  return 0;
}

// How many of these bytes nobody has written, or -1 if they are not device memory.
long ch_unwritten(const void* p, size_t size) {
  const Memory* m = allocation_at(uintptr_t(p), size);
  if (!m) return -1;
  const auto begin = m->written.begin() + (static_cast<const char*>(p) - m->base);
  return std::count(begin, begin + size, 0);
}

uint8_t* ch_written(const void* p) {  // a flag for each byte of an allocation
  Memory* m = allocation_at(uintptr_t(p), 0);
  return m ? m->written.data() : nullptr;
}

// After a launch without checks nobody knows what was written: all of it counts as written.
void ch_assume_written(const void* p) {
  if (Memory* m = allocation_at(uintptr_t(p), 0)) std::fill(m->written.begin(), m->written.end(), 1);
}

// The distance of the first overwritten guard byte from the allocation, 0 if all are as they were.
long ch_overrun(const void* p) {
  const Memory* m = allocation_at(uintptr_t(p), 0);
  if (!m) return 0;
  const auto bytes = reinterpret_cast<const unsigned char*>(m->base);
  for (long i = 1; i <= long(guard); ++i)
    if (bytes[-i] != 0xFF) return -i;
  for (size_t i = 0; i < guard; ++i)
    if (bytes[m->size + i] != 0xFF) return long(i + 1);
  return 0;
}
}
