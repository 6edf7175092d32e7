// Tensor cores and asynchronous copies behind include/kernels/cuda/mma.cuh.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <kernels/cuda/mma.cuh>
#include <stdexcept>
#include <string>
#include <vector>

namespace cuda_emulator {
namespace {

constexpr unsigned lanes = 32;

struct Copy {
  std::byte* to;
  const std::byte* from;
  std::size_t bytes;
};
// What one thread has under way: groups in the order of their commits; the last is still open.
using Groups = std::vector<std::vector<Copy>>;
std::array<Groups, 1024> under_way;

float half_of(unsigned pair, unsigned index) {
  return std::bit_cast<float>(index == 0 ? pair << 16 : pair & 0xffff0000u);
}

[[noreturn]] void refuse(const std::string& what, Where where) {
  throw std::runtime_error(what + " at " + where.file + ":" + std::to_string(where.line));
}

void expect_on_16_bytes(const void* place, const char* what, Where where) {
  if (std::bit_cast<std::uintptr_t>(place) % 16 != 0)
    refuse(std::string(what) + " does not lie on 16 bytes", where);
}

}  // namespace

// Each lane finds row `g + 8 (i / 2)` of a and column `2 q + i % 2` of b with their owners.
void multiply_add(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], Where where) {
  struct Operands {
    unsigned a[4], b[2];
  };
  Operands mine, all[lanes];
  std::copy(a, a + 4, mine.a);
  std::copy(b, b + 2, mine.b);
  warp_gather(&mine, all, sizeof mine, where);
  const unsigned g = lane() / 4, q = lane() % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned column = 2 * q + i % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned owner = k % 8 / 2, upper = k / 8;
      const float left = half_of(all[4 * g + owner].a[i / 2 + 2 * upper], k % 2);
      const float right = half_of(all[4 * column + owner].b[upper], k % 2);
      c[i] += left * right;
    }
  }
}

// A lane reads its row when it arrives, so that a barrier missing before shows.
void load_matrices(unsigned (&x)[4], const void* row, bool transposed, Where where) {
  expect_on_16_bytes(row, "a row of a matrix", where);
  std::uint16_t mine[8], rows[lanes][8];
  std::memcpy(mine, row, sizeof mine);
  warp_gather(mine, rows, sizeof mine, where);
  const unsigned g = lane() / 4, q = lane() % 4;
  for (unsigned m = 0; m < 4; ++m) {
    const auto element = [&](unsigned i, unsigned j) { return unsigned(rows[8 * m + i][j]); };
    const unsigned first = transposed ? element(2 * q, g) : element(g, 2 * q);
    const unsigned second = transposed ? element(2 * q + 1, g) : element(g, 2 * q + 1);
    x[m] = first | second << 16;
  }
}

// The bytes are NaN until the thread has waited, and are read only then.
void copy_async(void* shared, const void* global, int bytes, Where where) {
  expect_on_16_bytes(shared, "the target of an asynchronous copy", where);
  expect_on_16_bytes(global, "the source of an asynchronous copy", where);
  if (bytes < 0 || bytes > 16) refuse("an asynchronous copy of other than 0 to 16 bytes", where);
  std::memset(shared, 0xff, 16);
  Groups& groups = under_way[thread_index()];
  if (groups.empty()) groups.emplace_back();
  groups.back().push_back(
      {static_cast<std::byte*>(shared), static_cast<const std::byte*>(global), std::size_t(bytes)});
}

void commit_copies() {
  Groups& groups = under_way[thread_index()];
  if (groups.empty()) groups.emplace_back();
  groups.emplace_back();
}

void wait_for_copies(std::size_t pending) {
  Groups& groups = under_way[thread_index()];
  while (groups.size() > pending + 1) {
    for (const Copy& copy : groups.front()) {
      std::memset(copy.to, 0, 16);
      std::memcpy(copy.to, copy.from, copy.bytes);
    }
    groups.erase(groups.begin());
  }
}

void forget_copies() {
  for (Groups& groups : under_way) groups.clear();
}

}  // namespace cuda_emulator
