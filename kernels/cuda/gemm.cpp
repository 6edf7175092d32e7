// cuBLASLt is column-major: it is given c^T (N, M) = op(b)^T op(a)^T, for which the stored rows of
// every matrix are its columns. So its A is our b, its B our a, and a bias per column of c is one
// per row.
#include "kernels/cuda/gemm.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/cuda/status.hpp"

namespace metascale::cuda {
namespace {

constexpr int most_proposals = 16;
constexpr int timed_rounds = 5;
constexpr std::uint32_t widest_access = 16;  // bytes: what alignment algorithms are chosen for

cudaDataType_t data_type(Dtype dtype) {
  if (dtype == Dtype::f64) return CUDA_R_64F;
  return dtype == Dtype::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

std::uint32_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data) | widest_access;
  return std::uint32_t(1) << std::countr_zero(address);
}

std::string text_of(const Gemm& gemm) {
  return concat("the product (", gemm.M, ", ", gemm.K, ") by (", gemm.K, ", ", gemm.N, ") of ",
                name_of(gemm.operand_dtype), " into ", name_of(gemm.result_dtype));
}

void expect(cublasStatus_t status, const Gemm& gemm) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw GpuFailure(
        concat("cuBLASLt failed at ", text_of(gemm), ": ", cublasLtGetStatusString(status)));
}

GemmKey key_of(const Gemm& gemm) {
  std::int64_t flags = 0;
  const auto append = [&](int bits, std::int64_t value) { flags = (flags << bits) | value; };
  append(2, std::int64_t(gemm.operand_dtype));
  append(2, std::int64_t(gemm.result_dtype));
  append(1, gemm.a.transpose);
  append(1, gemm.b.transpose);
  append(1, gemm.bias != nullptr);
  append(1, gemm.add);
  for (const void* data : {gemm.a.data, gemm.b.data, static_cast<const void*>(gemm.c), gemm.bias})
    append(3, std::countr_zero(alignment_of(data)));
  return {gemm.M, gemm.N, gemm.K, gemm.a.stride, gemm.b.stride, gemm.stride, flags};
}

// Two events of the GPU's clock.
class Stopwatch {
 public:
  explicit Stopwatch(CUstream_st* stream) : stream_(stream) {
    expect_success(cudaEventCreateWithFlags(&begin_, 0), what);
    expect_success(cudaEventCreateWithFlags(&end_, 0), what);
  }
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  void start() { expect_success(cudaEventRecord(begin_, stream_), what); }
  float milliseconds() {
    float elapsed = 0;
    expect_success(cudaEventRecord(end_, stream_), what);
    expect_success(cudaEventSynchronize(end_), what);
    expect_success(cudaEventElapsedTime(&elapsed, begin_, end_), what);
    return elapsed;
  }

 private:
  static constexpr const char* what = "a product was not timed";
  CUstream_st* stream_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

bool is_capturing(CUstream_st* stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  expect_success(cudaStreamIsCapturing(stream, &status), "the stream gave no answer");
  return status != cudaStreamCaptureStatusNone;
}

cublasLtHandle_t started() {
  cublasLtHandle_t handle = nullptr;
  const cublasStatus_t status = cublasLtCreate(&handle);
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(concat("cuBLASLt did not start: ", cublasLtGetStatusString(status),
                       "; is the GPU's memory full or its driver too old? (nvidia-smi tells)"),
                ExitCode::unavailable);
  return handle;
}

}  // namespace

std::size_t Gemms::KeyHash::operator()(const GemmKey& key) const {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a, a word at a time
  for (const std::int64_t word : key) hash = (hash ^ std::uint64_t(word)) * 1099511628211u;
  return hash ^ (hash >> 32);
}

Gemms::Gemms(std::size_t workspace_bytes, const std::string& algorithm_file,
             const std::string& device)
    : workspace_bytes_(workspace_bytes),
      workspace_(allocate(workspace_bytes)),
      algorithms_(algorithm_file, device, cublasLtGetVersion()) {
  handle_ = started();  // last: nothing that throws may come after it
}

Gemms::~Gemms() { cublasLtDestroy(handle_); }

void Gemms::multiply(const Gemm& gemm, CUstream_st* stream) {
  const GemmKey key = key_of(gemm);
  auto place = plans_.find(key);
  if (place == plans_.end()) place = plans_.emplace(key, planned(gemm, key, stream)).first;
  Plan& plan = place->second;
  if (gemm.bias)
    expect(cublasLtMatmulDescSetAttribute(&plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                          &gemm.bias, sizeof gemm.bias),
           gemm);
  expect(execute(plan, gemm, gemm.c, stream), gemm);
}

Gemms::Plan Gemms::described(const Gemm& gemm) const {
  const bool f64 = gemm.operand_dtype == Dtype::f64;
  Plan plan{};
  expect(cublasLtMatmulDescInit(&plan.operation, f64 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                f64 ? CUDA_R_64F : CUDA_R_32F),
         gemm);
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    expect(cublasLtMatmulDescSetAttribute(&plan.operation, attribute, &value, sizeof value), gemm);
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, gemm.b.transpose ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, gemm.a.transpose ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (gemm.bias) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, gemm.bias);
  }
  const auto lay = [&](cublasLtMatrixLayoutOpaque_t& layout, Dtype dtype, std::int64_t rows,
                       std::int64_t columns, std::int64_t stride) {
    expect(cublasLtMatrixLayoutInit(&layout, data_type(dtype), std::uint64_t(columns),
                                    std::uint64_t(rows), stride),
           gemm);
  };
  const auto [M, N, K] = std::array{gemm.M, gemm.N, gemm.K};
  lay(plan.a, gemm.operand_dtype, gemm.b.transpose ? N : K, gemm.b.transpose ? K : N,
      gemm.b.stride);
  lay(plan.b, gemm.operand_dtype, gemm.a.transpose ? K : M, gemm.a.transpose ? M : K,
      gemm.a.stride);
  lay(plan.c, gemm.result_dtype, M, N, gemm.stride);
  return plan;
}

