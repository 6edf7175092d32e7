#include <catch2/catch.hpp>
#include <vector>

#include "core/error.hpp"
#include "kernels/cuda/memory.hpp"

namespace metascale {

TEST_CASE("memory of the GPU gives back what was copied there") {
  const std::vector<int> sent{3, 1, 4, 1, 5};
  std::vector<int> received(sent.size());
  std::byte* memory = cuda::allocate(sizeof(int) * sent.size());
  cuda::copy_to_device(memory, sent.data(), sizeof(int) * sent.size(), nullptr);
  cuda::copy_to_host(received.data(), memory, sizeof(int) * sent.size(), nullptr);
  CHECK(received == sent);
  cuda::clear(memory, sizeof(int) * sent.size(), nullptr);
  cuda::copy_to_host(received.data(), memory, sizeof(int) * sent.size(), nullptr);
  CHECK(received == std::vector<int>(sent.size(), 0));
  cuda::release(memory);
}

TEST_CASE("no memory of the GPU is no allocation") {
  CHECK(cuda::allocate(0) == nullptr);
  CHECK_NOTHROW(cuda::release(nullptr));
}

TEST_CASE("too little memory of the GPU is an error that says how much was asked for") {
  CHECK_THROWS_WITH(cuda::allocate(std::size_t(1) << 60),
                    Catch::StartsWith("1152921504606846976 bytes were asked for on the GPU: "));
}

}  // namespace metascale
