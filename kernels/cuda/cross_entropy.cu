// A chunk of rows at a time: logits by one product, the loss and the logits' gradients in place by
// one kernel, the gradients of x and W by two products. Losses and softmax are computed in f32
// (f64).
#include "kernels/cross_entropy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/checks.hpp"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/context.hpp"
#include "kernels/cuda/exponential.cuh"
#include "kernels/cuda/packs.cuh"
#include "kernels/cuda/rounded.cuh"

namespace metascale {
namespace {

constexpr int row_threads = 512;

// What memory delivers at a time: 16 bytes.
template <typename S>
struct Pack : cuda::Stored<S, 16 / int(sizeof(S))> {
  static constexpr int size = 16 / int(sizeof(S));
};

// The maximum m of some numbers, and the sum of e^{z - m}.
template <typename T>
struct LogSum {
  T largest = std::numeric_limits<T>::lowest();
  T sum = 0;

  __device__ void add(T z) {
    if (z <= largest) {
      sum += std::exp(z - largest);
    } else {  // a NaN comes here too, and stays
      sum = sum * std::exp(largest - z) + 1;
      largest = z;
    }
  }
  __device__ void join(const LogSum& other) {
    if (other.sum == 0) return;  // of no numbers
    const T m = largest > other.largest ? largest : other.largest;
    sum = sum * std::exp(largest - m) + other.sum * std::exp(other.largest - m);
    largest = m;
  }
};

// Of all threads' numbers, given to every thread; joined in a fixed order.
template <typename T>
__device__ LogSum<T> block_log_sum(LogSum<T> mine) {
  __shared__ T largest[cuda::warp_size], sum[cuda::warp_size];
  const auto join_warp = [](LogSum<T> value) {
    for (int offset = cuda::warp_size / 2; offset > 0; offset /= 2) {
      LogSum<T> other;
      other.largest = __shfl_xor_sync(0xffffffffu, value.largest, offset);
      other.sum = __shfl_xor_sync(0xffffffffu, value.sum, offset);
      value.join(other);
    }
    return value;
  };
  const int lane = int(threadIdx.x) % cuda::warp_size, warp = int(threadIdx.x) / cuda::warp_size;
  mine = join_warp(mine);
  if (lane == 0) {
    largest[warp] = mine.largest;
    sum[warp] = mine.sum;
  }
  __syncthreads();
  LogSum<T> all;
  if (lane < int(blockDim.x) / cuda::warp_size) {
    all.largest = largest[lane];
    all.sum = sum[lane];
  }
  return join_warp(all);
}

// body(v, z_v) for the row's elements of this thread, 16 bytes at a time where the row is aligned.
template <typename S, typename T, typename Body>
__device__ void each_of_row(const S* row, std::int64_t V, bool aligned, Body body) {
  using Read = Pack<S>;
  if (!aligned) {
    for (std::int64_t v = threadIdx.x; v < V; v += blockDim.x) body(v, T(row[v]));
    return;
  }
  for (std::int64_t v = std::int64_t(threadIdx.x) * Read::size; v < V;
       v += std::int64_t(blockDim.x) * Read::size) {
    const Read pack = *reinterpret_cast<const Read*>(row + v);
    for (int i = 0; i < Read::size; ++i) body(v + i, T(pack.values[i]));
  }
}

// The gradients of a row, scale (softmax(z) - [v = target]); `to` may be the row itself.
template <typename S, typename D, typename T>
__device__ void store_gradients(D* to, const S* row, std::int64_t V, bool aligned, T largest,
                                T factor, std::int32_t target, T scale) {
  const auto gradient = [&](std::int64_t v, T z) {
    const T g = factor * cuda::exponential<D>(z - largest);
    return cuda::stored<D>(v == target ? g - scale : g);
  };
  if (!aligned) {
    each_of_row<S, T>(row, V, false, [&](std::int64_t v, T z) { to[v] = gradient(v, z); });
    return;
  }
  for (std::int64_t v = std::int64_t(threadIdx.x) * Pack<S>::size; v < V;
       v += std::int64_t(blockDim.x) * Pack<S>::size) {
    const Pack<S> z = *reinterpret_cast<const Pack<S>*>(row + v);
    cuda::Stored<D, Pack<S>::size> g;  // as many: 8 bytes of bf16 for 16 of f32
    for (int i = 0; i < Pack<S>::size; ++i) g.values[i] = gradient(v + i, T(z.values[i]));
    *reinterpret_cast<cuda::Stored<D, Pack<S>::size>*>(to + v) = g;
  }
}

template <typename S, typename D, typename T>
struct Rows {
  T* losses;                    // (R)
  const S* logits;              // (R, V)
  D* gradients;                 // (R, V)  may be the logits; nullptr: losses alone
  const std::int32_t* targets;  // (R)
  const T* scales;              // (R)
  std::int64_t V;
  bool aligned;  // V and the addresses are multiples of 16 bytes
};

// One block per row, which is read twice.
template <typename S, typename D, typename T>
__global__ void loss_and_gradients(Rows<S, D, T> rows) {
  const std::int64_t r = blockIdx.x, V = rows.V;
  const S* row = rows.logits + r * V;
  LogSum<T> mine;
  each_of_row<S, T>(row, V, rows.aligned, [&](std::int64_t, T z) { mine.add(z); });
  const LogSum<T> all = block_log_sum(mine);
  const std::int32_t target = rows.targets[r];
  if (threadIdx.x == 0) rows.losses[r] = std::log(all.sum) - (T(row[target]) - all.largest);
  if (!rows.gradients) return;
  __syncthreads();  // the target's logit has been read
  const T scale = rows.scales[r];
  store_gradients(rows.gradients + r * V, row, V, rows.aligned, all.largest, scale / all.sum,
                  target, scale);
}

// The products of one operator, a chunk of rows at a time. x, W and dlogits are in bf16 as stored,
// or rounded into scratch, where the operator asks for bf16; else in their own dtype.
class Chunks {
 public:
  template <typename Op>
  Chunks(const Op& op, CudaQueue& queue)
      : queue_(queue),
        gemms_(cuda::context_of(queue).gemms()),
        x_(op.x.reshaped(merged(op.x.shape, 2))),
        weight_(op.weight),
        logits_(op.logits),
        size_(op.logits.shape[0]),
        dtype_(op.bf16 ? Dtype::bf16 : op.x.dtype) {
    if (!op.bf16)
      expect_dtype("a classifier's weight", op.weight, op.x.dtype, "the dtype of x, without bf16");
    bfloat16* free = op.scratch.template pointer<bfloat16>();
    if (op.bf16) weight_.data = const_cast<bfloat16*>(cuda::rounded(weight_, free, queue.stream));
    rounded_x_ = free;
    if (op.bf16 && x_.dtype != Dtype::bf16) free += size_ * D();
    rounded_logits_ = free;
  }

