#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "analysis/report.hpp"
#include "analysis/report/fits.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

double mean_over(const std::vector<const Run*>& runs, const auto& value_of) {
  double sum = 0;
  for (const Run* run : runs) sum += value_of(*run);
  return sum / double(runs.size());
}

Cell make_cell(std::vector<const Run*> runs) {
  const Run& one = *runs.front();
  const auto fact = [](const char* key) {
    return [key](const Run& run) {
      return run.number(key).value_or(std::numeric_limits<double>::quiet_NaN());
    };
  };
  Cell cell{one.arm, one.size, one.length, runs};
  cell.parameters = mean_over(runs, fact("parameters"));
  cell.non_embedding_parameters = mean_over(runs, fact("non_embedding_parameters"));
  cell.flops_per_token = mean_over(runs, fact("flops_per_token"));
  cell.executed_flops_per_token = mean_over(runs, fact("executed_flops_per_token"));
  cell.tokens = mean_over(runs, [](const Run& run) { return double(run.tokens); });
  cell.training_flops = mean_over(runs, [](const Run& run) { return run.flops; });
  cell.loss = mean_over(runs, [](const Run& run) { return run.final_loss(); });
  cell.bits_per_byte = mean_over(runs, [](const Run& run) { return run.final_bits_per_byte(); });
  cell.tokens_per_second = mean_over(runs, [](const Run& run) { return run.tokens_per_second; });
  cell.hours = mean_over(runs, [](const Run& run) { return run.hours; });
  double squares = 0;
  for (const Run* run : runs) squares += std::pow(run->final_loss() - cell.loss, 2);
  cell.loss_deviation = runs.size() > 1 ? std::sqrt(squares / double(runs.size() - 1))
                                        : std::numeric_limits<double>::quiet_NaN();
  return cell;
}

std::vector<Cell> make_cells(const Collection& collection, bool of_probes) {
  std::vector<std::vector<const Run*>> groups;
  for (const Run& run : collection.runs) {
    if (run.state != RunState::done || !run.is_compared() || run.is_probe() != of_probes) continue;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& candidate) {
      const Run& one = *candidate.front();
      return one.arm == run.arm && one.size == run.size && one.length == run.length;
    });
    if (group == groups.end()) group = groups.emplace(group);
    group->push_back(&run);
  }
  std::vector<Cell> cells;
  for (auto& group : groups) cells.push_back(make_cell(std::move(group)));
  return cells;
}

// Of single runs, pooled over the cells that have several seeds; 0: none has.
double pooled_seed_deviation(const std::vector<Cell>& cells) {
  double squares = 0, degrees = 0;
  for (const Cell& cell : cells) {
    if (cell.runs.size() < 2) continue;
    const double own = double(cell.runs.size()) - 1;
    squares += own * std::pow(cell.loss_deviation / cell.loss, 2), degrees += own;
  }
  return degrees > 0 ? std::sqrt(squares / degrees) : 0;
}

std::vector<std::string> domains_of(const Run& run) {
  std::vector<std::string> names;
  for (const DomainRow& row : run.final_evaluation()->domains) names.push_back(row.domain);
  return names;
}

PairReport compare_pair(const MatchedPair& pair, const Report& report, std::uint64_t number,
                        const ReportOptions& options) {
  PairReport result;
  result.pair = &pair;
  result.first = report.cell(pair.first_arm, pair.size, pair.length);
  result.second = report.cell(pair.second_arm, pair.size, pair.length);
  PairedOptions paired{.draws = options.bootstrap_pairs,
                       .seed = options.seed,
                       .cell = number + 1,
                       .confidence = options.confidence,
                       .threads = options.threads,
                       .seed_deviation = report.seed_deviation};
  try {
    std::vector<PairedSeed> seeds;
    for (std::size_t i = 0; i < pair.first.size(); ++i)
      seeds.push_back(join_documents(pair.first[i]->documents, pair.second[i]->documents));
    result.result = paired_difference(seeds, paired);
    const std::vector<std::string> domains = domains_of(*pair.first.front());
    for (std::size_t domain = 0; domain < domains.size(); ++domain) {
      const bool scored = std::any_of(
          seeds.front().begin(), seeds.front().end(), [&](const PairedDocument& document) {
            return document.domain == int(domain) && document.tokens > 0;
          });
      if (!scored) continue;
      paired.domain = int(domain);
      result.domains.push_back({domains[domain], paired_difference(seeds, paired)});
      result.domains.back().result.draws.clear();
    }
  } catch (const Error& error) {
    result.problem = error.what();
  }
  return result;
}

