// Which numbers a run keeps in which dtype: the one place that decides it.
//
//                matrix products     activations, their gradients   all else
//   f32          f32                 f32                            f32
//   bf16         bf16, sums in f32   f32 on a CPU, bf16 on a GPU    f32
//   bf16_stored  bf16, sums in f32   bf16                           f32
//   f64          f64                 f64                            f64
// All else: norms, softmax, losses, states, statistics, parameters, moments.
// Where activations are stored in bf16, products read a bf16 copy of each weight.
#pragma once

#include "experiments/tape.hpp"

namespace metascale {

// How a run with this configuration is recorded on this device.
inline TapeOptions tape_options(const TrainingConfig& config, Device device, bool training) {
  const bool bf16 =
      config.precision == Precision::bf16 || config.precision == Precision::bf16_stored;
  return {.dtype = config.precision == Precision::f64 ? Dtype::f64 : Dtype::f32,
          .bf16 = bf16,
          .bf16_storage =
              bf16 && (device == Device::cuda || config.precision == Precision::bf16_stored),
          .training = training,
          .recompute = config.recompute,
          .device = device,
          .wkv = config.wkv,
          .low_rank = config.low_rank};
}

}  // namespace metascale
