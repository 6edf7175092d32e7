// The bodies behind include/cublasLt.h.
#include <cublasLt.h>

#include <cuda_bf16.h>

#include <algorithm>
#include <cstring>
#include <vector>

// NVIDIA's handle is opaque too: there is nothing to keep.
struct cublasLtContext {};

namespace cuda_emulator {
namespace {

cublasLtContext the_context;
MatmulCalls calls;

constexpr std::uint64_t sequential = 0, halves = 1;

std::size_t bytes_of(cudaDataType_t type) {
  switch (type) {
    case CUDA_R_32F: return 4;
    case CUDA_R_64F: return 8;
    case CUDA_R_16BF: return 2;
  }
  return 0;
}

template <typename Sum>
Sum load(const void* data, cudaDataType_t type, std::int64_t index) {
  switch (type) {
    case CUDA_R_32F: return Sum(static_cast<const float*>(data)[index]);
    case CUDA_R_64F: return Sum(static_cast<const double*>(data)[index]);
    case CUDA_R_16BF: return Sum(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[index]));
  }
  return Sum(0);
}

template <typename Sum>
void store(void* data, cudaDataType_t type, std::int64_t index, Sum value) {
  switch (type) {
    case CUDA_R_32F: static_cast<float*>(data)[index] = float(value); return;
    case CUDA_R_64F: static_cast<double*>(data)[index] = double(value); return;
    case CUDA_R_16BF:
      static_cast<__nv_bfloat16*>(data)[index] = __float2bfloat16_rn(float(value));
      return;
  }
}

struct Matrix {
  const void* data;
  cublasLtMatrixLayoutOpaque_t layout;
  bool transpose;

