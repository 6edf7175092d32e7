// Scaling-law fits on anybody's table: `metascale fit TABLE.csv`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/fit.hpp"
#include "analysis/isoflop.hpp"
#include "analysis/joint_fit.hpp"

namespace metascale {

struct FitTableOptions {
  std::string law = "power";  // power | loglog | chinchilla | tied | isoflop
  // Names of columns. power and loglog take one of parameters, tokens, flops; chinchilla and tied
  // take parameters and tokens; isoflop takes flops and parameters.
  std::string parameters, tokens, flops;
  std::string loss = "loss";
  std::string role;   // column that says fit or held_out; empty: all rows are fitted
  std::string label;  // column that names a row; empty: its line
  std::string cell;   // rows alike in this column differ by their seed only; empty: those of one x
  // chinchilla only: the column that names two arms, which are fitted under one law (the first
  // named is the one compared with); empty: all rows are of one arm.
  std::string arm;
  std::string where;  // "column=value": only these rows
  // huber | squared_log | squared; empty: squared_log for loglog, else huber.
  std::string objective;
  std::optional<std::size_t> nearest;  // isoflop only: sizes of each parabola; 0: all
  FitOptions fit;
};

struct FitTableResult {
  std::string law;
  std::optional<Fit> fit;  // one arm, all but isoflop
  std::optional<IsoflopFit> isoflop;
  std::optional<JointReport> joint;  // two arms
  std::vector<std::string> notes;    // rows that were left out, and why
  bool healthy() const;
  std::string text() const;  // for people
  std::string json() const;  // for machines; one object
};

// Throws Error{usage} for an unknown law or column, Error{bad_input} with file:line for a damaged
// table.
FitTableResult fit_table(const std::filesystem::path& table, const FitTableOptions& options);

}  // namespace metascale
