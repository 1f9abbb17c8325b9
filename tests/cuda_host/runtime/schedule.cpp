// Runs a grid on one operating system thread: block after block, every CUDA thread of a block as a fiber that runs until
// it waits at a barrier or in a warp operation, or returns.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime.h"

ch_builtins ch_now;
Fiber* running;
unsigned block_number, thread_count;
uint32_t launch_number, block_epoch, barrier_count;
std::vector<uint32_t> warp_sync_count;

namespace {
std::vector<Fiber> fibers(1024);
std::vector<char*> free_stacks, all_stacks;
void* scheduler_stack_pointer;
bool stopped;
std::mt19937 random_bits;
const ch_kernel* kernel;
void** kernel_arguments;

struct Problem {
  std::string kind, text;
  uintptr_t place, other_place;
};
std::vector<Problem> problems;
constexpr size_t most_problems = 20;
}  // namespace

// ---------------------------------------------------------------- switching between stacks
#if defined(__x86_64__) && !defined(CUDA_HOST_UCONTEXT)
extern "C" void ch_switch(void** save, void* load);
asm(R"(.text
.globl ch_switch
.hidden ch_switch
.type ch_switch,@function
ch_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ch_switch,.-ch_switch
)");
static void* new_stack(Fiber& f, void (*entry)()) {
  // The tops are spread over the cache sets: 1024 stacks at the same offset would all fall into one.
  auto top = reinterpret_cast<void**>(uintptr_t(f.stack + stack_size - f.number % 128 * 192) & ~uintptr_t(63));
  top[-1] = nullptr;
  top[-2] = reinterpret_cast<void*>(entry);
  std::fill(top - 8, top - 2, nullptr);  // the six registers
  return top - 8;
}
#else  // any other processor: about twenty times slower
#include <ucontext.h>
static ucontext_t contexts[1024 + 1];
static void ch_switch(void** save, void* load) {
  const auto mine = static_cast<ucontext_t*>(save == &scheduler_stack_pointer ? &contexts[1024]
                                                                             : &contexts[running->number]);
  *save = mine;
  swapcontext(mine, static_cast<ucontext_t*>(load));
}
static void* new_stack(Fiber& f, void (*entry)()) {
  ucontext_t* c = &contexts[f.number];
  getcontext(c);
  c->uc_stack.ss_sp = f.stack;
  c->uc_stack.ss_size = stack_size;
  c->uc_link = nullptr;
  makecontext(c, entry, 0);
  return c;
}
#endif

static void back_to_scheduler() { ch_switch(&running->stack_pointer, scheduler_stack_pointer); }

static void fiber_entry() {
  kernel->call(kernel_arguments);
  running->state = State::done;
  back_to_scheduler();
  std::abort();
}

static char* take_stack() {
  if (free_stacks.empty()) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    auto stack = static_cast<char*>(mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, flags, -1, 0));
    if (stack == MAP_FAILED || mprotect(stack, 4096, PROT_NONE) != 0) std::abort();
    all_stacks.push_back(stack);
    return stack;
  }
  char* stack = free_stacks.back();
  free_stacks.pop_back();
  return stack;
}

static void run(Fiber& f) {
  if (f.state == State::fresh) {
    f.stack = take_stack();
    f.stack_pointer = new_stack(f, fiber_entry);
  }
  f.state = State::ready;
  running = &f;
  ch_now.thread = f.index, ch_now.lane = f.lane, ch_now.warp = f.warp;
  ch_switch(&scheduler_stack_pointer, f.stack_pointer);
  if (f.state == State::done) free_stacks.push_back(f.stack);
}

[[noreturn]] void stop_thread() {
  stopped = true;
  running->state = State::at_warp_operation;
  back_to_scheduler();
  std::abort();
}

