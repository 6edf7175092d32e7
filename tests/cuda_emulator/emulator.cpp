// The fibers behind include/cuda_runtime.h. One thread of the host runs them all; a fiber gives up
// the processor only at a barrier, a shuffle or its end.
#include <link.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace metascale::cuda {
// What cuda::dynamic_shared() of kernels/cuda/block.cuh declares.
extern __shared__ unsigned char dynamic_shared_memory[];
__shared__ __align__(16) unsigned char dynamic_shared_memory[cuda_emulator::largest_shared_bytes];
}  // namespace metascale::cuda

namespace cuda_emulator {
namespace {

constexpr std::size_t stack_bytes = 128 * 1024;
constexpr unsigned warp_size = 32;

enum class State { ready, at_block_barrier, at_warp_barrier, done };

// Where a stack of calls goes on. Entered first by setcontext, later by the compiler's own longjmp:
// swapcontext makes a system call, and AddressSanitizer forgets the stack at it and at longjmp.
struct Context {
  ucontext_t start = {};
  void* place[5] = {};
  bool has_place = false;
};

// What a lane shows to its warp in its exchange of this number.
struct Shown {
  alignas(16) unsigned char bytes[32];
  unsigned exchange = 0;
};

struct Fiber {
  Context context;
  std::unique_ptr<std::byte[]> stack;
  State state = State::done;
  uint3 thread = {};
  Where where = {};
  // Two in turn: a lane that is ahead shows its next while others read this one.
  Shown shown[2];
  unsigned exchanges = 0;  // in this block
};

Order order = Order::forward;
std::mt19937 generator(1);
std::deque<Fiber> fibers;  // which stay where they are when more come
unsigned count = 0, current = 0;
Context scheduler;
const std::function<void()>* body = nullptr;
std::exception_ptr failure;
std::unordered_map<const void*, std::size_t> shared_limits;

// Switches of stacks, told to AddressSanitizer where it is there.
struct Stack {
  const void* bottom = nullptr;
  std::size_t bytes = 0;
};
Stack scheduler_stack;

// AddressSanitizer, where it sees a call that does not return, forgets the stack too.
[[noreturn, gnu::noinline, gnu::no_sanitize_address]] void go_on(Context& at) {
  if (at.has_place) __builtin_longjmp(at.place, 1);
  setcontext(&at.start);
  std::terminate();  // it returns only where it fails
}

void switch_stacks(Context& from, Context& to, [[maybe_unused]] Stack stack) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack.bottom, stack.bytes);
#endif
  from.has_place = true;
  if (__builtin_setjmp(from.place) == 0) go_on(to);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

void resume(Fiber& fiber) {
  switch_stacks(scheduler, fiber.context, {fiber.stack.get(), stack_bytes});
}
void suspend(Fiber& fiber) { switch_stacks(fiber.context, scheduler, scheduler_stack); }

void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack.bottom, &scheduler_stack.bytes);
#endif
  for (;;) {
    try {
      (*body)();
    } catch (...) {
      failure = std::current_exception();
    }
    fibers[current].state = State::done;
    suspend(fibers[current]);
  }
}

void make_fibers() {
  while (fibers.size() < count) {
    Fiber& fiber = fibers.emplace_back();
    fiber.stack = std::make_unique_for_overwrite<std::byte[]>(stack_bytes);
    ucontext_t& start = fiber.context.start;
    getcontext(&start);
    start.uc_stack.ss_sp = fiber.stack.get();
    start.uc_stack.ss_size = stack_bytes;
    makecontext(&start, fiber_main, 0);
  }
}

void wait(State state, Where where) {
  Fiber& self = fibers[current];
  self.state = state;
  self.where = where;
  suspend(self);
}

std::string describe(unsigned f) {
  const Fiber& fiber = fibers[f];
  const std::string who = "thread " + std::to_string(f) + " of block " + std::to_string(blockIdx.x);
  if (fiber.state == State::done) return who + " has returned";
  return who + " waits at " + fiber.where.file + ":" + std::to_string(fiber.where.line);
}

[[noreturn]] void fail(const char* what, unsigned a, unsigned b) {
  const std::string message = std::string(what) + ": " + describe(a) + ", " + describe(b);
  fibers.clear();  // abandoned in the middle; the next launch makes new ones
  throw std::runtime_error(message);
}

