// Scaling laws as sums of powers: L = sum of coefficient * x^-exponent + E, with x the parameters N
// or the tokens D of a run, or its FLOPs C. Predictions and gradients are in logarithms: ln L =
// LSE(a_i - exponent_i ln x_i, ..., e) [Hoffmann et al. 2022, appendix D.3].
#pragma once

#include <span>
#include <string>
#include <vector>

namespace metascale {

enum class LawKind {
  loglog,      // L = A x^-alpha: a straight line in logarithms
  power,       // L = E + A x^-alpha
  chinchilla,  // L = E + A N^-alpha + B D^-beta
  tied         // L = E + A N^-kappa + B D^-kappa, one exponent [Gadre et al. 2024]
};
const char* name_of(LawKind kind);
const char* formula_of(LawKind kind);        // "E + A x^-alpha"
LawKind law_named(const std::string& name);  // throws Error{usage} naming the four

struct LawTerm {
  int coefficient;  // index of ln of its coefficient among the law's coefficients
  int exponent;     // index of its exponent
  int variable;     // 0: x or N, 1: D
};

struct Law {
  LawKind kind;
  std::vector<std::string> names;  // of the coefficients as people know them: A, B, E, alpha, beta
  std::vector<LawTerm> terms;
  int constant = -1;  // index of ln E; -1: none
  int variables = 1;

  std::size_t coefficients() const { return names.size(); }
  // Inside, A, B and E are logarithms; is_logarithm says of which coefficients.
  bool is_logarithm(std::size_t index) const;
  std::vector<double> as_known(std::span<const double> inside) const;

  // ln L at ln x (one value per variable); gradient by the inside coefficients, or null.
  double log_loss(std::span<const double> inside, std::span<const double> log_x,
                  double* gradient) const;
  double loss(std::span<const double> inside, std::span<const double> x) const;
};

const Law& law(LawKind kind);

}  // namespace metascale
