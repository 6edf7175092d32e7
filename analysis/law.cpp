#include "analysis/law.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"

namespace metascale {
namespace {

const std::array<Law, 4>& laws() {
  static const std::array<Law, 4> table{
      Law{LawKind::loglog, {"A", "alpha"}, {{0, 1, 0}}, -1, 1},
      Law{LawKind::power, {"A", "E", "alpha"}, {{0, 2, 0}}, 1, 1},
      Law{LawKind::chinchilla, {"A", "B", "E", "alpha", "beta"}, {{0, 3, 0}, {1, 4, 1}}, 2, 2},
      Law{LawKind::tied, {"A", "B", "E", "kappa"}, {{0, 3, 0}, {1, 3, 1}}, 2, 2}};
  return table;
}

}  // namespace

const char* name_of(LawKind kind) {
  switch (kind) {
    case LawKind::loglog: return "loglog";
    case LawKind::power: return "power";
    case LawKind::chinchilla: return "chinchilla";
    case LawKind::tied: return "tied";
  }
  return "?";
}

const char* formula_of(LawKind kind) {
  switch (kind) {
    case LawKind::loglog: return "A x^-alpha";
    case LawKind::power: return "E + A x^-alpha";
    case LawKind::chinchilla: return "E + A N^-alpha + B D^-beta";
    case LawKind::tied: return "E + A N^-kappa + B D^-kappa";
  }
  return "?";
}

LawKind law_named(const std::string& name) {
  for (const Law& candidate : laws())
    if (name == name_of(candidate.kind)) return candidate.kind;
  throw Error(concat("there is no law '", name, "'; give loglog, power, chinchilla, tied"),
              ExitCode::usage);
}

const Law& law(LawKind kind) {
  return *std::find_if(laws().begin(), laws().end(),
                       [&](const Law& candidate) { return candidate.kind == kind; });
}

bool Law::is_logarithm(std::size_t index) const {
  if (int(index) == constant) return true;
  return std::any_of(terms.begin(), terms.end(),
                     [&](const LawTerm& term) { return term.coefficient == int(index); });
}

std::vector<double> Law::as_known(std::span<const double> inside) const {
  std::vector<double> known(inside.begin(), inside.end());
  for (std::size_t i = 0; i < known.size(); ++i)
    if (is_logarithm(i)) known[i] = std::exp(known[i]);
  return known;
}

double Law::log_loss(std::span<const double> inside, std::span<const double> log_x,
                     double* gradient) const {
  std::array<double, 3> values{};
  std::size_t count = 0;
  for (const LawTerm& term : terms)
    values[count++] = inside[std::size_t(term.coefficient)] -
                      inside[std::size_t(term.exponent)] * log_x[std::size_t(term.variable)];
  if (constant >= 0) values[count++] = inside[std::size_t(constant)];
  const double highest = *std::max_element(values.begin(), values.begin() + count);
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {  // values become shares, before they are divided
    values[i] = values[i] == highest ? 1 : std::exp(values[i] - highest);
    sum += values[i];
  }
  if (gradient != nullptr) {
    std::fill(gradient, gradient + coefficients(), 0.0);
    for (std::size_t i = 0; i < terms.size(); ++i) {
      const double share = values[i] / sum;
      gradient[terms[i].coefficient] += share;
      gradient[terms[i].exponent] -= share * log_x[std::size_t(terms[i].variable)];
    }
    if (constant >= 0) gradient[constant] += values[count - 1] / sum;
  }
  return highest + std::log(sum);
}

double Law::loss(std::span<const double> inside, std::span<const double> x) const {
  std::array<double, 2> log_x{};
  for (int i = 0; i < variables; ++i) log_x[std::size_t(i)] = std::log(x[std::size_t(i)]);
  return std::exp(log_loss(inside, log_x, nullptr));
}

}  // namespace metascale
