// What the three files of the runtime share. It is never compiled with a sanitizer itself.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "../include/cuda_host_abi.h"

// ---- the threads of the block that runs
enum class State : uint8_t { fresh, ready, at_barrier, at_warp_operation, done };
enum class WarpOperation : uint8_t { none, sync, shuffle, ballot, collective };

struct AsyncCopy {
  void* to;
  const void* from;
  unsigned size, zeros;
  int group;
  uintptr_t place;
};

struct Fiber {
  uint3 index;
  unsigned lane, warp, number;  // number: position in the block
  State state;
  WarpOperation operation;
  unsigned mask;
  const char* file;  // where it waits
  int line;
  uint64_t given, taken;  // of a shuffle or vote
  unsigned source;        // the lane that it shuffles from
  void* collective;
  void* stack_pointer;
  char* stack;
  std::vector<AsyncCopy> copies;
  int copy_group;
};
constexpr size_t stack_size = 128 << 10;

extern Fiber* running;         // nullptr between launches
extern unsigned block_number;  // position of the running block in the grid
extern unsigned thread_count;  // in a block
extern uint32_t launch_number, block_epoch, barrier_count;
extern std::vector<uint32_t> warp_sync_count;
std::string thread_name(unsigned block, unsigned thread);
[[noreturn]] void stop_thread();  // gives up on the launch

// ---- problems found
void report(const char* kind, std::string text, uintptr_t place = 0, uintptr_t other_place = 0);

// ---- memory and what is known about it
struct Access {
  uint32_t epoch = 0, thread = 0, barrier = 0, warp_sync = 0;
  uint32_t place = 0;  // lower half of the address of the instruction
  uint8_t bytes = 0;   // which of the word's four
  bool atomic = false;
};
struct Word {  // the last write and the last two readers of four bytes
  Access write, read, earlier_read;
};
struct Memory {
  char* base = nullptr;
  size_t size = 0;
  std::string name;
  bool shared = false;
  std::vector<uint8_t> written;
  std::vector<Word> words;
  Memory() = default;
  Memory(char* base, size_t size, std::string name, bool shared)
      : base(base), size(size), name(std::move(name)), shared(shared), written(size, 0) {}
};
Memory* memory_at(uintptr_t address, size_t size);  // the one that holds all of these bytes, or nullptr
std::string describe(uintptr_t address);
extern Memory static_shared, dynamic_shared;
extern uintptr_t library_begin, library_end;  // a kernel library's code and constants

// ---- checks
extern bool checking;
void check_access(uintptr_t address, unsigned size, bool write, bool atomic, uintptr_t place);
