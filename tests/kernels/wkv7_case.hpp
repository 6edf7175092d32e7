// The four WKV7 operators over the same operands, as a model runs them: forward, second read-out,
// its backward by the query, and the joint backward.
#pragma once

#include "kernels/wkv7.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

// Whether this processor can run that level (the scalar one always).
inline bool simd_is_available(Simd level) {
  switch (level) {
    case Simd::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Simd::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Simd::best:
    case Simd::scalar: return true;
  }
  return false;
}

struct Wkv7Sizes {
  std::int64_t B = 2, T = 19, H = 2, heads_read = 1, N = 5;

  Shape vectors() const { return {B, T, H, N}; }
  Shape queries() const { return {B, T, heads_read, N}; }
  Shape states() const { return {B, H, N, N}; }
  Shape checkpoints() const { return {B, H, (T + 15) / 16, N, N}; }
};

struct Wkv7Case {
  Memory memory;
  Wkv7Sizes sizes;
  Wkv7Forward forward;
  Wkv7ReadOut read_out;
  Wkv7QueryBackward query_backward;
  Wkv7Backward backward;

  // Decays all over their range; |a| and |b| near 1, so that states neither die nor grow.
  Wkv7Case(Dtype dtype, Wkv7Sizes sizes, WkvRead read) : memory(dtype), sizes(sizes) {
    const double unit = 1 / std::sqrt(double(sizes.N));
    const Shape vectors = sizes.vectors(), queries = sizes.queries();
    forward.r = memory.random(vectors);
    forward.d = memory.random(vectors, 3, -2);
    forward.k = memory.random(vectors, unit);
    forward.v = memory.random(vectors);
    forward.a = memory.random(vectors, unit);
    forward.b = memory.random(vectors, 0.7 * unit);
    forward.initial_state = memory.random(sizes.states());
    forward.y = memory.output(vectors);
    forward.u = memory.output(vectors);
    forward.checkpoints = memory.output(sizes.checkpoints());
    forward.final_state = memory.output(sizes.states());
    const Tensor q = memory.random(queries, unit), de = memory.random(queries);
    connect_read_out(memory.output(queries), q, read);
    connect_backward(q, de, read);
  }

  void run(Queue& queue) const {
    metascale::run(queue, forward);
    metascale::run(queue, read_out);
    metascale::run(queue, query_backward);
    metascale::run(queue, backward);
  }

  std::vector<Named> outputs() const {
    std::vector<Named> all;
    const auto add = [&](const auto& op) {
      for (const Named& output : outputs_of(op))
        if (output.name != "checkpoints") all.push_back(output);  // their layout is private
    };
    add(forward);
    add(read_out);
    add(query_backward);
    add(backward);
    return all;
  }

 private:
  void connect_read_out(const Tensor& e, const Tensor& q, WkvRead read) {
    read_out = {.e = e,
                .q = q,
                .d = forward.d,
                .k = forward.k,
                .v = forward.v,
                .b = forward.b,
                .u = forward.u,
                .checkpoints = forward.checkpoints,
                .read = read};
  }

  void connect_backward(const Tensor& q, const Tensor& de, WkvRead read) {
    const Shape vectors = sizes.vectors();
    query_backward = {.dq = memory.gradient(sizes.queries()),
                      .de = de,
                      .d = forward.d,
                      .k = forward.k,
                      .v = forward.v,
                      .b = forward.b,
                      .u = forward.u,
                      .checkpoints = forward.checkpoints,
                      .read = read};
    backward = {.dr = memory.gradient(vectors),
                .dd = memory.gradient(vectors),
                .dk = memory.gradient(vectors),
                .dv = memory.gradient(vectors),
                .da = memory.gradient(vectors),
                .db = memory.gradient(vectors),
                .dinitial_state = memory.gradient(sizes.states()),
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
                .dfinal_state = memory.random(sizes.states()),
                .read = read};
  }
};

}  // namespace metascale::testing
