#include "experiments/layers/attention.hpp"

#include <cmath>

#include "kernels/attention.hpp"
#include "kernels/rotary.hpp"

namespace metascale {

Heads split_heads(Tape& tape, const Tensor& qkv, std::int64_t head_size) {
  const std::int64_t B = qkv.shape[0], T = qkv.shape[1], H = qkv.shape[2] / (3 * head_size);
  const Shape shape{B, T, H, head_size};
  const Heads heads{tape.activation(shape), tape.activation(shape), tape.activation(shape)};
  tape.run(SplitHeadsForward{.q = heads.q, .k = heads.k, .v = heads.v, .qkv = qkv});
  tape.on_backward([&tape, heads, qkv] {
    tape.run(SplitHeadsBackward{.dqkv = tape.gradient(qkv),
                                .dq = tape.gradient(heads.q),
                                .dk = tape.gradient(heads.k),
                                .dv = tape.gradient(heads.v)});
  });
  return heads;
}

Tensor rotary(Tape& tape, const Tensor& x, std::int64_t rotated) {
  const Tensor y = tape.activation(x.shape);
  tape.run(RotaryForward{.y = y, .x = x, .rotated = rotated});
  tape.on_backward([&tape, x, y, rotated] {
    tape.run(RotaryBackward{.dx = tape.gradient(x), .dy = tape.gradient(y), .rotated = rotated});
  });
  return y;
}

Tensor attention(Tape& tape, const Heads& heads, const Tensor& first) {
  const Shape shape = heads.q.shape;  // (B, T, H, N)
  const Tensor y = tape.activation(shape), lse = tape.statistic({shape[0], shape[2], shape[1]});
  const double scale = 1 / std::sqrt(double(shape[3]));
  const bool bf16 = tape.options().bf16;
  tape.run(AttentionForward{.y = y,
                            .lse = lse,
                            .q = heads.q,
                            .k = heads.k,
                            .v = heads.v,
                            .first = first,
                            .scale = scale,
                            .bf16 = bf16});
  tape.on_backward([&tape, heads, first, y, lse, scale, bf16] {
    AttentionBackward backward{.dq = tape.gradient(heads.q),
                               .dk = tape.gradient(heads.k),
                               .dv = tape.gradient(heads.v),
                               .dy = tape.gradient(y),
                               .y = y,
                               .lse = lse,
                               .q = heads.q,
                               .k = heads.k,
                               .v = heads.v,
                               .first = first,
                               .scale = scale,
                               .bf16 = bf16};
    if (tape.options().device == Device::cuda && backward.scratch_elements() > 0)
      backward.scratch = tape.scratch({backward.scratch_elements()}, Dtype::bf16);
    tape.run(backward);
  });
  return y.reshaped({shape[0], shape[1], shape[2] * shape[3]});
}

}  // namespace metascale