  std::uint64_t rows() const { return transpose ? layout.columns : layout.rows; }
  std::uint64_t columns() const { return transpose ? layout.rows : layout.columns; }
  std::int64_t index(std::int64_t row, std::int64_t column) const {
    return transpose ? row * layout.stride + column : column * layout.stride + row;
  }
};

// The combinations of NVIDIA's table for cublasLtMatmul that this stand-in has.
bool has_types(const cublasLtMatmulDescOpaque_t& operation, cudaDataType_t a, cudaDataType_t b,
               cudaDataType_t c, cudaDataType_t d) {
  if (a != b || c != d) return false;
  if (operation.compute == CUBLAS_COMPUTE_64F)
    return operation.scale == CUDA_R_64F && a == CUDA_R_64F && c == CUDA_R_64F &&
           operation.epilogue == CUBLASLT_EPILOGUE_DEFAULT;
  if (operation.compute != CUBLAS_COMPUTE_32F || operation.scale != CUDA_R_32F) return false;
  return (a == CUDA_R_32F && c == CUDA_R_32F) ||
         (a == CUDA_R_16BF && (c == CUDA_R_32F || c == CUDA_R_16BF));
}

bool is_layout(const cublasLtMatrixLayoutOpaque_t& layout) {
  return layout.rows > 0 && layout.columns > 0 && layout.stride >= std::int64_t(layout.rows);
}

cublasStatus_t check(const cublasLtMatmulDescOpaque_t& operation,
                     const cublasLtMatrixLayoutOpaque_t& a, const cublasLtMatrixLayoutOpaque_t& b,
                     const cublasLtMatrixLayoutOpaque_t& c, const cublasLtMatrixLayoutOpaque_t& d) {
  if (!has_types(operation, a.type, b.type, c.type, d.type)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const Matrix left{nullptr, a, operation.transpose_a == CUBLAS_OP_T};
  const Matrix right{nullptr, b, operation.transpose_b == CUBLAS_OP_T};
  const bool fits = is_layout(a) && is_layout(b) && is_layout(c) && is_layout(d) &&
                    left.columns() == right.rows() && left.rows() == d.rows &&
                    right.columns() == d.columns && c.rows == d.rows && c.columns == d.columns;
  return fits ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

std::size_t workspace_of(std::uint64_t algorithm, const cublasLtMatmulDescOpaque_t& operation,
                         const cublasLtMatrixLayoutOpaque_t& d) {
  return algorithm == halves ? d.rows * d.columns * bytes_of(operation.scale) : 0;
}

bool is_aligned(const void* data, std::uint64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
}

// Row after row, or column after column.
template <typename Sum>
std::vector<Sum> widened(const Matrix& m, bool by_columns) {
  const auto lines = std::int64_t(by_columns ? m.columns() : m.rows());
  const auto length = std::int64_t(by_columns ? m.rows() : m.columns());
  std::vector<Sum> wide;
  wide.reserve(std::size_t(lines * length));
  for (std::int64_t line = 0; line < lines; ++line)
    for (std::int64_t k = 0; k < length; ++k)
      wide.push_back(
          load<Sum>(m.data, m.layout.type, by_columns ? m.index(k, line) : m.index(line, k)));
  return wide;
}

template <typename Sum>
Sum dot(const Sum* x, const Sum* y, std::int64_t count) {
  Sum sum = 0;
  for (std::int64_t k = 0; k < count; ++k) sum += x[k] * y[k];
  return sum;
}

template <typename Sum>
void multiply(const cublasLtMatmulDescOpaque_t& operation, const Matrix& a, const Matrix& b,
              Sum alpha, Sum beta, const Matrix& c, void* d,
              const cublasLtMatrixLayoutOpaque_t& layout, Sum* partial) {
  const auto rows = std::int64_t(layout.rows), columns = std::int64_t(layout.columns);
  const auto inner = std::int64_t(a.columns());
  const std::int64_t middle = partial ? inner / 2 : inner;
  const std::vector<Sum> left = widened<Sum>(a, false), right = widened<Sum>(b, true);
  const auto sum_of = [&](std::int64_t i, std::int64_t j, std::int64_t first, std::int64_t last) {
    return dot(left.data() + i * inner + first, right.data() + j * inner + first, last - first);
  };
  if (partial)
    for (std::int64_t j = 0; j < columns; ++j)
      for (std::int64_t i = 0; i < rows; ++i) partial[j * rows + i] = sum_of(i, j, middle, inner);
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) {
      Sum sum = sum_of(i, j, 0, middle);
      if (partial) sum += partial[j * rows + i];
      sum *= alpha;
      if (beta != 0) sum += beta * load<Sum>(c.data, c.layout.type, c.index(i, j));
      if (operation.epilogue == CUBLASLT_EPILOGUE_BIAS)
        sum += load<Sum>(operation.bias, layout.type, i);
      store(d, layout.type, j * layout.stride + i, sum);
    }
}

template <typename T>
cublasStatus_t set(T& field, const void* value, std::size_t bytes) {
  if (bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

MatmulCalls& matmul_calls() { return calls; }

}  // namespace cuda_emulator

using namespace cuda_emulator;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = &the_context;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  return handle == &the_context ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

std::size_t cublasLtGetVersion() { return 1; }

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_ALLOC_FAILED: return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE: return "an unsupported value was passed";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "the GPU program failed to execute";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "the functionality requested is not supported";
  }
  return "unknown status";
}

cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t layout, cudaDataType_t type,
                                        std::uint64_t rows, std::uint64_t columns,
                                        std::int64_t leading_dimension) {
  *layout = {type, rows, columns, leading_dimension};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t operation, cublasComputeType_t compute,
                                      cudaDataType_t scale) {
  *operation = {compute, scale, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return set(operation->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return set(operation->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(operation->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(operation->bias, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t preference) {
  *preference = {0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return set(preference->workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return set(preference->reduction_schemes, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                 value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* returned) {
  ++calls.heuristics;
  *returned = 0;
  if (wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  if (const auto status = check(*operation, *a, *b, *c, *d); status != CUBLAS_STATUS_SUCCESS)
    return status;
  for (const std::uint64_t algorithm : {sequential, halves}) {
    const std::size_t bytes = workspace_of(algorithm, *operation, *d);
    const bool may = algorithm == sequential ||
                     (preference->reduction_schemes & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    if (*returned == wanted || !may || bytes > preference->workspace_bytes) continue;
    cublasLtMatmulHeuristicResult_t& result = results[(*returned)++] = {};
    result.algo.data[0] = algorithm;
    std::copy_n(preference->alignment, 4, result.algo.data + 1);
    result.workspaceSize = bytes;
    result.state = CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
  if (const auto status = check(*operation, *a, *b, *c, *d); status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (algorithm->data[0] > halves) return CUBLAS_STATUS_INVALID_VALUE;
  for (int i = 1; i <= 4; ++i)
    if (algorithm->data[i] == 0) return CUBLAS_STATUS_INVALID_VALUE;
  *result = {};
  result->workspaceSize = workspace_of(algorithm->data[0], *operation, *d);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
                              const void* b, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  ++calls.products;
  cublasLtMatmulHeuristicResult_t needs;
  const auto status = cublasLtMatmulAlgoCheck(handle, operation, a_layout, b_layout, c_layout,
                                              d_layout, algorithm, &needs);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const bool aligned = is_aligned(a, algorithm->data[1]) && is_aligned(b, algorithm->data[2]) &&
                       is_aligned(c, algorithm->data[3]) && is_aligned(d, algorithm->data[4]);
  const bool has_workspace =
      needs.workspaceSize == 0 ||
      (workspace && workspace_bytes >= needs.workspaceSize && is_aligned(workspace, 256));
  const bool has_bias = operation->epilogue != CUBLASLT_EPILOGUE_BIAS || operation->bias;
  if (!aligned || !has_workspace || !has_bias) return CUBLAS_STATUS_INVALID_VALUE;
  if (cuda_emulator::machine().failure != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  const Matrix left{a, *a_layout, operation->transpose_a == CUBLAS_OP_T};
  const Matrix right{b, *b_layout, operation->transpose_b == CUBLAS_OP_T};
  const Matrix before{c, *c_layout, false};
  void* partial = algorithm->data[0] == halves ? workspace : nullptr;
  const auto send = [&]<typename T>(const T* factors_alpha, const T* factors_beta) {
    cuda_emulator::send(stream, [=, work = *operation, layout = *d_layout, one = *factors_alpha,
                                 other = *factors_beta] {
      multiply<T>(work, left, right, one, other, before, d, layout, static_cast<T*>(partial));
    });
  };
  if (operation->scale == CUDA_R_64F)
    send(static_cast<const double*>(alpha), static_cast<const double*>(beta));
  else
    send(static_cast<const float*>(alpha), static_cast<const float*>(beta));
  return CUBLAS_STATUS_SUCCESS;
}