  std::int64_t D() const { return weight_.shape[1]; }
  std::int64_t V() const { return weight_.shape[0]; }

  // Calls body(first row, number of rows) for every chunk.
  template <typename Body>
  void for_each(Body&& body) const {
    const std::int64_t rows = x_.shape[0];
    for (std::int64_t first = 0; first < rows; first += size_)
      body(first, std::min(size_, rows - first));
  }

  // logits = x W^T
  void forward(std::int64_t first, std::int64_t count) {
    x_of_chunk_ = element(x_, first * D());
    if (dtype_ != x_.dtype) {
      cuda::round_to_bf16(rounded_x_, static_cast<const float*>(x_of_chunk_), count * D(),
                          queue_.stream);
      x_of_chunk_ = rounded_x_;
    }
    multiply({.c = logits_.data,
              .stride = V(),
              .M = count,
              .N = V(),
              .K = D(),
              .a = {x_of_chunk_, D()},
              .b = {weight_.data, D(), true},
              .result_dtype = logits_.dtype});
  }

  // Where the gradients of the logits go, in the dtype of the products' operands.
  void* gradients() const { return dtype_ == logits_.dtype ? logits_.data : rounded_logits_; }
  Dtype gradient_dtype() const { return dtype_; }

  // dx (+)= dlogits W;   dW (+)= dlogits^T x
  void backward(std::int64_t first, std::int64_t count, const Tensor& dx, const Tensor& dweight) {
    multiply({.c = element(dx, first * D()),
              .stride = D(),
              .M = count,
              .N = D(),
              .K = V(),
              .a = {gradients(), V()},
              .b = {weight_.data, D()},
              .result_dtype = dx.dtype,
              .add = !dx.fresh});
    multiply({.c = dweight.data,
              .stride = D(),
              .M = V(),
              .N = D(),
              .K = count,
              .a = {gradients(), V(), true},
              .b = {x_of_chunk_, D()},
              .result_dtype = dweight.dtype,
              .add = !dweight.fresh || first > 0});
  }