bool same_place(Where a, Where b) {
  return a.line == b.line && (a.file == b.file || !std::strcmp(a.file, b.file));
}

// Wakes the fibers [begin, end) if all that still run wait at this kind of barrier.
bool release(unsigned begin, unsigned end, State barrier) {
  unsigned first = end;
  for (unsigned f = begin; f < end; ++f) {
    if (fibers[f].state == State::done) continue;
    if (fibers[f].state != barrier) return false;
    if (first == end) first = f;
    if (!same_place(fibers[f].where, fibers[first].where)) fail("divergent barrier", first, f);
  }
  for (unsigned f = begin; f < end; ++f)
    if (fibers[f].state == barrier) fibers[f].state = State::ready;
  return first != end;
}

// Static and dynamic shared memory is what the program declares thread_local; nothing else of ours
// is.
std::span<std::byte> shared_memory() {
  std::span<std::byte> found;
  const auto visit = [](dl_phdr_info* object, std::size_t, void* result) {
    for (int i = 0; i < object->dlpi_phnum; ++i)
      if (object->dlpi_phdr[i].p_type == PT_TLS && object->dlpi_tls_data)
        *static_cast<std::span<std::byte>*>(result) = {
            static_cast<std::byte*>(object->dlpi_tls_data), object->dlpi_phdr[i].p_memsz};
    return 1;  // the first object is the program itself; libraries are left alone
  };
  dl_iterate_phdr(visit, &found);
  return found;
}

// Sets all bits: NaN, so that what is read before it is written shows.
void forget(std::byte* begin, std::byte* end) {
  std::memset(begin, 0xff, std::size_t(end - begin));
}

std::byte* dynamic_memory() {
  return reinterpret_cast<std::byte*>(metascale::cuda::dynamic_shared_memory);
}

// Runs the fibers of a warp until each has returned or waits for the whole block: a warp gets ahead
// of the others as far as its barriers let it, so that a missing barrier between warps shows.
void run_warp(std::span<const unsigned> turn) {
  const unsigned begin = turn[0] / warp_size * warp_size;
  do {
    for (unsigned f : turn) {
      if (fibers[f].state != State::ready) continue;
      current = f;
      threadIdx = fibers[f].thread;
      resume(fibers[f]);
      if (failure) fibers.clear(), std::rethrow_exception(std::exchange(failure, nullptr));
    }
  } while (release(begin, begin + unsigned(turn.size()), State::at_warp_barrier));
}

// The fibers of each warp, in the order in which they are resumed.
std::vector<std::vector<unsigned>> warps_in_order() {
  std::vector<std::vector<unsigned>> warps((count + warp_size - 1) / warp_size);
  for (unsigned f = 0; f < count; ++f) warps[f / warp_size].push_back(f);
  if (order == Order::reverse) {
    std::reverse(warps.begin(), warps.end());
    for (auto& warp : warps) std::reverse(warp.begin(), warp.end());
  }
  if (order == Order::shuffled) {
    std::shuffle(warps.begin(), warps.end(), generator);
    for (auto& warp : warps) std::shuffle(warp.begin(), warp.end(), generator);
  }
  return warps;
}

void run_block(const std::vector<std::vector<unsigned>>& warps) {
  const auto is_done = [](const Fiber& fiber) { return fiber.state == State::done; };
  for (unsigned f = 0; f < count; ++f) {
    fibers[f].state = State::ready;
    fibers[f].exchanges = fibers[f].shown[0].exchange = fibers[f].shown[1].exchange = 0;
  }
  for (;;) {
    for (const auto& warp : warps) run_warp(warp);
    if (std::all_of(fibers.begin(), fibers.begin() + count, is_done)) return;
    if (release(0, count, State::at_block_barrier)) continue;
    unsigned other = 0;
    while (other + 1 < count && fibers[other].state == fibers[0].state) ++other;
    fail("deadlock", 0, other);
  }
}

// What its blocks did not ask for, no grid may have written: all bits are still set.
void expect_writes_inside_shared_memory(std::size_t asked) {
  const std::byte* behind = dynamic_memory() + asked;
  const std::size_t bytes = largest_shared_bytes - asked;
  if (bytes == 0 || (behind[0] == std::byte(0xff) && !std::memcmp(behind, behind + 1, bytes - 1)))
    return;
  throw std::runtime_error("a block wrote behind its " + std::to_string(asked) +
                           " bytes of dynamic shared memory");
}

