// Finite groups as tables: elements are numbers, permutations in lexicographic order.
#pragma once

#include <cstdint>
#include <vector>

namespace metascale::probes {

struct Group {
  std::int64_t order = 0;              // G
  std::vector<std::int32_t> products;  // (G, G): products[a * G + b] = a b
};

using Permutation = std::vector<std::int32_t>;
enum class Parity { any, even };
std::vector<Permutation> permutations(std::int64_t n, Parity parity);

Group cyclic_group(std::int64_t n);                           // a b = a + b mod n
Group permutation_group(std::int64_t n, Parity parity);       // (a b)[i] = a[b[i]]
Group direct_product(const Group& left, const Group& right);  // element i * right.order + j

}  // namespace metascale::probes
