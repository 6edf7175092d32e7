// The paper's claims, each with what these runs say about it [docs/analysis.md, "Verdicts"].
#pragma once

#include <string>
#include <vector>

#include "analysis/interval.hpp"

namespace metascale {

enum class Verdict { holds, does_not_hold, not_decided, no_data };
const char* name_of(Verdict verdict);   // holds, does_not_hold ...
const char* words_of(Verdict verdict);  // "holds", "does not hold" ...

struct Evidence {
  std::string where;  // size and length
  std::string value;  // with its interval
};

// A number of the evidence in full; shares, not per cent.
struct ClaimValue {
  std::string arm, against;  // whose, and compared with whom; empty: with none
  std::string size, length;  // empty: over all
  std::string measure;
  double value = 0;
  Interval interval;
  std::string runs;  // ids with spaces between; empty: of no run's log
};

struct Claim {
  std::string letter;  // a to g are the paper's, h to l explain them, m is a question of ours
  std::string text;    // the claim
  Verdict verdict = Verdict::no_data;
  std::string would_decide;  // what would decide it; empty where it is decided
  std::string measure;       // what the evidence's numbers are
  std::vector<Evidence> evidence;
  std::vector<ClaimValue> values;  // of the evidence

  std::string evidence_text() const;  // all of it in one line
};

struct Report;
// Whether every final evaluation scored its whole split: only then may it carry a claim.
bool covers_all(const Report& report);

// In the order of their letters. The report's cells, pairs, fits and gains must stand.
std::vector<Claim> judge_claims(const Report& report);

}  // namespace metascale
