// Tensor cores and asynchronous copies of the emulator: layouts as the PTX ISA defines them, and
// kernels with planted mistakes.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "core/tensor.hpp"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"
#include "tests/kernels/cuda_device.hpp"

namespace metascale::cuda {
namespace {

struct alignas(16) Matrices {
  bfloat16 a[16][16], b[16][8];
  float c[16][8];

  Matrices() {  // small integers: every sum of products is exact
    for (int i = 0; i < 16; ++i)
      for (int k = 0; k < 16; ++k) a[i][k] = bfloat16(float((7 * i + 3 * k) % 17 - 8));
    for (int k = 0; k < 16; ++k)
      for (int j = 0; j < 8; ++j) b[k][j] = bfloat16(float((5 * k + 11 * j) % 13 - 6));
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) c[i][j] = float(100 * i + j);
  }
  float expected(int i, int j) const {
    float sum = float(100 * i + j);
    for (int k = 0; k < 16; ++k) sum += float(a[i][k]) * float(b[k][j]);
    return sum;
  }
};

unsigned pair(bfloat16 first, bfloat16 second) { return first.bits | unsigned(second.bits) << 16; }

// "Matrix Fragments for mma.m16n8k16 with floating point type" of the PTX ISA, element by element.
struct Lane {
  int group_id = int(threadIdx.x) / 4, thread_in_group = int(threadIdx.x) % 4;

  int row_of_a(int i) const { return (i < 2) || (i >= 4 && i < 6) ? group_id : group_id + 8; }
  int column_of_a(int i) const { return thread_in_group * 2 + (i & 1) + (i < 4 ? 0 : 8); }
  int row_of_b(int i) const { return thread_in_group * 2 + (i & 1) + (i < 2 ? 0 : 8); }
  int row_of_c(int i) const { return i < 2 ? group_id : group_id + 8; }
  int column_of_c(int i) const { return thread_in_group * 2 + (i & 1); }

