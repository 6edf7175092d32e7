#include "analysis/compare.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/match.hpp"
#include "analysis/support/text.hpp"
#include "core/hash.hpp"
#include "core/journal.hpp"
#include "core/match_key.hpp"

namespace metascale {
namespace {

const DataMark* mark_at(const Run& run, std::int64_t step) {
  for (const DataMark& mark : run.marks)
    if (mark.step == step) return &mark;
  return nullptr;
}

// At one step: equally many tokens, and the same ones.
void compare_data_at(std::int64_t step, const Run& first, const Run& second,
                     std::vector<std::string>& reasons) {
  const DataMark *one = mark_at(first, step), *other = mark_at(second, step);
  if (one == nullptr || other == nullptr)
    reasons.push_back(
        concat((one == nullptr ? first : second).id, " has not logged what step ", step, " saw"));
  else if (one->tokens != other->tokens)
    reasons.push_back(
        concat("trained on ", one->tokens, " and ", other->tokens, " tokens by step ", step));
  else if (one->digest != other->digest &&
           must_agree(match_key_of(first.log.facts), match_key_of(second.log.facts), "data_order"))
    reasons.push_back(
        concat("trained on different tokens, or on the same in another order, by "
               "step ",
               step));
}

std::string words_of(const Evaluation& evaluation, const Run& run) {
  const bool is_all = evaluation.coverage == "all";
  return concat(evaluation.split, ", ", evaluation.protocol, ", ",
                is_all ? "all of it" : evaluation.coverage, ", tokenizer ", run.tokenizer());
}

// Validation losses at the last step that both have evaluated.
void compare_trimmed(const Run& first, const Run& second, CompareResult& result) {
  result.reasons = differences(match_key_of(first.log.facts), match_key_of(second.log.facts));
  for (const Evaluation& one : first.log.evaluations)
    for (const Evaluation& other : second.log.evaluations) {
      const bool alike = one.split == "validation" && other.split == "validation" &&
                         one.step == other.step && one.digest == other.digest && one.tokens > 0 &&
                         one.tokens == other.tokens;
      if (!alike || one.step < result.step) continue;
      result.step = one.step;
      result.scored = words_of(one, first);
      result.result.first_loss = one.loss(), result.result.second_loss = other.loss();
    }
  if (result.step == 0) {
    result.reasons.push_back("no step at which both were evaluated on the same validation windows");
    return;
  }
  compare_data_at(result.step, first, second, result.reasons);
  result.result.difference = result.result.second_loss - result.result.first_loss;
  result.result.relative = result.result.difference / result.result.first_loss;
}

// 0: the first run, 1: the second. Ids come before arms.
int named(const std::string& name, const Run& first, const Run& second) {
  if (name == first.id || (name == first.arm && name != second.arm)) return 0;
  if (name == second.id || (name == second.arm && name != first.arm)) return 1;
  throw Error(concat("the assertion names '", name, "', which is neither ", first.id, " (",
                     first.arm, ") nor ", second.id, " (", second.arm, ")"),
              ExitCode::usage);
}

void judge(const Run& first, const Run& second, CompareResult& result) {
  std::istringstream words(result.assertion);
  std::string left, sign, right, more;
  words >> left >> sign >> right;
  if ((sign != "<" && sign != ">") || right.empty() || (words >> more))
    throw Error(concat("'", result.assertion, "' is no assertion; give for example \"", second.arm,
                       " < ", first.arm, "\""),
                ExitCode::usage);
  const int lower = named(sign == "<" ? left : right, first, second);
  if (lower == named(sign == "<" ? right : left, first, second))
    throw Error(concat("'", result.assertion, "' compares a run with itself"), ExitCode::usage);
  const Interval& interval = result.result.with_seeds;
  result.asserted_holds = result.reasons.empty() && result.has_interval &&
                          (lower == 1 ? interval.high < 0 : interval.low > 0);
}

// Of the same documents, one evaluation each.
void compare_documents(const Run& first, const Run& second, const PairedOptions& options,
                       CompareResult& result) {
  const PairedSeed joined[] = {join_documents(first.documents, second.documents)};
  result.result = paired_difference(joined, options);
  result.assumed_deviation = options.seed_deviation;
  result.has_interval = true;
}

CompareResult compare_files(const std::filesystem::path& first, const std::filesystem::path& second,
                            const CompareOptions& options) {
  CompareResult result;
  result.first = first.string(), result.second = second.string();
  result.assertion = options.assertion;
  const SegmentsFile one = read_segments(first), other = read_segments(second);
  result.step = one.step, result.second_step = other.step;
  Run left, right;  // as far as a file tells
  left.id = result.first, left.arm = first.stem().string();
  right.id = result.second, right.arm = second.stem().string();
  left.documents = document_losses(one.segments);
  right.documents = document_losses(other.segments);
  if (one.digest != other.digest) {
    result.reasons.push_back(concat("evaluated on different windows: the digests are ",
                                    to_hex(one.digest), " and ", to_hex(other.digest)));
  } else {
    compare_documents(left, right, options.paired, result);
    result.scored = concat("the same windows, of digest ", to_hex(one.digest));
  }
  if (!options.assertion.empty()) judge(left, right, result);
  return result;
}

Run read_one(const std::filesystem::path& folder) {
  return summarise(read_run_folder(folder), folder);
}

}  // namespace

ExitCode CompareResult::exit_code() const {
  return reasons.empty() && asserted_holds ? ExitCode::good : ExitCode::assertion;
}

std::string CompareResult::text() const {
  std::string text = fmt::format("{}\n{}\n", first, second);
  for (const std::string& reason : reasons) text += "not comparable: " + reason + "\n";
  if (reasons.empty()) {
    text += fmt::format("scored      {}\n", scored);
    text += fmt::format("loss        {:.4f} and {:.4f} nats/token at {}\n", result.first_loss,
                        result.second_loss,
                        step == second_step ? fmt::format("step {}", step)
                                            : fmt::format("steps {} and {}", step, second_step));
    text += fmt::format("difference  {:+.4f} nats/token, {:+.2f} %\n", result.difference,
                        100 * result.relative);
    if (has_interval)
      text += fmt::format(
          "95 %        {} over {} documents, {} with seed noise, assumed: {:.2g} % "
          "of the loss for one run\n",
          interval_text(result.bca, 4), result.documents, interval_text(result.with_seeds, 4),
          100 * assumed_deviation);
    else
      text += "interval    none: runs that are not done have no losses per document\n";
  }
  if (!assertion.empty())
    text += fmt::format("asserted    {}: {}\n", assertion,
                        asserted_holds ? "holds"
                        : is_decided() ? "does not hold"
                                       : "is not decided");
  return text;
}

std::string CompareResult::json() const {
  const auto number = [](double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json json{{"first", first},
                              {"second", second},
                              {"comparable", reasons.empty()},
                              {"reasons", reasons},
                              {"step", step},
                              {"second_step", second_step},
                              {"scored", scored},
                              {"first_loss", number(result.first_loss)},
                              {"second_loss", number(result.second_loss)},
                              {"difference", number(result.difference)},
                              {"relative", number(result.relative)}};
  json["bca"] = {number(result.bca.low), number(result.bca.high)};
  json["with_seeds"] = {number(result.with_seeds.low), number(result.with_seeds.high)};
  json["documents"] = result.documents;
  json["assumed_seed_noise"] = result.assumed_seed_noise;
  if (!assertion.empty())
    json["assertion"] = assertion, json["holds"] = asserted_holds, json["decided"] = is_decided();
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

CompareResult compare(const Run& first, const Run& second, const CompareOptions& options) {
  CompareResult result;
  result.first = first.id, result.second = second.id, result.assertion = options.assertion;
  const bool both_done = first.state == RunState::done && second.state == RunState::done;
  if (!both_done && options.trim_to_shortest) {
    compare_trimmed(first, second, result);
  } else {
    for (const Run* run : {&first, &second})
      if (run->state != RunState::done)
        result.reasons.push_back(concat(run->id, " is ", name_of(run->state),
                                        "; --trim-to-shortest compares runs that still go"));
    if (result.reasons.empty()) result.reasons = mismatches(first, second);
    if (result.reasons.empty()) {
      compare_documents(first, second, options.paired, result);
      result.step = first.final_evaluation()->step;
      result.scored = words_of(*first.final_evaluation(), first);
    }
  }
  result.second_step = result.step;
  if (!options.assertion.empty()) judge(first, second, result);
  return result;
}

CompareResult compare(const std::filesystem::path& first, const std::filesystem::path& second,
                      const CompareOptions& options) {
  std::error_code ignored;  // what cannot be looked at is no file; reading it says why
  for (const auto& path : {first, second})
    if (std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found)
      throw Error(concat(path.string(), ": there is no such file or folder; check the path"),
                  ExitCode::usage);
  const bool is_file = std::filesystem::is_regular_file(first, ignored);
  if (is_file != std::filesystem::is_regular_file(second, ignored))
    throw Error(concat((is_file ? first : second).string(), " is a file and ",
                       (is_file ? second : first).string(),
                       " is none; give two run folders, or two files of metascale eval --out"),
                ExitCode::usage);
  if (is_file && options.trim_to_shortest)
    throw Error("--trim-to-shortest is about runs that still go; two evaluations are whole",
                ExitCode::usage);
  if (is_file) return compare_files(first, second, options);
  return compare(read_one(first), read_one(second), options);
}

}  // namespace metascale
