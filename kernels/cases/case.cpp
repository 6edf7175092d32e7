#include "kernels/cases/case.hpp"

#include <algorithm>

#include "core/random.hpp"

namespace metascale::cases {
namespace {

constexpr std::int64_t repeated = std::int64_t(1) << 20;  // random numbers, over and over

template <typename T>
void send(Queue& queue, const Tensor& to, const std::vector<T>& values) {
  const std::int64_t count = std::int64_t(values.size());
  for (std::int64_t first = 0; first < to.size(); first += count)
    copy_to_device(queue, static_cast<std::byte*>(to.data) + std::size_t(first) * sizeof(T),
                   values.data(), std::size_t(std::min(count, to.size() - first)) * sizeof(T));
}

}  // namespace

Tensor Case::output(Shape shape, Dtype dtype) {
  buffers_.emplace_back(queue_.device, std::size_t(shape.size()) * size_of(dtype));
  return {.data = buffers_.back().data(), .shape = shape, .dtype = dtype};
}

// Rounded to bf16 on the host, so that both devices read the same numbers.
Tensor Case::filled(Shape shape, Dtype dtype, double scale, double shift) {
  const Tensor tensor = output(shape, dtype);
  const RandomStream random(1, buffers_.size());
  const std::int64_t count = std::min(shape.size(), repeated);
  std::vector<float> values(std::size_t(count), 0.0f);
  for (std::int64_t i = 0; i < count; ++i)
    values[std::size_t(i)] = float(shift + scale * (2 * random.uniform(std::uint64_t(i)) - 1));
  if (dtype != Dtype::bf16)
    send(queue_, tensor, values);
  else
    send(queue_, tensor, std::vector<bfloat16>(values.begin(), values.end()));
  return tensor;
}

Tensor Case::indices(Shape shape, std::int64_t below) {
  const Tensor tensor = output(shape, Dtype::i32);
  const RandomStream random(1, buffers_.size());
  std::vector<std::int32_t> values(std::size_t(shape.size()), 0);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::int32_t(random.below(std::uint64_t(below), i));
  send(queue_, tensor, values);
  return tensor;
}

Tensor Case::given(Shape shape, Dtype dtype, const void* bytes) {
  const Tensor tensor = output(shape, dtype);
  copy_to_device(queue_, static_cast<std::byte*>(tensor.data), bytes, tensor.bytes());
  return tensor;
}

}  // namespace metascale::cases
