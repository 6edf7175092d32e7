// The Self-State Encoder of the Meta-State layer, around the second read-out [model.md 3.1]; per
// row of B*T. Head h reads and writes channel block beta(h) = h mod (D / N):
//   query:  q^h = c[beta(h)] / sqrt(|c[beta(h)]|^2 + 1e-6)
//   mix:    z = c;  z[beta(h)] += gamma_h * e^h   for h < H_s  (e is the normalised read-out)
// Backward:  dc[beta(h)] += (dq - q <q, dq>) / sqrt(|c|^2 + 1e-6)
//            dc += dz;  de^h = gamma_h * dz[beta(h)];  dgamma_h += sum_rows dz[beta(h)] * e^h
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct SelfStateQueryForward {
  Tensor q;             // (R, H_s, N)
  Tensor inverse_norm;  // (R, H_s)   1 / sqrt(|c|^2 + 1e-6), kept for the backward
  Tensor c;             // (R, D)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("q", op.q, Use::write);
    visit("inverse_norm", op.inverse_norm, Use::write);
    visit("c", op.c, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct SelfStateQueryBackward {
  Tensor dc;            // (R, D)     only blocks that a head reads receive a gradient
  Tensor dq;            // (R, H_s, N)
  Tensor q;             // (R, H_s, N)
  Tensor inverse_norm;  // (R, H_s)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dc", op.dc, Use::add);
    visit("dq", op.dq, Use::read);
    visit("q", op.q, Use::read);
    visit("inverse_norm", op.inverse_norm, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct SelfStateMixForward {
  Tensor z;      // (R, D)
  Tensor c;      // (R, D)
  Tensor e;      // (R, H, N)    of which the first H_s heads are read
  Tensor gamma;  // (H_s, N)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("z", op.z, Use::write);
    visit("c", op.c, Use::read);
    visit("e", op.e, Use::read);
    visit("gamma", op.gamma, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct SelfStateMixBackward {
  Tensor dc;      // (R, D)
  Tensor de;      // (R, H, N)   heads from H_s on receive 0
  Tensor dgamma;  // (H_s, N)
  Tensor dz;      // (R, D)
  Tensor e;       // (R, H, N)
  Tensor gamma;   // (H_s, N)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dc", op.dc, Use::add);
    visit("de", op.de, Use::add);
    visit("dgamma", op.dgamma, Use::add);
    visit("dz", op.dz, Use::read);
    visit("e", op.e, Use::read);
    visit("gamma", op.gamma, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
