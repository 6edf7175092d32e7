#include "experiments/layers/low_rank.hpp"

#include "experiments/layers/basic.hpp"
#include "kernels/matmul.hpp"

namespace metascale {
namespace {

struct Products {
  Tensor of_x;         // (B, T, 2 R)
  Tensor of_previous;  // (B, 2 R)  absent where previous is
};

std::int64_t columns_of_both(const std::vector<LowRankMap>& maps) {
  std::int64_t sum = 0;
  for (const LowRankMap& map : maps) sum += 2 * map.first.shape[1];
  return sum;
}

Tensor join_factors(Tape& tape, const std::vector<LowRankMap>& maps) {
  const Tensor joined = tape.activation({maps[0].first.shape[0], columns_of_both(maps)});
  JoinFactorsForward op{.joined = joined, .maps = int(maps.size())};
  for (std::size_t m = 0; m < maps.size(); ++m) {
    op.weight[m] = maps[m].first;
    op.mix[m] = maps[m].mix;
  }
  tape.run(op);
  return joined;
}

void join_factors_backward(Tape& tape, const std::vector<LowRankMap>& maps, const Tensor& djoined) {
  JoinFactorsBackward op{.djoined = djoined, .maps = int(maps.size())};
  for (std::size_t m = 0; m < maps.size(); ++m) {
    op.dweight[m] = tape.gradient(maps[m].first);
    op.dmix[m] = tape.gradient(maps[m].mix);
    op.weight[m] = maps[m].first;
    op.mix[m] = maps[m].mix;
  }
  tape.run(op);
}

Products multiply(Tape& tape, const Tensor& x, const Tensor& previous,
                  const std::vector<LowRankMap>& maps) {
  const Tensor joined = join_factors(tape, maps);
  const std::int64_t B = x.shape[0], T = x.shape[1], columns = joined.shape[1];
  Products products{.of_x = tape.activation({B, T, columns}), .of_previous = {}};
  run_rounded(tape, Matmul{.c = products.of_x, .a = x, .b = joined});
  if (previous.exists()) {
    products.of_previous = tape.activation({B, columns});
    run_rounded(tape, Matmul{.c = products.of_previous, .a = previous, .b = joined});
  }
  tape.on_backward([=, &tape] {
    const Tensor djoined = tape.statistic(joined.shape);  // not rounded, as no weight's gradient is
    const auto add_to_factor = [&](const Tensor& by, const Tensor& dproduct) {
      run_rounded(tape,
                  Matmul{.c = djoined, .a = by, .b = dproduct, .transpose_a = true, .add = true});
    };
    const Tensor dproduct = tape.gradient(products.of_x);
    run_rounded(
        tape,
        Matmul{
            .c = tape.gradient(x), .a = dproduct, .b = joined, .transpose_b = true, .add = true});
    add_to_factor(x, dproduct);
    if (previous.exists()) add_to_factor(previous, tape.gradient(products.of_previous));
    join_factors_backward(tape, maps, djoined);
  });
  return products;
}

}  // namespace

Tensor hidden_of(Tape& tape, const Tensor& x_m, const LowRankMap& map) {
  const Tensor sums = project(tape, x_m, map.first);
  switch (map.kind) {
    case HiddenKind::linear: return sums;
    case HiddenKind::tanh: return activation(tape, sums, ActivationKind::tanh);
    case HiddenKind::sigmoid: return activation(tape, sums, ActivationKind::sigmoid);
  }
  return sums;
}

std::vector<Tensor> joined_hidden(Forward& f, const Tensor& x, const Tensor& previous,
                                  const std::vector<LowRankMap>& maps) {
  Tape& tape = f.tape;
  const auto [of_x, of_previous] = multiply(tape, x, previous, maps);
  SplitHiddenForward op{.product = of_x, .maps = int(maps.size())};
  op.previous = of_previous;
  op.first = f.first_positions;
  std::vector<Tensor> hidden;
  for (std::size_t m = 0; m < maps.size(); ++m) {
    hidden.push_back(tape.activation({x.shape[0], x.shape[1], maps[m].first.shape[1]}));
    op.hidden[m] = hidden[m];
    op.kind[m] = maps[m].kind;
  }
  tape.run(op);
  tape.on_backward([&tape, op, hidden] {
    SplitHiddenBackward back{.dproduct = tape.gradient(op.product),
                             .hidden = op.hidden,
                             .first = op.first,
                             .kind = op.kind,
                             .maps = op.maps};
    if (op.previous.exists()) back.dprevious = tape.gradient(op.previous);
    for (std::size_t m = 0; m < hidden.size(); ++m) back.dhidden[m] = tape.gradient(hidden[m]);
    tape.run(back);
  });
  return hidden;
}

}  // namespace metascale
