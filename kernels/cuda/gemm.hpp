// Matrix products on the GPU through cuBLASLt, row-major:
//   c (M, N) = op(a) op(b) + bias  (+ c where add)
//   operands f32, c f32        operands bf16, c f32 or bf16        operands f64, c f64
// Sums are f32 (f64), never TF32; c is rounded once, when it is stored; split sums meet in f32.
// What a product needs besides its operands (descriptors, algorithm) is kept per shape, so that a
// shape seen before costs a look-up: no allocation, no question to the library.
#pragma once

#include <cublasLt.h>

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/gemm_algorithms.hpp"
#include "kernels/cuda/memory.hpp"
#include "kernels/queue.hpp"

namespace metascale::cuda {

struct GemmOperand {
  const void* data = nullptr;
  std::int64_t stride = 0;  // elements from one stored row to the next
  bool transpose = false;   // the stored matrix is op()'s transpose
};

struct Gemm {
  void* c = nullptr;
  std::int64_t stride = 0;  // of c's rows
  std::int64_t M = 0, N = 0, K = 0;
  GemmOperand a, b;
  const void* bias = nullptr;        // (N)  in c's dtype; not where add
  Dtype operand_dtype = Dtype::f32;  // of a and b
  Dtype result_dtype = Dtype::f32;   // of c
  bool add = false;
};

// The products of one GPU; for one thread at a time.
class Gemms {
 public:
  // algorithm_file: where timed choices are kept [gemm_algorithms.hpp]; "": nothing is timed and
  // every shape gets the library's first proposal, which is the same on every run. device: names
  // the GPU in that file. Throws Error{unavailable} where cuBLASLt does not start.
  Gemms(std::size_t workspace_bytes, const std::string& algorithm_file, const std::string& device);
  ~Gemms();
  Gemms(const Gemms&) = delete;
  Gemms& operator=(const Gemms&) = delete;

  // Throws Error{run_failed}, with the shape, where the library has no algorithm or fails.
  void multiply(const Gemm& gemm, CUstream_st* stream);

  std::size_t shapes() const { return plans_.size(); }

 private:
  struct Plan {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a, b, c;
    cublasLtMatmulAlgo_t algorithm;
  };
  struct KeyHash {
    std::size_t operator()(const GemmKey& key) const;
  };

  Plan described(const Gemm& gemm) const;
  Plan planned(const Gemm& gemm, const GemmKey& key, CUstream_st* stream);
  std::vector<cublasLtMatmulAlgo_t> proposals(Plan& plan, const Gemm& gemm) const;
  bool has_algorithm(Plan& plan, const GemmAlgorithm& kept) const;
  cublasLtMatmulAlgo_t fastest(const std::vector<cublasLtMatmulAlgo_t>& candidates, Plan& plan,
                               const Gemm& gemm, CUstream_st* stream) const;
  cublasStatus_t execute(Plan& plan, const Gemm& gemm, void* result, CUstream_st* stream) const;

  cublasLtHandle_t handle_ = nullptr;
  std::size_t workspace_bytes_;
  DeviceMemory workspace_;
  GemmAlgorithms algorithms_;
  std::unordered_map<GemmKey, Plan, KeyHash> plans_;
};

}  // namespace metascale::cuda