// ---------------------------------------------------------------- problems
void report(const char* kind, std::string text, uintptr_t place, uintptr_t other_place) {
  for (auto& p : problems)
    if (p.kind == kind && p.place == place && p.other_place == other_place) return;
  if (problems.size() < most_problems) problems.push_back({kind, std::move(text), place, other_place});
}

static std::string coordinates(unsigned i, const dim3& d) {
  char text[64];
  if (d.z > 1) snprintf(text, sizeof text, "(%u, %u, %u)", i % d.x, i / d.x % d.y, i / d.x / d.y);
  else if (d.y > 1) snprintf(text, sizeof text, "(%u, %u)", i % d.x, i / d.x);
  else snprintf(text, sizeof text, "%u", i);
  return text;
}

std::string thread_name(unsigned block, unsigned thread) {
  return "block " + coordinates(block, ch_now.grid_dim) + " thread " + coordinates(thread, ch_now.block_dim);
}

static std::string waiting_at(const Fiber& f) {
  return std::string(f.file) + ":" + std::to_string(f.line < 0 ? -f.line : f.line);
}

// ---------------------------------------------------------------- operations of a warp
static unsigned lanes_there(unsigned warp) {  // the last warp of a block may be a part of one
  const unsigned n = std::min(32u, thread_count - warp * 32);
  return n == 32 ? ~0u : (1u << n) - 1;
}

// Waits until every lane of `mask` is in the same operation on the same line.
static void meet(WarpOperation operation, unsigned mask, const char* file, int line) {
  Fiber& f = *running;
  f.file = file, f.line = line;
  if (!(mask >> f.lane & 1)) {
    report("warp-mask", thread_name(block_number, f.number) + " calls a warp operation at " + waiting_at(f) +
                            " whose mask does not name its own lane");
    stop_thread();
  }
  mask &= lanes_there(f.warp);
  f.state = State::at_warp_operation, f.operation = operation, f.mask = mask;
  Fiber* warp = &fibers[f.warp * 32];
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    const Fiber& o = warp[l];
    if (o.state != State::at_warp_operation || o.operation != operation || o.line != line || o.mask != mask)
      return back_to_scheduler();
  }
  unsigned votes = 0;  // the last to come works out what each lane gets, and lets all go on
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1 && warp[l].given) votes |= 1u << l;
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    warp[l].taken = operation == WarpOperation::shuffle ? warp[warp[l].source].given : votes;
    warp[l].state = State::ready;
  }
  if (operation == WarpOperation::sync) ++warp_sync_count[f.warp];
}

uint64_t ch_shuffle(unsigned mask, uint64_t bits, unsigned source, const char* file, int line) {
  Fiber& f = *running;
  f.given = bits, f.source = source;
  meet(WarpOperation::shuffle, mask, file, line);
  if (mask & lanes_there(f.warp) & 1u << source) return f.taken;
  report("shuffle", thread_name(block_number, f.number) + " shuffles from lane " + std::to_string(source) +
                        ", which takes no part, at " + waiting_at(f));
  return ~uint64_t(0);  // a NaN
}

unsigned ch_ballot(unsigned mask, int predicate, const char* file, int line) {
  running->given = predicate != 0;
  meet(WarpOperation::ballot, mask, file, line);
  return unsigned(running->taken);
}

void ch_syncwarp(unsigned mask, const char* file, int line) { meet(WarpOperation::sync, mask, file, line); }

void ch_collective(void* mine, void (*work)(void** lanes), const char* file, int line) {
  const Fiber& f = *running;
  running->collective = mine;
  meet(WarpOperation::collective, ~0u, file, line);
  if (f.lane == 0) {
    void* lanes[32] = {};
    for (unsigned l = 0; l < 32; ++l) lanes[l] = fibers[f.warp * 32 + l].collective;
    work(lanes);
  }
  meet(WarpOperation::collective, ~0u, file, -line);
}

// ---------------------------------------------------------------- barriers
void ch_syncthreads(const char* file, int line) {
  running->state = State::at_barrier, running->file = file, running->line = line;
  back_to_scheduler();
}

