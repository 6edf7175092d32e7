#include "experiments/layers/cached_attention.hpp"

#include <cmath>
#include <cstring>

#include "kernels/attention.hpp"
#include "kernels/rotary.hpp"

namespace metascale {
namespace {

// Tokens [begin, begin + count) of one row's tokens (1, S, H, N).
Tensor tokens_of(const Tensor& x, std::int64_t begin, std::int64_t count) {
  Tensor part = x;
  const std::size_t token_bytes = x.bytes() / std::size_t(x.shape[1]);
  part.data = static_cast<std::byte*>(x.data) + std::size_t(begin) * token_bytes;
  part.shape.extents[1] = count;
  return part;
}

// keys, values <- with the turned k, and v, at the position; y = attention of the turned q to all
// so far.
struct CachedAttention {
  Tensor y;       // (1, T, H, N)
  Tensor lse;     // (1, H, T)
  Tensor turned;  // (1, T, H, N)
  Tensor keys;    // (1, S, H, N)
  Tensor values;  // (1, S, H, N)
  Tensor q;       // (1, T, H, N)
  Tensor k;       // (1, T, H, N)
  Tensor v;       // (1, T, H, N)
  std::int64_t rotated = 0;
  const std::int64_t* position = nullptr;  // tokens before these, at the time of the execution
  bool bf16 = false;

  void check() const {
    if (q.shape[0] != 1)
      throw Error(concat("CachedAttention.q has ", q.shape[0], " rows, but a cache serves one"));
    expect_shape("CachedAttention.values", values, keys.shape, "the shape of keys");
  }
  Cost cost() const { return {.bytes = operand_bytes(*this)}; }
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("lse", op.lse, Use::scratch);
    visit("turned", op.turned, Use::scratch);
    visit("keys", op.keys, Use::write);
    visit("values", op.values, Use::write);
    visit("q", op.q, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
  }
  void on(CpuQueue& queue) const {
    const std::int64_t before = *position, T = q.shape[1], S = keys.shape[1];
    if (before + T > S)
      throw Error(concat("the cache holds ", S, " tokens, but ", before + T,
                         " are to be kept; generate fewer, or give a larger cache"),
                  ExitCode::usage);
    const auto turn = [&](const Tensor& to, const Tensor& x) {
      RotaryForward{.y = to, .x = x, .rotated = rotated, .first_position = before}.on(queue);
    };
    turn(turned, q);
    turn(tokens_of(keys, before, T), k);
    std::memcpy(tokens_of(values, before, T).data, v.data, v.bytes());
    AttentionForward{.y = y,
                     .lse = lse,
                     .q = turned,
                     .k = tokens_of(keys, 0, before + T),
                     .v = tokens_of(values, 0, before + T),
                     .scale = 1 / std::sqrt(double(q.shape[3])),
                     .bf16 = bf16}
        .on(queue);
  }
  void on(CudaQueue&) const {
    throw Error("a key-value cache lives in the memory of the CPU; generate there",
                ExitCode::unavailable);
  }
};

}  // namespace

Tensor cached_attention(Forward& f, const std::string& name, const Heads& heads,
                        std::int64_t rotated) {
  const Shape shape = heads.q.shape;  // (1, T, H, N)
  const Shape cache{shape[0], f.cache->capacity, shape[2], shape[3]};
  Tape& tape = f.tape;
  const Tensor y = tape.activation(shape);
  tape.run(CachedAttention{.y = y,
                           .lse = tape.statistic({shape[0], shape[2], shape[1]}),
                           .turned = tape.activation(shape),
                           .keys = tape.kept_state(name + ".keys", cache),
                           .values = tape.kept_state(name + ".values", cache),
                           .q = heads.q,
                           .k = heads.k,
                           .v = heads.v,
                           .rotated = rotated,
                           .position = f.cache->position,
                           .bf16 = tape.options().bf16});
  return y.reshaped({shape[0], shape[1], shape[2] * shape[3]});
}

}  // namespace metascale
