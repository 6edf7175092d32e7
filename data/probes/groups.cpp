#include "data/probes/groups.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace metascale::probes {
namespace {

bool is_even(const Permutation& p) {
  std::int64_t inversions = 0;
  for (std::size_t i = 0; i < p.size(); ++i)
    for (std::size_t j = i + 1; j < p.size(); ++j) inversions += p[i] > p[j] ? 1 : 0;
  return inversions % 2 == 0;
}

}  // namespace

std::vector<Permutation> permutations(std::int64_t n, Parity parity) {
  Permutation next(static_cast<std::size_t>(n));
  std::iota(next.begin(), next.end(), 0);
  std::vector<Permutation> all;
  do {
    if (parity == Parity::any || is_even(next)) all.push_back(next);
  } while (std::next_permutation(next.begin(), next.end()));
  return all;
}

Group cyclic_group(std::int64_t n) {
  Group group{.order = n};
  for (std::int64_t a = 0; a < n; ++a)
    for (std::int64_t b = 0; b < n; ++b) group.products.push_back(std::int32_t((a + b) % n));
  return group;
}

Group permutation_group(std::int64_t n, Parity parity) {
  const std::vector<Permutation> elements = permutations(n, parity);
  std::map<Permutation, std::int32_t> number;
  for (const Permutation& element : elements) number.emplace(element, std::int32_t(number.size()));
  Group group{.order = std::int64_t(elements.size())};
  Permutation product(static_cast<std::size_t>(n));
  for (const Permutation& a : elements)
    for (const Permutation& b : elements) {
      for (std::size_t i = 0; i < product.size(); ++i) product[i] = a[std::size_t(b[i])];
      group.products.push_back(number.at(product));
    }
  return group;
}

Group direct_product(const Group& left, const Group& right) {
  const std::int64_t L = left.order, R = right.order;
  Group group{.order = L * R};
  for (std::int64_t a = 0; a < L * R; ++a)
    for (std::int64_t b = 0; b < L * R; ++b)
      group.products.push_back(std::int32_t(left.products[std::size_t(a / R * L + b / R)] * R +
                                            right.products[std::size_t(a % R * R + b % R)]));
  return group;
}

}  // namespace metascale::probes
