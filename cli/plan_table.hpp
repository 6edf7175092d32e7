// What `metascale plan` shows of a resolved sweep.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sweeps/ledger.hpp"

namespace metascale {

// Tables for people: models itemised, runs, mismatch per pair, totals.
std::string plan_text(const Definition& definition, const Resolution& resolution,
                      const Ledger& ledger);
// {"name", "runs": [...], "pairs": [...], "totals": {...}}
nlohmann::json plan_json(const Definition& definition, const Resolution& resolution,
                         const Ledger& ledger);
// Only what running the sweep would add, resume, skip or leave behind.
std::string plan_changes(const Resolution& resolution, const Ledger& ledger);
// {"added": [ids], "unfinished", "updated", "longer", "done", "evaluated_otherwise", "vanished"}
nlohmann::json plan_changes_json(const Resolution& resolution, const Ledger& ledger);

}  // namespace metascale