 private:
  static void* element(const Tensor& tensor, std::int64_t index) {
    return static_cast<std::byte*>(tensor.data) + std::size_t(index) * size_of(tensor.dtype);
  }

  void multiply(cuda::Gemm gemm) {
    gemm.operand_dtype = dtype_;
    gemms_.multiply(gemm, queue_.stream);
  }

  CudaQueue& queue_;
  cuda::Gemms& gemms_;
  Tensor x_, weight_, logits_;
  std::int64_t size_;
  Dtype dtype_;
  bfloat16 *rounded_x_ = nullptr, *rounded_logits_ = nullptr;
  const void* x_of_chunk_ = nullptr;
};

// Rows without gradients.
template <typename S, typename D, typename T, typename Op>
Rows<S, D, T> rows_of(const Op& op, std::int64_t first) {
  Rows<S, D, T> rows{};
  rows.losses = op.losses.template pointer<T>() + first;
  rows.logits = op.logits.template pointer<S>();
  rows.targets = op.targets.template pointer<std::int32_t>() + first;
  rows.V = op.weight.shape[0];
  return rows;
}

bool is_aligned(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

template <typename S, typename D, typename T>
void launch_rows(const char* name, Rows<S, D, T> rows, std::int64_t count, CUstream_st* stream) {
  rows.aligned = rows.V * std::int64_t(sizeof(S)) % 16 == 0 && is_aligned(rows.logits) &&
                 is_aligned(rows.gradients);
  cuda::launch(name, loss_and_gradients<S, D, T>,
               {.blocks = cuda::groups(count, 1), .threads = row_threads}, stream, rows);
}

}  // namespace

void ClassifierLoss::on(CudaQueue& queue) const {
  cuda::with_storage(logits.dtype, [&]<typename S, typename T>() {
    Chunks chunks(*this, queue);
    chunks.for_each([&](std::int64_t first, std::int64_t count) {
      chunks.forward(first, count);
      launch_rows("classifier_loss", rows_of<S, S, T>(*this, first), count, queue.stream);
    });
  });
}

void ClassifierLossAndGradients::on(CudaQueue& queue) const {
  cuda::with_storage(logits.dtype, [&]<typename S, typename T>() {
    Chunks chunks(*this, queue);
    const auto kernel = [&]<typename D>(std::int64_t first, std::int64_t count) {
      Rows<S, D, T> rows = rows_of<S, D, T>(*this, first);
      rows.gradients = static_cast<D*>(chunks.gradients());
      rows.scales = scales.pointer<T>() + first;
      launch_rows("classifier_loss_and_gradients", rows, count, queue.stream);
    };
    chunks.for_each([&](std::int64_t first, std::int64_t count) {
      chunks.forward(first, count);
      if (chunks.gradient_dtype() == Dtype::bf16)
        kernel.template operator()<bfloat16>(first, count);
      else
        kernel.template operator()<S>(first, count);
      chunks.backward(first, count, dx, dweight);
    });
  });
}

}  // namespace metascale
