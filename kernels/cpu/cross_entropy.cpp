#include "kernels/cross_entropy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "core/parallel.hpp"
#include "kernels/checks.hpp"
#include "kernels/cpu/convert.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/cpu/gemm.hpp"
#include "kernels/cpu/vector_math.hpp"

namespace metascale {
namespace {

template <typename T>
METASCALE_MULTIVERSION T largest_of(const T* z, std::int64_t V) {
  T largest = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < V; ++v) largest = z[v] > largest ? z[v] : largest;
  return largest;
}

template <typename T>
METASCALE_MULTIVERSION T sum_of_exponentials(const T* z, std::int64_t V, T largest) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t v = 0; v < V; ++v) sum += vector_exp(z[v] - largest);
  return sum;
}

// As sum_of_exponentials, and leaves the exponentials in z.
template <typename T>
METASCALE_MULTIVERSION T keep_exponentials(T* z, std::int64_t V, T largest) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t v = 0; v < V; ++v) {
    z[v] = vector_exp(z[v] - largest);
    sum += z[v];
  }
  return sum;
}

template <typename T>
METASCALE_MULTIVERSION void scale_row(T* z, std::int64_t V, T factor) {
  for (std::int64_t v = 0; v < V; ++v) z[v] *= factor;
}

template <typename T>
T loss_of_row(const T* z, std::int64_t V, std::int32_t target) {
  const T largest = largest_of(z, V);
  return std::log(sum_of_exponentials(z, V, largest)) - (z[target] - largest);
}

// Returns the loss and leaves scale (softmax(z) - [v = target]) in z.
template <typename T>
T loss_and_gradient_of_row(T* z, std::int64_t V, std::int32_t target, T scale) {
  const T largest = largest_of(z, V), chosen = z[target] - largest;
  const T sum = keep_exponentials(z, V, largest);
  scale_row(z, V, scale / sum);
  z[target] -= scale;
  return std::log(sum) - chosen;
}

// The logits in f32: where they are stored in bf16, which then gets their gradients, in memory of
// the queue.
template <typename T>
T* wide_logits(const Tensor& logits, CpuQueue& queue) {
  if (logits.dtype != Dtype::bf16) return logits.pointer<T>();
  const std::size_t bytes = std::size_t(logits.size()) * sizeof(T);
  return reinterpret_cast<T*>(queue.memory().take(KeptMemory::body_slot, bytes));
}

// The products of one operator, a chunk of rows at a time, in the dtype that was asked for.
template <typename T>
class Chunks {
 public:
  template <typename Op>
  Chunks(const Op& op, CpuQueue& queue)
      : logits_(wide_logits<T>(op.logits, queue)),
        rows_(merged(op.x.shape, 2)[0]),
        D_(op.weight.shape[1]),
        V_(op.weight.shape[0]),
        size_(op.logits.shape[0]),
        queue_(queue),
        bf16_(op.bf16) {
    if (bf16_) {
      take_rounded(op.x, op.weight, op.logits, op.scratch);
    } else {
      x_ = op.x.template pointer<T>();
      weight_ = op.weight.template pointer<T>();
    }
  }

  T* logits() const { return logits_; }
  std::int64_t V() const { return V_; }

  // Calls body(first row, number of rows) for every chunk.
  template <typename Body>
  void for_each(Body&& body) const {
    for (std::int64_t first = 0; first < rows_; first += size_)
      body(first, std::min(size_, rows_ - first));
  }

  // logits = x W^T
  void forward(std::int64_t first, std::int64_t count) {
    Product<T> product{.c = logits_, .stride = V_, .M = count, .N = V_, .K = D_};
    take_rows(first, count);
    run(product, {x_of_chunk_, D_}, {weight_, D_, true}, {x16_of_chunk_, D_},
        {weight16_, D_, true});
  }

