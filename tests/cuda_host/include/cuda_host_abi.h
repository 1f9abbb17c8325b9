// What kernels compiled for the host and the runtime that executes them agree on.
#pragma once
#include <cstddef>
#include <cstdint>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

// One parameter of a kernel. kind: p pointer, f floating, i signed, u unsigned, b bool, s struct, v void.
// For a pointer, `to` and `to_size` describe what it points to.
struct ch_param {
  char kind;
  uint16_t size;
  char to;
  uint16_t to_size;
};

struct ch_kernel {
  const char* name;
  void (*call)(void** arguments);
  int count;
  const ch_param* params;
};

// threadIdx and its relatives, of the CUDA thread that runs at the moment.
struct ch_builtins {
  uint3 thread, block;
  dim3 block_dim, grid_dim;
  unsigned lane, warp;
};

extern "C" {
extern ch_builtins ch_now;

void ch_syncthreads(const char* file, int line);
unsigned ch_syncthreads_count(int predicate, const char* file, int line);
void ch_syncwarp(unsigned mask, const char* file, int line);
// Every lane of `mask` deposits `bits`; returns what lane `source` deposited.
uint64_t ch_shuffle(unsigned mask, uint64_t bits, unsigned source, const char* file, int line);
unsigned ch_ballot(unsigned mask, int predicate, const char* file, int line);
// Lane 0 runs `work` once all 32 lanes have handed in their pointer (tensor core operations).
void ch_collective(void* mine, void (*work)(void** lanes), const char* file, int line);
void* ch_dynamic_shared();
// The two halves of an atomic operation; nothing comes between them, since threads run by turns.
void ch_atomic_load(const void* address, void* old, unsigned size);
void ch_atomic_store(void* address, const void* value, unsigned size);
void ch_async_copy(void* to, const void* from, unsigned size, unsigned zeros, const char* file, int line);
void ch_async_commit();
void ch_async_wait(int groups_left);
}