unsigned ch_syncthreads_count(int predicate, const char* file, int line) {
  static uint8_t votes[2][1024];
  auto& mine = votes[barrier_count & 1];
  mine[running->number] = predicate != 0;
  ch_syncthreads(file, line);
  return unsigned(std::count(mine, mine + thread_count, 1));
}

// Lets all threads of the block go on if all of them wait at the same barrier. False if the launch is over.
static bool pass_barrier() {
  const Fiber *at_barrier = nullptr, *elsewhere = nullptr, *in_warp = nullptr, *done = nullptr;
  unsigned waiting = 0, returned = 0;
  for (unsigned i = 0; i < thread_count; ++i) {
    const Fiber& f = fibers[i];
    if (f.state == State::done) {
      ++returned, done = &f;
    } else if (f.state == State::at_barrier) {
      ++waiting;
      if (!at_barrier) at_barrier = &f;
      if (f.line != at_barrier->line) elsewhere = &f;
    } else {
      in_warp = &f;
    }
  }
  if (returned == thread_count) return false;
  if (in_warp)
    report("divergent-warp", thread_name(block_number, in_warp->number) + " waits in a warp operation at " +
                                 waiting_at(*in_warp) + " for lanes that never come (" + std::to_string(waiting) +
                                 " threads wait at a barrier, " + std::to_string(returned) + " have returned)");
  else if (returned)
    report("divergent-barrier", std::to_string(waiting) + " threads wait in __syncthreads() at " +
                                    waiting_at(*at_barrier) + " but " + std::to_string(returned) +
                                    " have returned, for one " + thread_name(block_number, done->number));
  else if (elsewhere)
    report("divergent-barrier", thread_name(block_number, at_barrier->number) + " waits in __syncthreads() at " +
                                    waiting_at(*at_barrier) + ", " + thread_name(block_number, elsewhere->number) +
                                    " in that at " + waiting_at(*elsewhere));
  else {
    ++barrier_count;
    for (unsigned i = 0; i < thread_count; ++i) fibers[i].state = State::ready;
    return true;
  }
  stopped = true;
  return false;
}

// ---------------------------------------------------------------- asynchronous copies
void* ch_dynamic_shared() { return dynamic_shared.base; }

void ch_async_copy(void* to, const void* from, unsigned size, unsigned zeros, const char* file, int line) {
  const auto place = uintptr_t(__builtin_return_address(0)) - 1;
  if ((size != 4 && size != 8 && size != 16) || zeros > size || uintptr_t(to) % size || uintptr_t(from) % size) {
    report("misaligned", thread_name(block_number, running->number) + " copies " + std::to_string(size) +
                             " bytes asynchronously between addresses that are no multiples of that, at " + file +
                             ":" + std::to_string(line));
    stop_thread();
  }
  if (checking && size > zeros) check_access(uintptr_t(from), size - zeros, false, false, place);
  running->copies.push_back({to, from, size, zeros, running->copy_group, place});
}

void ch_async_commit() { ++running->copy_group; }

void ch_async_wait(int groups_left) {
  auto& copies = running->copies;
  const auto late = [&](const AsyncCopy& c) { return c.group >= running->copy_group - groups_left; };
  for (auto& c : copies) {
    if (late(c)) continue;
    if (checking) check_access(uintptr_t(c.to), c.size, true, false, c.place);
    memcpy(c.to, c.from, c.size - c.zeros);
    memset(static_cast<char*>(c.to) + c.size - c.zeros, 0, c.zeros);
  }
  copies.erase(std::remove_if(copies.begin(), copies.end(), [&](auto& c) { return !late(c); }), copies.end());
}

