// Operators on a GPU, or on its emulator, for tests: operands are copied there and back, and every
// operand has its own allocation, so that AddressSanitizer and compute-sanitizer see each overrun.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "kernels/cuda/memory.hpp"
#include "kernels/gpu.hpp"
#include "tests/kernels/orders.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

// The GPU of all tests: cuBLASLt starts once.
inline Gpu& gpu_of_tests() {
  static Gpu gpu(GpuOptions{.workspace_bytes = std::size_t(32) << 20});
  return gpu;
}

// Where operands lie on the device: at what cudaMalloc gives, or one element behind it.
enum class Place { aligned, unaligned };

// The operands of one operator, moved to the device and back.
class OnCuda {
 public:
  explicit OnCuda(Place where = Place::aligned)
      : stream_(gpu_of_tests().queue().stream), where_(where) {}
  OnCuda(const OnCuda&) = delete;
  OnCuda& operator=(const OnCuda&) = delete;
  ~OnCuda() {
    for (const auto& [host, device] : moved_) cuda::release(device);
  }

  Tensor move(const Tensor& tensor) {
    Tensor result = tensor;
    if (tensor.size() == 0) return result;
    const auto [place, is_new] = moved_.try_emplace(tensor.data, nullptr);
    if (is_new) {
      place->second = cuda::allocate(tensor.bytes() + shift(tensor));
      cuda::copy_to_device(place->second + shift(tensor), tensor.data, tensor.bytes(), stream_);
    }
    result.data = place->second + shift(tensor);
    return result;
  }

  void copy_back(const Tensor& tensor) const {
    if (tensor.size() == 0) return;
    cuda::copy_to_host(tensor.data, moved_.at(tensor.data) + shift(tensor), tensor.bytes(),
                       stream_);
  }

 private:
  std::size_t shift(const Tensor& tensor) const {
    return where_ == Place::unaligned ? size_of(tensor.dtype) : 0;
  }

  CUstream_st* stream_;
  Place where_;
  std::map<void*, std::byte*> moved_;
};

// Runs op on the CPU, or on the GPU with copies of its operands.
template <typename Op>
void run_on(Device device, const Op& op, Place where = Place::aligned) {
  Queue queue;
  queue.device = device;
  if (device != Device::cuda) return run(queue, op);
  queue.cuda = gpu_of_tests().queue();
  OnCuda memory(where);
  Op moved = op;
  Op::operands(moved, [&](const char*, Tensor& tensor, Use) { tensor = memory.move(tensor); });
  run(queue, moved);
  Op::operands(op, [&](const char*, const Tensor& tensor, Use) { memory.copy_back(tensor); });
}

template <typename Case>
void run_case_on(Device device, const Case& item, Place where = Place::aligned) {
  run_on(device, item.forward, where);
  if constexpr (requires { item.backward; }) run_on(device, item.backward, where);
}

template <typename Case, typename... Sizes>
void expect_cuda_close_to_cpu(Sizes... sizes) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    INFO("in " << name_of(dtype));
    Case on_cpu(dtype, sizes...), on_cuda(dtype, sizes...);
    run_case_on(Device::cpu, on_cpu);
    run_case_on(Device::cuda, on_cuda);
    expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu),
                 dtype == Dtype::f64 ? tolerance::f64 : tolerance::f32);
  }
}

// Gradients that are not fresh: the same result as on the CPU, which adds [cases.hpp].
template <typename Case, typename... Sizes>
void expect_cuda_adds_to_gradients(Sizes... sizes) {
  const auto prepared = [&] {
    Case item(Dtype::f64, sizes...);
    unsigned seed = 77;
    decltype(item.backward)::operands(item.backward, [&](const char*, Tensor& tensor, Use use) {
      if (use != Use::add || !tensor.exists()) return;
      assign(tensor, random_values(tensor.size(), seed++));
      tensor.fresh = false;
    });
    return item;
  };
  const Case on_cpu = prepared(), on_cuda = prepared();
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), tolerance::f64);
}

// Equal bits of every case that make() gives; with the emulator, also for every order of threads
// and blocks.
template <typename Make>
void expect_same_bits_of(Make&& make, Place where = Place::aligned) {
  const auto first = make();
  run_case_on(Device::cuda, first, where);
  for_other_orders([&] {
    const auto again = make();
    run_case_on(Device::cuda, again, where);
    const std::vector<Named> a = outputs_of_case(first), b = outputs_of_case(again);
    REQUIRE(!a.empty());
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      INFO("operand " << a[i].name);
      CHECK(same_bits(a[i].tensor, b[i].tensor));
    }
  });
}

// In every storage that kernels have: each has packs of its own.
template <typename Case, typename... Sizes>
void expect_same_bits_on_every_run(Sizes... sizes) {
  for (const Dtype storage : {Dtype::f32, Dtype::f64, Dtype::bf16}) {
    INFO("in " << name_of(storage));
    expect_same_bits_of([&] { return Case(storage, sizes...); });
  }
}

}  // namespace metascale::testing