  // dx (+)= dlogits W;   dW (+)= dlogits^T x, where the logits now hold their gradient
  void backward(std::int64_t first, std::int64_t count, const Tensor& dx,
                const Tensor& dweight) const {
    if (bf16_) convert(gradients16_, logits_, count * V_, queue_.threads);
    Product<T> product{
        .c = dx.pointer<T>() + first * D_, .stride = D_, .M = count, .N = D_, .K = V_};
    product.add = !dx.fresh;
    run(product, {logits_, V_}, {weight_, D_}, {gradients16_, V_}, {weight16_, D_});
    product = {.c = dweight.pointer<T>(), .stride = D_, .M = V_, .N = D_, .K = count};
    product.add = !dweight.fresh || first > 0;
    run(product, {logits_, V_, true}, {x_of_chunk_, D_}, {gradients16_, V_, true},
        {x16_of_chunk_, D_});
  }

 private:
  // What is stored in bf16 as it is, and room in the scratch for what is not.
  void take_rounded(const Tensor& x, const Tensor& weight, const Tensor& logits,
                    const Tensor& scratch) {
    bfloat16* free = scratch.pointer<bfloat16>();
    weight16_ = rounded(weight, free, queue_.threads);
    if (x.dtype == Dtype::bf16) {
      x16_ = x.pointer<bfloat16>();
    } else {
      x_ = x.pointer<T>();
      rounded_x_ = free;
      free += size_ * D_;
    }
    gradients16_ = logits.dtype == Dtype::bf16 ? logits.pointer<bfloat16>() : free;
  }

  void take_rows(std::int64_t first, std::int64_t count) {
    if (x_) x_of_chunk_ = x_ + first * D_;
    x16_of_chunk_ = x16_ ? x16_ + first * D_ : rounded_x_;
    if (rounded_x_) convert(rounded_x_, x_of_chunk_, count * D_, queue_.threads);
  }

  void run(Product<T> product, Operand<T> a, Operand<T> b, Operand<bfloat16> a16,
           Operand<bfloat16> b16) const {
    if constexpr (std::is_same_v<T, float>)
      if (bf16_)
        return multiply(Product<bfloat16, float>{product.c, product.stride, product.M, product.N,
                                                 product.K, a16, b16, product.add},
                        queue_);
    product.a = a;
    product.b = b;
    multiply(product, queue_.threads);
  }

  const T *x_ = nullptr, *weight_ = nullptr;
  const bfloat16 *x16_ = nullptr, *weight16_ = nullptr;
  bfloat16* rounded_x_ = nullptr;  // of a chunk
  const T* x_of_chunk_ = nullptr;
  const bfloat16* x16_of_chunk_ = nullptr;
  T* logits_;
  bfloat16* gradients16_ = nullptr;  // of the logits
  std::int64_t rows_, D_, V_, size_;
  CpuQueue& queue_;
  bool bf16_;
};

}  // namespace

void ClassifierLoss::on(CpuQueue& queue) const {
  with_float_type(losses.dtype, [&]<typename T>() {
    Chunks<T> chunks(*this, queue);
    const std::int64_t V = chunks.V();
    const std::int32_t* target = targets.pointer<std::int32_t>();
    T *loss = losses.pointer<T>(), *z = chunks.logits();
    chunks.for_each([&](std::int64_t first, std::int64_t count) {
      chunks.forward(first, count);
      parallel_for(queue.threads, count, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
          loss[first + r] = loss_of_row(z + r * V, V, target[first + r]);
      });
    });
  });
}

void ClassifierLossAndGradients::on(CpuQueue& queue) const {
  with_float_type(losses.dtype, [&]<typename T>() {
    Chunks<T> chunks(*this, queue);
    const std::int64_t V = chunks.V();
    const std::int32_t* target = targets.pointer<std::int32_t>();
    const T* scale = scales.pointer<T>();
    T *loss = losses.pointer<T>(), *z = chunks.logits();
    chunks.for_each([&](std::int64_t first, std::int64_t count) {
      chunks.forward(first, count);
      parallel_for(queue.threads, count, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
          loss[first + r] =
              loss_and_gradient_of_row(z + r * V, V, target[first + r], scale[first + r]);
      });
      chunks.backward(first, count, dx, dweight);
    });
  });
}

}  // namespace metascale
