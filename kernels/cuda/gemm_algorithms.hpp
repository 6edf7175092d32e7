// The file in which timed choices of cuBLASLt's algorithms are kept, so that later runs neither
// time again nor choose otherwise: equal choices are equal bits. A line holds the GPU, the version
// of the library, the shape and the algorithm; lines of other GPUs and versions are kept and not
// used.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace metascale::cuda {

// What an algorithm is chosen by: M, N, K, the strides of a, b and c, and dtypes, transposes, bias,
// add and alignments in one word [gemm.cpp: key_of].
using GemmKey = std::array<std::int64_t, 7>;
using GemmAlgorithm = std::array<std::uint64_t, 8>;  // cublasLtMatmulAlgo_t, bit for bit

class GemmAlgorithms {
 public:
  // path "": nothing is kept. Throws Error{bad_input} with file:line where the file is damaged.
  GemmAlgorithms(const std::string& path, const std::string& device, std::size_t library_version);

  bool are_kept() const { return !path_.empty(); }
  std::optional<GemmAlgorithm> find(const GemmKey& key) const;
  // The algorithm that the file then has: another one where another process has found one
  // meanwhile. Throws Error{io}.
  GemmAlgorithm keep(const GemmKey& key, const GemmAlgorithm& algorithm);

 private:
  void read();
  std::string line_start(const GemmKey& key) const;

  std::string path_, owner_;
  std::map<std::string, GemmAlgorithm> lines_;  // by what stands before the algorithm
};

}  // namespace metascale::cuda