  FragmentA a(const Matrices& m) const {
    FragmentA result;
    for (int i = 0; i < 8; i += 2)
      result.x[i / 2] =
          pair(m.a[row_of_a(i)][column_of_a(i)], m.a[row_of_a(i + 1)][column_of_a(i + 1)]);
    return result;
  }
  FragmentB b(const Matrices& m) const {
    FragmentB result;
    for (int i = 0; i < 4; i += 2)
      result.x[i / 2] = pair(m.b[row_of_b(i)][group_id], m.b[row_of_b(i + 1)][group_id]);
    return result;
  }
  FragmentC c(const Matrices& m) const {
    FragmentC result;
    for (int i = 0; i < 4; ++i) result.x[i] = m.c[row_of_c(i)][column_of_c(i)];
    return result;
  }
  void store(Matrices& m, const FragmentC& c) const {
    for (int i = 0; i < 4; ++i) m.c[row_of_c(i)][column_of_c(i)] = c.x[i];
  }
};

__global__ void multiplies(Matrices* m) {
  const Lane lane;
  FragmentC c = lane.c(*m);
  multiply_add(c, lane.a(*m), lane.b(*m));
  lane.store(*m, c);
}

__global__ void exchanges_two_registers(Matrices* m) {
  const Lane lane;
  FragmentA a = lane.a(*m);
  std::swap(a.x[1], a.x[2]);
  FragmentC c = lane.c(*m);
  multiply_add(c, a, lane.b(*m));
  lane.store(*m, c);
}

__global__ void takes_the_operand_of_another_lane(Matrices* m) {
  const Lane lane;
  FragmentB b = lane.b(*m);
  for (unsigned& x : b.x) x = __shfl_xor_sync(0xffffffffu, x, 1);
  FragmentC c = lane.c(*m);
  multiply_add(c, lane.a(*m), b);
  lane.store(*m, c);
}

__global__ void one_lane_leaves_the_product(Matrices* m) {
  if (threadIdx.x == 5) return;
  const Lane lane;
  FragmentC c = lane.c(*m);
  multiply_add(c, lane.a(*m), lane.b(*m));
}

template <typename... Parameters, typename... Arguments>
std::string message_of(void (*kernel)(Parameters...), Arguments... arguments) {
  try {
    launch("kernel", kernel, {.blocks = 1, .threads = 32, .shared_bytes = 1024}, nullptr,
           arguments...);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

int wrong_elements(void (*kernel)(Matrices*)) {
  Matrices m;
  REQUIRE(message_of(kernel, &m) == "no error");
  const Matrices truth;
  int count = 0;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) count += m.c[i][j] != truth.expected(i, j);
  return count;
}

TEST_CASE("an emulated warp multiplies matrices in the layouts of the PTX ISA") {
  CHECK(wrong_elements(multiplies) == 0);
}

TEST_CASE("the emulator shows registers and lanes exchanged in a product") {
  CHECK(wrong_elements(exchanges_two_registers) > 0);
  CHECK(wrong_elements(takes_the_operand_of_another_lane) > 0);
}

TEST_CASE("the emulator refuses a product of part of a warp") {
  Matrices m;
  CHECK_THAT(message_of(one_lane_leaves_the_product, &m),
             Catch::Contains("reads from lane 5, which does not run"));
}

// Element (row, column) of matrix m in shared memory is 64 m + 8 row + column.
__global__ void loads_matrices(unsigned* out, bool transposed, int barriers, int offset) {
  std::uint16_t* shared = dynamic_shared<std::uint16_t>();
  for (unsigned i = 0; i < 8; ++i) shared[threadIdx.x * 8 + i] = std::uint16_t(threadIdx.x * 8 + i);
  if (barriers) __syncwarp();
  unsigned x[4];
  const std::uint16_t* row = shared + (threadIdx.x + 1) % 32 * 8 + offset;  // of the next lane
  transposed ? load_transposed_matrices(x, row) : load_matrices(x, row);
  for (unsigned m = 0; m < 4; ++m) out[threadIdx.x * 4 + m] = x[m];
}

TEST_CASE("an emulated warp loads matrices as ldmatrix does") {
  const bool transposed = GENERATE(false, true);
  std::vector<unsigned> out(128);
  REQUIRE(message_of(loads_matrices, out.data(), transposed, 1, 0) == "no error");
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned m = 0; m < 4; ++m) {
      const auto element = [&](unsigned row, unsigned column) {
        return (64 * m + 8 * row + column + 8) % 256;  // lane l gave the row of lane l + 1
      };
      const unsigned i = lane / 4, j = lane % 4 * 2;  // "row thread / 4, elements 2 (thread % 4)"
      const unsigned first = transposed ? element(j, i) : element(i, j);
      const unsigned second = transposed ? element(j + 1, i) : element(i, j + 1);
      REQUIRE(out[lane * 4 + m] == (first | second << 16));
    }
}

TEST_CASE("the emulator shows a barrier missing before matrices are loaded") {
  std::vector<unsigned> right(128), wrong(128);
  REQUIRE(message_of(loads_matrices, right.data(), false, 1, 0) == "no error");
  REQUIRE(message_of(loads_matrices, wrong.data(), false, 0, 0) == "no error");
  CHECK(wrong != right);
}

TEST_CASE("the emulator refuses a matrix's row that does not lie on 16 bytes") {
  std::vector<unsigned> out(128);
  CHECK_THAT(message_of(loads_matrices, out.data(), false, 1, 1),
             Catch::StartsWith("a row of a matrix does not lie on 16 bytes at ") &&
                 Catch::Contains("test_emulator_ptx.cpp:"));
}

// Each thread copies 4 floats of each half of `from`, in two groups.
template <int pending, bool barrier>
__global__ void copies(float* to, const float* from, int bytes) {
  float* shared = dynamic_shared<float>();
  const unsigned mine = threadIdx.x * 4, half = 32 * 4;
  copy_async(shared + mine, from + mine, bytes);
  commit_copies();
  copy_async(shared + half + mine, from + half + mine, bytes);
  commit_copies();
  if constexpr (pending >= 0) wait_for_copies<pending>();
  if constexpr (barrier) __syncthreads();
  const unsigned other = half - 4 - mine;
  for (unsigned i = 0; i < 4; ++i)
    to[mine + i] = shared[other + i], to[half + mine + i] = shared[half + other + i];
}

std::vector<float> copied(void (*kernel)(float*, const float*, int), int bytes = 16) {
  struct alignas(16) Four {
    float x[4];
  };
  std::vector<Four> from(64);
  std::vector<float> to(256);
  for (int i = 0; i < 256; ++i) from[std::size_t(i) / 4].x[i % 4] = float(i);
  REQUIRE(message_of(kernel, to.data(), static_cast<const float*>(from[0].x), bytes) == "no error");
  return to;
}

TEST_CASE("an emulated thread copies to shared memory, with zeros behind what it asks for") {
  const std::vector<float> whole = copied(copies<0, true>), part = copied(copies<0, true>, 8);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t source = i / 128 * 128 + (124 - i % 128 / 4 * 4) + i % 4;
    REQUIRE(whole[i] == float(source));
    REQUIRE(part[i] == (i % 4 < 2 ? float(source) : 0.0f));
  }
}

TEST_CASE("the emulator shows a missing wait for an asynchronous copy") {
  const std::vector<float> never = copied(copies<-1, true>), early = copied(copies<1, true>);
  CHECK(std::isnan(never[0]));
  CHECK(std::isnan(never[200]));
  CHECK_FALSE(std::isnan(early[0]));  // the first of two groups was waited for
  CHECK(std::isnan(early[200]));
}

TEST_CASE("the emulator shows that a wait holds for the copies of its own thread only") {
  CHECK(std::isnan(copied(copies<0, false>)[0]));
}

__global__ void leaves_a_copy_under_way(float*, const float* from, int bytes) {
  copy_async(dynamic_shared<float>(), from, bytes);
}
__global__ void copies_off_its_alignment(float*, const float* from, int bytes) {
  copy_async(dynamic_shared<float>() + 1, from, bytes);
}

TEST_CASE("a copy that nobody waited for is no other launch's") {
  copied(leaves_a_copy_under_way);
  CHECK(copied(copies<0, true>)[0] == 124);
}

TEST_CASE("the emulator refuses a copy of other than 16 aligned bytes") {
  alignas(16) float from[4] = {};
  CHECK_THAT(message_of(copies_off_its_alignment, from, static_cast<const float*>(from), 16),
             Catch::StartsWith("the target of an asynchronous copy does not lie on 16 bytes"));
  CHECK_THAT(message_of(leaves_a_copy_under_way, from, static_cast<const float*>(from), 17),
             Catch::StartsWith("an asynchronous copy of other than 0 to 16 bytes"));
}

}  // namespace
}  // namespace metascale::cuda
