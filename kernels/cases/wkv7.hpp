// The four WKV7 operators over the same operands, as a model runs them: forward, second read-out,
// its backward by the query, and the joint backward [attention.hpp: what a case is].
#pragma once

#include <cmath>

#include "kernels/wkv7.hpp"

namespace metascale::cases {

struct Wkv7Sizes {
  std::int64_t B = 2, T = 19, H = 2, heads_read = 1, N = 5;
  bool chunked = false;

  Shape vectors() const { return {B, T, H, N}; }
  Shape queries() const { return {B, T, heads_read, N}; }
  Shape states() const { return {B, H, N, N}; }
  Shape checkpoints() const { return {B, H, wkv7_saved_states(T, chunked), N, N}; }
};

struct Wkv7 {
  Wkv7Forward forward;
  Wkv7ReadOut read_out;
  Wkv7QueryBackward query_backward;
  Wkv7Backward backward;

  // Decays all over their range; |a| and |b| near 1, so that states neither die nor grow.
  template <typename Memory>
  Wkv7(Memory& memory, const Wkv7Sizes& sizes, WkvRead read = WkvRead::previous) {
    const double unit = 1 / std::sqrt(double(sizes.N));
    const Shape vectors = sizes.vectors(), queries = sizes.queries();
    forward.r = memory.random(vectors);
    forward.d = memory.random(vectors, 3, -2);
    forward.k = memory.random(vectors, unit);
    forward.v = memory.random(vectors);
    forward.a = memory.random(vectors, unit);
    forward.b = memory.random(vectors, 0.7 * unit);
    forward.initial_state = memory.parameter(sizes.states());
    forward.y = memory.output(vectors);
    forward.u = memory.output(vectors);
    forward.checkpoints = memory.statistic(sizes.checkpoints());
    forward.final_state = memory.statistic(sizes.states());
    const Tensor q = memory.random(queries, unit), de = memory.random(queries);
    add_read_out(memory.output(queries), memory.gradient(queries), q, de, read);
    add_backward(memory, sizes, q, de, read);
    forward.chunked = read_out.chunked = query_backward.chunked = backward.chunked = sizes.chunked;
  }

  // As a model is trained: sequences begin with no state, and nothing follows them.
  void leave_out_states() {
    forward.initial_state = forward.final_state = {};
    backward.dinitial_state = backward.dfinal_state = {};
  }

 private:
  void add_read_out(const Tensor& e, const Tensor& dq, const Tensor& q, const Tensor& de,
                    WkvRead read) {
    read_out = {.e = e,
                .q = q,
                .d = forward.d,
                .k = forward.k,
                .v = forward.v,
                .b = forward.b,
                .u = forward.u,
                .checkpoints = forward.checkpoints,
                .read = read};
    query_backward = {.dq = dq,
                      .de = de,
                      .d = forward.d,
                      .k = forward.k,
                      .v = forward.v,
                      .b = forward.b,
                      .u = forward.u,
                      .checkpoints = forward.checkpoints,
                      .read = read};
  }

  template <typename Memory>
  void add_backward(Memory& memory, const Wkv7Sizes& sizes, const Tensor& q, const Tensor& de,
                    WkvRead read) {
    const Shape vectors = sizes.vectors();
    backward = {.dr = memory.gradient(vectors),
                .dd = memory.gradient(vectors),
                .dk = memory.gradient(vectors),
                .dv = memory.gradient(vectors),
                .da = memory.gradient(vectors),
                .db = memory.gradient(vectors),
                .dinitial_state = memory.parameter_gradient(sizes.states()),
                .dy = memory.random(vectors),
                .q = q,
                .de = de,
                .r = forward.r,
                .d = forward.d,
                .k = forward.k,
                .v = forward.v,
                .a = forward.a,
                .b = forward.b,
                .u = forward.u,
                .checkpoints = forward.checkpoints,
                .dfinal_state = memory.parameter(sizes.states()),
                .read = read};
  }
};

}  // namespace metascale::cases
