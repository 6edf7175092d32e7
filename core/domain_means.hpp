// An evaluation's bits per byte as means over its domains.
#pragma once

#include <optional>
#include <string>

#include "core/run_file.hpp"

namespace metascale {

// Each domain counted once, and by The Pile's weights of their bytes. Nothing where a domain's
// bytes are not known, or it is none of The Pile's. Domains without a scored token do not count.
struct DomainMeans {
  std::optional<double> plain, pile;
};
DomainMeans domain_means(const Evaluation& evaluation);

// The Pile's weight of a pile_set_name, in percent of its bytes; 0 where it has none of that name
// [Gao et al. 2020, table 1].
double pile_weight(const std::string& domain);

}  // namespace metascale