// ---------------------------------------------------------------- launches
// A new order of the threads for every stretch between two barriers: an affine permutation is enough and cheap.
static void shuffle_threads(std::vector<unsigned>& order) {
  const unsigned a = random_bits() | 1, b = random_bits();
  unsigned n = 1;
  while (n < thread_count) n *= 2;
  for (unsigned j = 0, w = 0; j < n; ++j) {
    unsigned x = (a * j + b) & (n - 1);
    x ^= x >> 3 & 3;
    if (x < thread_count) order[w++] = x;
  }
}

static void fresh_shared_memory() {  // 0xFF: a NaN for floats, -1 for integers
  for (Memory* m : {&static_shared, &dynamic_shared}) {
    memset(m->base, 0xFF, m->size);
    if (checking) std::fill(m->written.begin(), m->written.end(), 0);
  }
}

static void run_block(std::vector<unsigned>& order, bool random) {
  const dim3 d = ch_now.block_dim;
  barrier_count = 0;
  ++block_epoch;
  warp_sync_count.assign((thread_count + 31) / 32, 0);
  fresh_shared_memory();
  for (unsigned i = 0; i < thread_count; ++i) {
    Fiber& f = fibers[i];
    f.index = {i % d.x, i / d.x % d.y, i / d.x / d.y};
    f.number = i, f.lane = i % 32, f.warp = i / 32, f.state = State::fresh;
    f.copies.clear(), f.copy_group = 0;
  }
  do {
    for (bool someone = true; someone;) {
      someone = false;
      if (random) shuffle_threads(order);
      for (unsigned i : order) {
        if (fibers[i].state != State::fresh && fibers[i].state != State::ready) continue;
        run(fibers[i]);
        someone = true;
        if (stopped) return;
      }
    }
  } while (pass_barrier());
}

struct Launch {  // mirrored in library.py
  const ch_kernel* kernel;
  void** arguments;
  unsigned grid[3], block[3];
  size_t dynamic_shared;
  char *shared_begin, *shared_end, *library_begin, *library_end;
  int checking, random;
  unsigned seed;
};
extern "C" int ch_launch(const Launch* l) {
  static std::vector<char> dynamic_memory(256 * 1024 + 256);
  problems.clear();
  stopped = false;
  kernel = l->kernel, kernel_arguments = l->arguments;
  checking = l->checking, ++launch_number;
  random_bits.seed(l->seed);
  ch_now.grid_dim = {l->grid[0], l->grid[1], l->grid[2]};
  ch_now.block_dim = {l->block[0], l->block[1], l->block[2]};
  thread_count = l->block[0] * l->block[1] * l->block[2];
  library_begin = uintptr_t(l->library_begin), library_end = uintptr_t(l->library_end);
  static_shared = Memory(l->shared_begin, l->shared_end - l->shared_begin, "shared memory", true);
  const auto aligned = reinterpret_cast<char*>((uintptr_t(dynamic_memory.data()) + 255) & ~uintptr_t(255));
  dynamic_shared = Memory(aligned, l->dynamic_shared, "dynamic shared memory", true);

  std::vector<unsigned> order(thread_count), blocks(size_t(l->grid[0]) * l->grid[1] * l->grid[2]);
  for (unsigned i = 0; i < thread_count; ++i) order[i] = i;
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = unsigned(i);
  if (l->random) std::shuffle(blocks.begin(), blocks.end(), random_bits);
  for (unsigned b : blocks) {
    block_number = b;
    ch_now.block = {b % l->grid[0], b / l->grid[0] % l->grid[1], b / l->grid[0] / l->grid[1]};
    run_block(order, l->random);
    if (stopped) {
      free_stacks = all_stacks;
      break;
    }
  }
  running = nullptr;
  return int(problems.size());
}

extern "C" const char* ch_report() {  // a line per problem: kind, two places, text
  static std::string lines;
  lines.clear();
  for (auto& p : problems) {
    char places[64];
    snprintf(places, sizeof places, "\t%lx\t%lx\t", (unsigned long)p.place, (unsigned long)p.other_place);
    lines += p.kind + places + p.text + "\n";
  }
  return lines.c_str();
}
