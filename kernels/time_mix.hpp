// The elementwise chains of the RWKV-7 time mix around the WKV7 scan [model.md 1.1, 1.4]; per row
// of B*T, A = H N channels.
//
// Operands:   al = sigma(rate_logit)          u = k_raw k_k;  kap = u / max(|u|_2, 1e-12)  per head
//             k = k_raw (1 + (al - 1) k_a)    a = -kap;  b = kap al
//             v = v_raw + (v_first - v_raw) nu,  nu = sigma(value_logit)   (layers after the first)
// Output:     yhat = HeadNorm(y; epsilon N 1e-5);   s_h = sum_n r_n k_n bonus[h,n]
//             out = (yhat weight + bias + s_h v) gate
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct TimeMixOperandsForward {
  Tensor k;             // (R, A)
  Tensor v;             // (R, A)     absent in the first layer, where v_raw is used itself
  Tensor a;             // (R, A)
  Tensor b;             // (R, A)
  Tensor inverse_norm;  // (R, H)     1 / max(|u|, 1e-12), kept for the backward
  Tensor k_raw;         // (R, A)
  Tensor v_raw;         // (R, A)     these three: present where v is
  Tensor v_first;       // (R, A)
  Tensor value_logit;   // (R, A)     v0 + (x_v v1) v2
  Tensor rate_logit;    // (R, A)     a0 + (x_a a1) a2
  Tensor k_k;           // (A)
  Tensor k_a;           // (A)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("k", op.k, Use::write);
    visit("v", op.v, Use::write);
    visit("a", op.a, Use::write);
    visit("b", op.b, Use::write);
    visit("inverse_norm", op.inverse_norm, Use::write);
    visit("k_raw", op.k_raw, Use::read);
    visit("v_raw", op.v_raw, Use::read);
    visit("v_first", op.v_first, Use::read);
    visit("value_logit", op.value_logit, Use::read);
    visit("rate_logit", op.rate_logit, Use::read);
    visit("k_k", op.k_k, Use::read);
    visit("k_a", op.k_a, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct TimeMixOperandsBackward {
  Tensor dk_raw;        // (R, A)
  Tensor dv_raw;        // (R, A)     these three: present where dv is
  Tensor dv_first;      // (R, A)
  Tensor dvalue_logit;  // (R, A)
  Tensor drate_logit;   // (R, A)
  Tensor dk_k;          // (A)
  Tensor dk_a;          // (A)
  Tensor dk;            // (R, A)
  Tensor dv;            // (R, A)     absent in the first layer
  Tensor da;            // (R, A)
  Tensor db;            // (R, A)
  Tensor inverse_norm;  // (R, H)
  Tensor k_raw;         // (R, A)
  Tensor v_raw;         // (R, A)
  Tensor v_first;       // (R, A)
  Tensor value_logit;   // (R, A)
  Tensor rate_logit;    // (R, A)
  Tensor k_k;           // (A)
  Tensor k_a;           // (A)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dk_raw", op.dk_raw, Use::add);
    visit("dv_raw", op.dv_raw, Use::add);
    visit("dv_first", op.dv_first, Use::add);
    visit("dvalue_logit", op.dvalue_logit, Use::add);
    visit("drate_logit", op.drate_logit, Use::add);
    visit("dk_k", op.dk_k, Use::add);
    visit("dk_a", op.dk_a, Use::add);
    visit("dk", op.dk, Use::read);
    visit("dv", op.dv, Use::read);
    visit("da", op.da, Use::read);
    visit("db", op.db, Use::read);
    visit("inverse_norm", op.inverse_norm, Use::read);
    visit("k_raw", op.k_raw, Use::read);
    visit("v_raw", op.v_raw, Use::read);
    visit("v_first", op.v_first, Use::read);
    visit("value_logit", op.value_logit, Use::read);
    visit("rate_logit", op.rate_logit, Use::read);
    visit("k_k", op.k_k, Use::read);
    visit("k_a", op.k_a, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct TimeMixOutputForward {
  Tensor out;     // (R, A)
  Tensor yhat;    // (R, H, N)  kept: the backward and read_out time_mix use it
  Tensor scale;   // (R, H)     1 / sqrt(var + epsilon), kept
  Tensor y;       // (R, H, N)
  Tensor r;       // (R, H, N)
  Tensor k;       // (R, H, N)
  Tensor v;       // (R, H, N)
  Tensor gate;    // (R, A)
  Tensor weight;  // (A)        ln_x
  Tensor bias;    // (A)
  Tensor bonus;   // (H, N)     r_k

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("out", op.out, Use::write);
    visit("yhat", op.yhat, Use::write);
    visit("scale", op.scale, Use::write);
    visit("y", op.y, Use::read);
    visit("r", op.r, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("gate", op.gate, Use::read);
    visit("weight", op.weight, Use::read);
    visit("bias", op.bias, Use::read);
    visit("bonus", op.bonus, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct TimeMixOutputBackward {
  Tensor dy;       // (R, H, N)
  Tensor dr;       // (R, H, N)
  Tensor dk;       // (R, H, N)
  Tensor dv;       // (R, H, N)
  Tensor dgate;    // (R, A)
  Tensor dweight;  // (A)
  Tensor dbias;    // (A)
  Tensor dbonus;   // (H, N)
  Tensor dout;     // (R, A)
  Tensor dyhat;    // (R, H, N)  optional: what else reads yhat (read_out time_mix)
  Tensor yhat;     // (R, H, N)
  Tensor scale;    // (R, H)
  Tensor r;        // (R, H, N)
  Tensor k;        // (R, H, N)
  Tensor v;        // (R, H, N)
  Tensor gate;     // (R, A)
  Tensor weight;   // (A)
  Tensor bias;     // (A)
  Tensor bonus;    // (H, N)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dy", op.dy, Use::add);
    visit("dr", op.dr, Use::add);
    visit("dk", op.dk, Use::add);
    visit("dv", op.dv, Use::add);
    visit("dgate", op.dgate, Use::add);
    visit("dweight", op.dweight, Use::add);
    visit("dbias", op.dbias, Use::add);
    visit("dbonus", op.dbonus, Use::add);
    visit("dout", op.dout, Use::read);
    visit("dyhat", op.dyhat, Use::read);
    visit("yhat", op.yhat, Use::read);
    visit("scale", op.scale, Use::read);
    visit("r", op.r, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("gate", op.gate, Use::read);
    visit("weight", op.weight, Use::read);
    visit("bias", op.bias, Use::read);
    visit("bonus", op.bonus, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
