// The paper's claims, each with what these runs say about it [docs/analysis.md, "Verdicts"].
#pragma once

#include <string>
#include <vector>

namespace metascale {

enum class Verdict { holds, does_not_hold, not_decided, no_data };
const char* name_of(Verdict verdict);   // holds, does_not_hold ...
const char* words_of(Verdict verdict);  // "holds", "does not hold" ...

struct Claim {
  std::string letter;        // a to g, and x, y: what explains it
  std::string text;          // the claim
  Verdict verdict = Verdict::no_data;
  std::string evidence;      // the measured numbers
  std::string would_decide;  // what would decide it; empty where it is decided
};

struct Report;
// In the order of their letters. The report's cells, pairs, fits and gains must stand.
std::vector<Claim> judge_claims(const Report& report);

}  // namespace metascale
