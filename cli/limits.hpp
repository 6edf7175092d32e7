// What keeps a sweep from being planned, run or submitted.
#pragma once

#include "sweeps/ledger.hpp"

namespace metascale {

// Throws Error{usage} where runs that are not done need more memory than their GPUs have, or the
// sweep more hours than its budget. Hours are known once bench sweep has measured them, the memory
// of a GPU from resources.gpu_memory, or from this machine's first GPU; what is not known is not
// refused.
void refuse_above_limits(const Definition& definition, const Resolution& resolution,
                         const Ledger& ledger);

}  // namespace metascale