// The calling lane's next exchange: when this returns, all lanes of the warp that run have shown
// what they have.
Shown& show(unsigned mask, const void* mine, std::size_t bytes, Where where) {
  Fiber& self = fibers[current];
  Shown& shown = self.shown[++self.exchanges % 2];
  std::memcpy(shown.bytes, mine, bytes);
  shown.exchange = self.exchanges;
  warp_barrier(mask, where);
  return shown;
}

// What thread `source` shows in the exchange that the calling lane is in; nullptr where it takes no
// part.
const Shown* shown_by(unsigned source, const Shown& mine) {
  if (source >= count) return nullptr;
  const Shown& shown = fibers[source].shown[mine.exchange % 2];
  return shown.exchange == mine.exchange ? &shown : nullptr;
}

void read_shown(void* to, std::size_t bytes, unsigned lane, const Shown& mine, Where where) {
  const Shown* shown = shown_by(current / warp_size * warp_size + lane, mine);
  if (!shown)
    throw std::runtime_error("thread " + std::to_string(current) + " reads from lane " +
                             std::to_string(lane) + ", which does not run, at " + where.file + ":" +
                             std::to_string(where.line));
  std::memcpy(to, shown->bytes, bytes);
}

uint3 position(unsigned index, dim3 extent) {
  return {index % extent.x, index / extent.x % extent.y, index / (extent.x * extent.y)};
}

}  // namespace

void set_order(Order wanted) { order = wanted; }

bool launchable(dim3 grid, dim3 block) {
  return block.count() >= 1 && block.count() <= 1024 && block.z <= 64 && grid.count() >= 1 &&
         grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535;
}

void allow_shared_bytes(const void* kernel, std::size_t bytes) { shared_limits[kernel] = bytes; }

std::size_t allowed_shared_bytes(const void* kernel) {
  const auto found = shared_limits.find(kernel);
  return found == shared_limits.end() ? 48 * 1024 : found->second;
}

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes,
              const std::function<void()>& thread) {
  body = &thread;
  count = unsigned(block.count());
  make_fibers();
  for (unsigned f = 0; f < count; ++f) fibers[f].thread = position(f, block);
  gridDim = grid;
  blockDim = block;
  const std::span<std::byte> shared = shared_memory();
  std::byte *const begin = shared.data(), *const end = begin + shared.size();
  forget(begin, end);
  const unsigned blocks = unsigned(grid.count());
  std::vector<std::vector<unsigned>> warps;
  for (unsigned i = 0; i < blocks; ++i) {
    blockIdx = position(order == Order::forward ? i : blocks - 1 - i, grid);
    forget(begin, dynamic_memory() + shared_bytes);  // what is behind it nobody writes
    forget(dynamic_memory() + largest_shared_bytes, end);
    forget_copies();
    if (i == 0 || order == Order::shuffled) warps = warps_in_order();
    run_block(warps);
  }
  expect_writes_inside_shared_memory(shared_bytes);
  expect_writes_inside_allocations();
}

void block_barrier(Where where) { wait(State::at_block_barrier, where); }

void warp_barrier(unsigned mask, Where where) {
  if (mask != 0xffffffffu)
    throw std::runtime_error("only whole warps are emulated: the mask must be 0xffffffff");
  wait(State::at_warp_barrier, where);
}

unsigned lane() { return current % warp_size; }
unsigned thread_index() { return current; }

void warp_gather(const void* mine, void* all, std::size_t bytes, Where where) {
  const Shown& shown = show(0xffffffffu, mine, bytes, where);
  for (unsigned lane = 0; lane < warp_size; ++lane)
    read_shown(static_cast<std::byte*>(all) + lane * bytes, bytes, lane, shown, where);
}

void warp_exchange(unsigned mask, const void* mine, void* theirs, std::size_t bytes, unsigned lane,
                   Where where) {
  read_shown(theirs, bytes, lane, show(mask, mine, bytes, where), where);
}

unsigned warp_ballot(unsigned mask, bool predicate, Where where) {
  const Shown& mine = show(mask, &predicate, sizeof predicate, where);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    const Shown* shown = shown_by(current / warp_size * warp_size + lane, mine);
    if (shown && shown->bytes[0]) votes |= 1u << lane;
  }
  return votes;
}

}  // namespace cuda_emulator

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice:
      return "no kernel image is available for execution on the device";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
  }
  return "unknown error";
}