using Values = std::set<std::string>;

// The one value in words; or that there are several.
std::string agreed(const Values& values, const std::string& before, const char* mixed) {
  return values.size() == 1 ? before + *values.begin() : mixed;
}

// "packed windows of 512" for captions.
std::string protocol_words(const Values& protocols, const Values& contexts) {
  if (protocols.size() > 1) return "mixed protocols";
  std::string protocol = *protocols.begin();
  const bool windows = protocol == "packed_windows";
  std::replace(protocol.begin(), protocol.end(), '_', ' ');
  if (contexts == Values{""}) return protocol;
  return protocol + (windows ? " of " : ", context ") + agreed(contexts, "", "mixed lengths");
}

std::string all_of(const Values& values) { return joined({values.begin(), values.end()}); }

// How the losses of tables and figures were evaluated.
struct Evaluated {
  Values protocols, coverages, splits, tokenizers, contexts;

  void add(const Run& run) {
    const Evaluation& evaluation = *run.final_evaluation();
    protocols.insert(evaluation.protocol), splits.insert(evaluation.split);
    coverages.insert(evaluation.coverage), tokenizers.insert(run.tokenizer());
    contexts.insert(run.fact("context").value_or(""));
  }
  std::string words() const {
    return concat("Losses are nats per token, evaluated on ", agreed(splits, "", "mixed splits"),
                  ", ", protocol_words(protocols, contexts),
                  coverages == Values{"all"} ? "" : ", " + agreed(coverages, "", "mixed coverage"),
                  ", ", agreed(tokenizers, "tokenizer ", "mixed tokenizers"));
  }
};

void describe_protocol(Report& report) {
  Evaluated found;  // of the texts; where all ran on probes, of those
  for (const Cell& cell : report.cells.empty() ? report.probe_cells : report.cells)
    for (const Run* run : cell.runs) found.add(*run);
  if (found.protocols.empty()) return;
  report.protocol =
      concat("split ", all_of(found.splits), ", protocol ", all_of(found.protocols), ", coverage ",
             all_of(found.coverages), ", tokenizer ", all_of(found.tokenizers));
  if (!report.cells.empty()) report.scored = found.words();
  if (found.coverages != Values{"all"})
    report.notes.push_back(concat("The final evaluations cover a fixed subset of the split (",
                                  all_of(found.coverages),
                                  "): they show the method and claim nothing."));
  if (found.splits.contains("validation"))
    report.notes.push_back(
        "Some final evaluations are on validation data, on which learning rates "
        "may have been chosen.");
}

// Also of runs that are not done: their curves are drawn.
void describe_tokenizer(Report& report) {
  Values tokenizers;
  for (const Run& run : report.collection.runs)
    if (run.is_compared() && !run.is_probe() && !run.curve.empty())
      tokenizers.insert(run.tokenizer());
  if (!tokenizers.empty()) report.tokenizer = agreed(tokenizers, "tokenizer ", "mixed tokenizers");
}

std::string words_of_assumed_noise(double deviation) {
  if (deviation <= known_seed_deviation)
    return "Some pairs have one seed. Their intervals assume the seed noise known from other "
           "studies: 0.35 % of the loss for one run, 0.5 % for the difference of two.";
  return fmt::format(
      "Some pairs have one seed. Their intervals assume the seed noise that this study's cells of "
      "several seeds show, pooled: {:.2f} % of the loss for one run, {:.2f} % for the difference "
      "of two. It is more than the 0.35 % known from other studies.",
      100 * deviation, 100 * std::sqrt(2.0) * deviation);
}