Gemms::Plan Gemms::planned(const Gemm& gemm, const GemmKey& key, CUstream_st* stream) {
  Plan plan = described(gemm);
  if (const auto kept = algorithms_.find(key); kept && has_algorithm(plan, *kept)) {
    std::copy(kept->begin(), kept->end(), plan.algorithm.data);
    return plan;
  }
  const std::vector<cublasLtMatmulAlgo_t> candidates = proposals(plan, gemm);
  plan.algorithm = candidates.front();
  if (!algorithms_.are_kept() || is_capturing(stream)) return plan;
  plan.algorithm = fastest(candidates, plan, gemm, stream);
  GemmAlgorithm words;
  std::copy_n(plan.algorithm.data, words.size(), words.begin());
  words = algorithms_.keep(key, words);
  std::copy(words.begin(), words.end(), plan.algorithm.data);
  return plan;
}

// Whether the library still takes an algorithm that was kept, within our workspace.
bool Gemms::has_algorithm(Plan& plan, const GemmAlgorithm& kept) const {
  cublasLtMatmulAlgo_t algorithm;
  std::copy(kept.begin(), kept.end(), algorithm.data);
  cublasLtMatmulHeuristicResult_t result{};
  return cublasLtMatmulAlgoCheck(handle_, &plan.operation, &plan.a, &plan.b, &plan.c, &plan.c,
                                 &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= workspace_bytes_;
}

// In the library's order. Split sums may only meet in f32: other ways round twice.
std::vector<cublasLtMatmulAlgo_t> Gemms::proposals(Plan& plan, const Gemm& gemm) const {
  cublasLtMatmulPreferenceOpaque_t preference;
  expect(cublasLtMatmulPreferenceInit(&preference), gemm);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    expect(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
           gemm);
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t(workspace_bytes_));
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(gemm.b.data));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(gemm.a.data));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(gemm.c));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(gemm.c));
  std::array<cublasLtMatmulHeuristicResult_t, most_proposals> results{};
  int count = 0;
  expect(
      cublasLtMatmulAlgoGetHeuristic(handle_, &plan.operation, &plan.a, &plan.b, &plan.c, &plan.c,
                                     &preference, most_proposals, results.data(), &count),
      gemm);
  std::vector<cublasLtMatmulAlgo_t> candidates;
  for (int i = 0; i < count; ++i)
    if (results[std::size_t(i)].state == CUBLAS_STATUS_SUCCESS)
      candidates.push_back(results[std::size_t(i)].algo);
  if (candidates.empty())
    throw Error(concat("cuBLASLt has no algorithm for ", text_of(gemm), " within ",
                       workspace_bytes_, " bytes of workspace"),
                ExitCode::run_failed);
  return candidates;
}

// By the shortest of a few rounds. The sums of `add` go elsewhere: c must be added to once only.
cublasLtMatmulAlgo_t Gemms::fastest(const std::vector<cublasLtMatmulAlgo_t>& candidates, Plan& plan,
                                    const Gemm& gemm, CUstream_st* stream) const {
  const std::size_t bytes =
      std::size_t(gemm.M) * std::size_t(gemm.stride) * size_of(gemm.result_dtype);
  const DeviceMemory elsewhere(gemm.add ? allocate(bytes) : nullptr);
  void* result = gemm.add ? elsewhere.get() : gemm.c;
  Stopwatch watch(stream);
  cublasLtMatmulAlgo_t best = candidates.front();
  float shortest = std::numeric_limits<float>::infinity();
  for (const cublasLtMatmulAlgo_t& candidate : candidates) {
    plan.algorithm = candidate;
    if (execute(plan, gemm, result, stream) != CUBLAS_STATUS_SUCCESS) continue;
    for (int round = 0; round < timed_rounds; ++round) {
      watch.start();
      expect(execute(plan, gemm, result, stream), gemm);
      const float elapsed = watch.milliseconds();
      if (elapsed >= shortest) continue;
      shortest = elapsed;
      best = candidate;
    }
  }
  return best;
}

cublasStatus_t Gemms::execute(Plan& plan, const Gemm& gemm, void* result,
                              CUstream_st* stream) const {
  const float one = 1, beta = gemm.add ? 1 : 0;
  const double one64 = 1, beta64 = beta;
  const bool f64 = gemm.operand_dtype == Dtype::f64;
  return cublasLtMatmul(handle_, &plan.operation, f64 ? static_cast<const void*>(&one64) : &one,
                        gemm.b.data, &plan.a, gemm.a.data, &plan.b,
                        f64 ? static_cast<const void*>(&beta64) : &beta, gemm.c, &plan.c, result,
                        &plan.c, &plan.algorithm, workspace_.get(), workspace_bytes_, stream);
}

}  // namespace metascale::cuda
