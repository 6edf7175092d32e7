// The WKV7 recurrence [RWKV-7, Peng et al. 2025], per head, state S (N, N): row i = value channel,
// column j = key channel.
//   w_t = exp(-e^{-1/2} sigma(d_t));   u_t = S_{t-1} a_t
//   S_t = S_{t-1} diag(w_t) + u_t b_t^T + v_t k_t^T;   y_t = S_t r_t
// d_t = +infinity stands for w_t = 0 (and no slope): with a_t = 0 the state is forgotten, S_t = v_t
// k_t^T. Second read-out of the same state by later vectors q (Meta-State):
//   previous: e_t = S_{t-1} q_t      current: e_t = S_t q_t
// Backward, G = dL/dS_t, from the last token to the first:
//   G += dy r^T;  current: G += de q^T
//   dr = S_t^T dy;  dv = G k;  dk = G^T v;  du = G b;  db = G^T u;  da = S_{t-1}^T du
//   dd_j = w_j sum_i S_{t-1}[i,j] G[i,j] (-e^{-1/2}) sigma(d_j) (1 - sigma(d_j))
//   G = G diag(w) + du a^T;  previous: G += de q^T
//   dq = S_{t-1}^T de (previous),  S_t^T de (current)
//
// States are rebuilt forward from checkpoints every wkv7_checkpoint tokens, never by dividing by w,
// which amplifies rounding by up to 2^{0.875 C}. Sums in f32 (f64 for f64 operands).
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

enum class WkvRead { previous, current };

inline constexpr std::int64_t wkv7_checkpoint = 16;  // tokens between saved states
inline constexpr std::int64_t wkv7_max_head = 128;   // channels of a head

// All four operators have two forms. The scan, token after token, is everywhere. `chunked` makes
// 16 tokens at once of products on tensor cores: on a GPU, heads of wkv7_chunked_head channels,
// stored in bf16, w_t = 0 in all channels of a token or in none. What one form has saved the other
// does not read.
inline constexpr std::int64_t wkv7_chunked_head = 64;
inline constexpr std::int64_t wkv7_chunked_checkpoint = 64;  // tokens between its saved states

// The states that a form saves of a sequence: one in front of every wkv7_checkpoint tokens, or of
// every wkv7_chunked_checkpoint.
constexpr std::int64_t wkv7_saved_states(std::int64_t tokens, bool chunked) {
  const std::int64_t each = chunked ? wkv7_chunked_checkpoint : wkv7_checkpoint;
  return (tokens + each - 1) / each;
}

struct Wkv7Forward {
  Tensor y;              // (B, T, H, N)
  Tensor u;              // (B, T, H, N)  kept for the backward and the second read-out; optional
  Tensor checkpoints;    // (B, H, wkv7_saved_states, N, N)  in a layout private to the backend;
                         //               optional, together with u
  Tensor final_state;    // (B, H, N, N)  S_T; optional
  Tensor r;              // (B, T, H, N)
  Tensor d;              // (B, T, H, N)  decay logit
  Tensor k;              // (B, T, H, N)
  Tensor v;              // (B, T, H, N)
  Tensor a;              // (B, T, H, N)
  Tensor b;              // (B, T, H, N)
  Tensor initial_state;  // (B, H, N, N)  S_0; optional: zero
  bool chunked = false;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("u", op.u, Use::write);
    visit("checkpoints", op.checkpoints, Use::write);
    visit("final_state", op.final_state, Use::write);
    visit("r", op.r, Use::read);
    visit("d", op.d, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("a", op.a, Use::read);
    visit("b", op.b, Use::read);
    visit("initial_state", op.initial_state, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// e = read-out of the first H_s heads; chunks are independent of each other.
struct Wkv7ReadOut {
  Tensor e;            // (B, T, H_s, N)
  Tensor q;            // (B, T, H_s, N)
  Tensor d;            // (B, T, H, N)
  Tensor k;            // (B, T, H, N)
  Tensor v;            // (B, T, H, N)
  Tensor b;            // (B, T, H, N)
  Tensor u;            // (B, T, H, N)
  Tensor checkpoints;  // as in Wkv7Forward
  WkvRead read = WkvRead::previous;
  bool chunked = false;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("e", op.e, Use::write);
    visit("q", op.q, Use::read);
    visit("d", op.d, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("b", op.b, Use::read);
    visit("u", op.u, Use::read);
    visit("checkpoints", op.checkpoints, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// dq alone: it is needed before dy exists. The rest of this backward is part of Wkv7Backward.
struct Wkv7QueryBackward {
  Tensor dq;           // (B, T, H_s, N)
  Tensor de;           // (B, T, H_s, N)
  Tensor d;            // (B, T, H, N)
  Tensor k;            // (B, T, H, N)
  Tensor v;            // (B, T, H, N)
  Tensor b;            // (B, T, H, N)
  Tensor u;            // (B, T, H, N)
  Tensor checkpoints;  // as in Wkv7Forward
  WkvRead read = WkvRead::previous;
  bool chunked = false;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dq", op.dq, Use::add);
    visit("de", op.de, Use::read);
    visit("d", op.d, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("b", op.b, Use::read);
    visit("u", op.u, Use::read);
    visit("checkpoints", op.checkpoints, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// ONE reverse scan for both read-outs.
struct Wkv7Backward {
  Tensor dr;              // (B, T, H, N)
  Tensor dd;              // (B, T, H, N)
  Tensor dk;              // (B, T, H, N)
  Tensor dv;              // (B, T, H, N)
  Tensor da;              // (B, T, H, N)
  Tensor db;              // (B, T, H, N)
  Tensor dinitial_state;  // (B, H, N, N)  optional
  Tensor dy;              // (B, T, H, N)
  Tensor q;               // (B, T, H_s, N)  optional, together with de
  Tensor de;              // (B, T, H_s, N)
  Tensor r;               // (B, T, H, N)
  Tensor d;               // (B, T, H, N)
  Tensor k;               // (B, T, H, N)
  Tensor v;               // (B, T, H, N)
  Tensor a;               // (B, T, H, N)
  Tensor b;               // (B, T, H, N)
  Tensor u;               // (B, T, H, N)
  Tensor checkpoints;     // as in Wkv7Forward
  Tensor dfinal_state;    // (B, H, N, N)  optional: zero
  WkvRead read = WkvRead::previous;
  bool chunked = false;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dr", op.dr, Use::add);
    visit("dd", op.dd, Use::add);
    visit("dk", op.dk, Use::add);
    visit("dv", op.dv, Use::add);
    visit("da", op.da, Use::add);
    visit("db", op.db, Use::add);
    visit("dinitial_state", op.dinitial_state, Use::add);
    visit("dy", op.dy, Use::read);
    visit("q", op.q, Use::read);
    visit("de", op.de, Use::read);
    visit("r", op.r, Use::read);
    visit("d", op.d, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("a", op.a, Use::read);
    visit("b", op.b, Use::read);
    visit("u", op.u, Use::read);
    visit("checkpoints", op.checkpoints, Use::read);
    visit("dfinal_state", op.dfinal_state, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