void add_notes(Report& report) {
  std::map<RunState, int> states;
  std::int64_t non_finite = 0, probes = 0;
  for (const Run& run : report.collection.runs) {
    ++states[run.state];
    probes += run.is_probe() ? 1 : 0;
    non_finite += run.non_finite_rows;
  }
  if (report.collection.runs.empty())
    report.notes.push_back("There is no run: nothing can be said.");
  else if (states[RunState::done] == 0)
    report.notes.push_back("No run is done: the report shows states and curves only.");
  for (const RunState state : {RunState::failed, RunState::unfinished, RunState::unreadable})
    if (states[state] > 0)
      report.notes.push_back(concat(states[state], states[state] == 1 ? " run is " : " runs are ",
                                    name_of(state), "; see Runs."));
  if (non_finite > 0)
    report.notes.push_back(concat(
        non_finite,
        non_finite == 1 ? " logged step has a loss that is" : " logged steps have a loss that is",
        " not finite; the curves leave ", non_finite == 1 ? "it" : "them", " out."));
  if (probes > 0)
    report.notes.push_back(concat(probes, probes == 1 ? " run is" : " runs are",
                                  " on probes, not on a text: no comparison of losses, no scaling "
                                  "law and no claim but (d) uses them."));
  for (const std::string& arm : report.collection.arms)
    if (!report.collection.is_published(arm))
      report.notes.push_back(
          concat(arm, " is not the published model (doubled_rate): no claim is about it."));
  const bool single = std::any_of(report.pairs.begin(), report.pairs.end(), [](const auto& pair) {
    return pair.problem.empty() && pair.result.assumed_seed_noise;
  });
  if (single) report.notes.push_back(words_of_assumed_noise(report.seed_deviation));
}

std::string time_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

}  // namespace

const char* name_of(FitAxis axis) {
  switch (axis) {
    case FitAxis::non_embedding_parameters: return "non_embedding_parameters";
    case FitAxis::parameters: return "parameters";
    case FitAxis::training_flops: return "training_flops";
    case FitAxis::tokens: return "tokens";
  }
  return "?";
}

const char* words_of(FitAxis axis) {
  switch (axis) {
    case FitAxis::non_embedding_parameters: return "non-embedding parameters";
    case FitAxis::parameters: return "parameters";
    case FitAxis::training_flops: return "training FLOPs";
    case FitAxis::tokens: return "training tokens";
  }
  return "?";
}

double value_on(FitAxis axis, const Cell& cell) {
  switch (axis) {
    case FitAxis::non_embedding_parameters: return cell.non_embedding_parameters;
    case FitAxis::parameters: return cell.parameters;
    case FitAxis::training_flops: return cell.training_flops;
    case FitAxis::tokens: return cell.tokens;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

const Cell* Report::cell(const std::string& arm, const std::string& size,
                         const std::string& length) const {
  for (const Cell& candidate : cells)
    if (candidate.arm == arm && candidate.size == size && candidate.length == length)
      return &candidate;
  return nullptr;
}

std::vector<std::string> Report::lengths() const {
  std::vector<std::pair<double, std::string>> found;
  for (const Run& run : collection.runs) {
    if (!run.is_compared() || run.is_probe()) continue;
    const bool known = std::any_of(found.begin(), found.end(),
                                   [&](const auto& entry) { return entry.second == run.length; });
    if (!known) found.emplace_back(run.number("tokens_planned").value_or(0), run.length);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (const auto& [tokens, name] : found) names.push_back(name);
  return names;
}

std::vector<std::string> Report::sizes() const {
  std::map<std::string, double> smallest;
  for (const Run& run : collection.runs) {
    if (!run.is_compared() || run.is_probe()) continue;
    const double count = run.number("parameters").value_or(0);
    const auto [entry, fresh] = smallest.emplace(run.size, count);
    if (!fresh) entry->second = std::min(entry->second, count);
  }
  std::vector<std::string> names;
  for (const auto& [name, count] : smallest) names.push_back(name);
  std::stable_sort(names.begin(), names.end(),
                   [&](const auto& a, const auto& b) { return smallest.at(a) < smallest.at(b); });
  return names;
}

Report analyse(Collection collection, const ReportOptions& options) {
  const auto stage = [&](const std::string& words) {
    if (options.progress) options.progress(words);
  };
  Report report;
  report.collection = std::move(collection);
  report.confidence = options.confidence;
  report.refresh_seconds = options.refresh_seconds;
  report.generated = time_now();
  report.notes = report.collection.notes;
  report.matching = match(report.collection);
  report.cells = make_cells(report.collection, false);
  report.probe_cells = make_cells(report.collection, true);
  report.seed_deviation = std::max(known_seed_deviation, pooled_seed_deviation(report.cells));
  stage("paired differences");
  for (std::size_t i = 0; i < report.matching.pairs.size(); ++i)
    report.pairs.push_back(compare_pair(report.matching.pairs[i], report, i, options));
  stage("fits");
  add_fits(report, options);
  add_joint_fits(report, options);
  if (options.isoflop) add_isoflops(report, options);
  add_gains(report, options);
  describe_protocol(report);
  describe_tokenizer(report);
  add_notes(report);
  report.claims = judge_claims(report);
  return report;
}

}  // namespace metascale
