// Plans of matrix products on the emulated GPU, whose cuBLASLt counts its calls: what is kept, in
// memory and in the file of algorithms; and that the stand-in refuses what cuBLASLt refuses.
#include <cublasLt.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "kernels/cuda/gemm.hpp"
#include "tests/support/cases.hpp"

namespace metascale {
namespace {

using namespace testing;

constexpr std::int64_t M = 5, N = 7, K = 9;
constexpr std::size_t workspace_bytes = 1 << 16;

// c = a b of f32 in memory of the host, which the emulated GPU shares.
struct Product {
  std::vector<float> a = std::vector<float>(M * K + 1, 1.0f), b = std::vector<float>(K * N, 2.0f),
                     c = std::vector<float>(M * N, 0.0f);

  cuda::Gemm gemm(bool add = false) {
    return {.c = c.data(),
            .stride = N,
            .M = M,
            .N = N,
            .K = K,
            .a = {a.data(), K},
            .b = {b.data(), N},
            .add = add};
  }
};

// A file name of this test's own; the file goes with it.
struct Path {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / concat("metascale-algorithms-", ::getpid());
  Path() { std::filesystem::remove(path); }
  ~Path() { std::filesystem::remove(path); }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;
};

int heuristics_of(cuda::Gemms& gemms, const cuda::Gemm& gemm) {
  const int before = cuda_emulator::matmul_calls().heuristics;
  gemms.multiply(gemm, nullptr);
  return cuda_emulator::matmul_calls().heuristics - before;
}

}  // namespace

TEST_CASE(
    "the library is asked once for the algorithms of a shape, and memory once for its workspace") {
  cuda::Gemms gemms(workspace_bytes, "", "GPU");
  Product product, other;
  const int allocations = cuda_emulator::machine().allocations;
  CHECK(heuristics_of(gemms, product.gemm()) == 1);
  CHECK(heuristics_of(gemms, product.gemm()) == 0);
  CHECK(heuristics_of(gemms, other.gemm()) == 0);
  CHECK(gemms.shapes() == 1);
  CHECK(heuristics_of(gemms, product.gemm(true)) == 1);
  CHECK(cuda_emulator::machine().allocations == allocations);
  CHECK(product.c == std::vector<float>(M * N, 2.0f * 2 * K));
}

TEST_CASE("operands that are aligned otherwise have a plan of their own") {
  cuda::Gemms gemms(workspace_bytes, "", "GPU");
  Product product;
  cuda::Gemm gemm = product.gemm();
  CHECK(heuristics_of(gemms, gemm) == 1);
  gemm.a.data = product.a.data() + 1;
  CHECK(heuristics_of(gemms, gemm) == 1);
}

TEST_CASE("a timed algorithm is kept in the file and taken from there by the next run") {
  const Path file;
  Product product;
  {
    cuda::Gemms gemms(workspace_bytes, file.path, "GPU");
    gemms.multiply(product.gemm(true), nullptr);
    CHECK(product.c == std::vector<float>(M * N, 2.0f * K));  // timing has added nothing
    gemms.multiply(product.gemm(), nullptr);
  }
  const std::string written = read_file(file.path);
  const int products = cuda_emulator::matmul_calls().products;
  cuda::Gemms next(workspace_bytes, file.path, "GPU");
  CHECK(heuristics_of(next, product.gemm(true)) == 0);
  CHECK(heuristics_of(next, product.gemm()) == 0);
  CHECK(cuda_emulator::matmul_calls().products == products + 2);  // nothing was timed
  CHECK(read_file(file.path) == written);
}

TEST_CASE("of two processes that time a product at once both go on with the first one's choice") {
  const Path file;
  const cuda::GemmKey key{1, 2, 3, 4, 5, 6, 7};
  const cuda::GemmAlgorithm early{1}, late{2};
  cuda::GemmAlgorithms first(file.path, "GPU", 1), second(file.path, "GPU", 1);
  CHECK(first.keep(key, early) == early);
  CHECK(second.keep(key, late) == early);
  CHECK(second.keep(key, late) == late);  // it knew the other and found that it serves no more
  CHECK(cuda::GemmAlgorithms(file.path, "GPU", 1).find(key) == late);
}

TEST_CASE("algorithms of another GPU are kept and not used") {
  const Path file;
  Product product;
  cuda::Gemms first(workspace_bytes, file.path, "one GPU");
  first.multiply(product.gemm(), nullptr);
  cuda::Gemms second(workspace_bytes, file.path, "another: GPU");
  CHECK(heuristics_of(second, product.gemm()) == 1);
  cuda::Gemms third(workspace_bytes, file.path, "one GPU");
  CHECK(heuristics_of(third, product.gemm()) == 0);
}

TEST_CASE("an algorithm from the file that the library refuses is timed again") {
  const Path file;
  Product product;
  cuda::Gemms first(workspace_bytes, file.path, "GPU");
  first.multiply(product.gemm(), nullptr);
  const std::string text = read_file(file.path);
  const std::size_t split = text.rfind(" : ");
  write_file_atomically(file.path, text.substr(0, split) + " : 9 9 9 9 9 0 0 0\n");
  cuda::Gemms second(workspace_bytes, file.path, "GPU");
  CHECK(heuristics_of(second, product.gemm()) == 1);
}

TEST_CASE("a damaged file of algorithms is named with its line") {
  const Path file;
  const auto message = [&](const std::string& text) {
    write_file_atomically(file.path, text);
    return message_of_error([&] { cuda::Gemms(workspace_bytes, file.path, "GPU"); });
  };
  const std::string path = file.path.string(), title = "metascale cuBLASLt algorithms 1\n";
  const std::string what = ": is not a line of a file of cuBLASLt algorithms";
  CHECK_THAT(message("something else\n"), Catch::StartsWith(path + ":1" + what));
  CHECK_THAT(message(title + "GPU 1 2 3\n"), Catch::StartsWith(path + ":2" + what));
  CHECK_THAT(message(title + "GPU 1 : 1 2 3 4 5 6 7\n"), Catch::StartsWith(path + ":2" + what));
  CHECK_THAT(message(title + "GPU 1 : 1 2 3 4 5 6 7 8 9\n"), Catch::StartsWith(path + ":2" + what));
  CHECK_THAT(message(title + "GPU 1 : 1 2 3 4 5 6 7 x\n"), Catch::StartsWith(path + ":2" + what));
  CHECK(message(title).empty());
}

TEST_CASE("nothing is timed while a stream is captured") {
  const Path file;
  Product product;
  cuda::Gemms gemms(workspace_bytes, file.path, "GPU");
  cuda_emulator::machine().is_capturing = true;
  gemms.multiply(product.gemm(), nullptr);
  cuda_emulator::machine().is_capturing = false;
  CHECK(!std::filesystem::exists(file.path));
}

TEST_CASE("a product that cuBLASLt refuses says its shape, its types and the reason") {
  cuda::Gemms gemms(workspace_bytes, "", "GPU");
  Product product;
  cuda::Gemm gemm = product.gemm();
  gemm.result_dtype = Dtype::bf16;
  CHECK_THROWS_WITH(
      gemms.multiply(gemm, nullptr),
      "cuBLASLt failed at the product (5, 9) by (9, 7) of f32 into bf16: the functionality "
      "requested is not supported");
  gemm = product.gemm();
  gemm.a.stride = K - 1;
  CHECK_THROWS_AS(gemms.multiply(gemm, nullptr), Error);
}

TEST_CASE("the stand-in of cuBLASLt refuses less alignment and less workspace than was promised") {
  Product product;
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t layout;
  cublasLtMatmulDescInit(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  cublasLtMatrixLayoutInit(&layout, CUDA_R_32F, 2, 2, 2);
  const float one = 1, zero = 0;
  std::vector<float> workspace(128);
  const auto multiply = [&](cublasLtMatmulAlgo_t algorithm, void* space, std::size_t bytes) {
    return cublasLtMatmul(nullptr, &operation, &one, product.a.data() + 1, &layout,
                          product.b.data(), &layout, &zero, product.c.data(), &layout,
                          product.c.data(), &layout, &algorithm, space, bytes, nullptr);
  };
  CHECK(multiply({{0, 4, 4, 4, 4}}, nullptr, 0) == CUBLAS_STATUS_SUCCESS);
  CHECK(multiply({{0, 16, 4, 4, 4}}, nullptr, 0) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(multiply({{1, 4, 4, 4, 4}}, nullptr, 0) == CUBLAS_STATUS_INVALID_VALUE);
  const auto address = (reinterpret_cast<std::uintptr_t>(workspace.data()) + 255) / 256 * 256;
  CHECK(multiply({{1, 4, 4, 4, 4}}, reinterpret_cast<void*>(address), 16) == CUBLAS_STATUS_SUCCESS);
  CHECK(multiply({{1, 4, 4, 4, 4}}, reinterpret_cast<void*>(address), 15) ==
        CUBLAS_STATUS_INVALID_VALUE);
}

}  // namespace metascale
