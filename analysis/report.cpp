#include "analysis/report.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "analysis/figure.hpp"
#include "analysis/render_html.hpp"
#include "analysis/render_json.hpp"
#include "analysis/render_markdown.hpp"
#include "analysis/tables.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/file.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem)
    throw Error(concat(folder.string(), ": cannot be made: ", problem.message(),
                       "; give another folder with --out"),
                ExitCode::io);
}

// Tables that an earlier report had and this one has not.
void remove_other_tables(const fs::path& folder, const std::set<std::string>& kept) {
  for (const std::string& key : tables_of_some_reports()) {
    const fs::path file = folder / (key + ".csv");
    std::error_code problem;
    if (!kept.contains(key) && fs::symlink_status(file, problem).type() == fs::file_type::regular)
      fs::remove(file, problem);
  }
}

void write_tables(const Report& report, const fs::path& folder) {
  make_own_folder(folder);
  std::set<std::string> keys;
  for (const Table& table : all_tables(report)) {
    write_file_atomically(folder / (table.key + ".csv"), to_csv(table));
    keys.insert(table.key);
  }
  remove_other_tables(folder, keys);
  write_file_atomically(folder / "comparison.tex", to_latex(comparison_table(report)));
}

void add_figures(Report& report, const fs::path& folder, int threads) {
  const std::vector<Figure> figures = figures_of(report);
  for (std::string& problem : write_figures(figures, folder, threads))
    report.notes.push_back(std::move(problem));
  for (const Figure& figure : figures)
    if (fs::exists(folder / (figure.name + ".svg")))
      report.figures.push_back({figure.name, figure.caption});
}

ReportResult result_of(Report& report, const fs::path& page) {
  ReportResult result;
  result.page = page;
  for (const Run& run : report.collection.runs) switch (run.state) {
      case RunState::done: ++result.done; break;
      case RunState::failed: ++result.failed; break;
      case RunState::unfinished: ++result.unfinished; break;
      case RunState::unreadable: ++result.unreadable; break;
    }
  const auto& runs = report.collection.runs;
  const auto first_of = [&](RunState state) {
    const auto found =
        std::find_if(runs.begin(), runs.end(), [&](const Run& run) { return run.state == state; });
    return found == runs.end() ? "" : found->id + ": " + found->reason;
  };
  result.first_failure = first_of(RunState::failed);
  result.first_unreadable = first_of(RunState::unreadable);
  for (const NotComparable& entry : report.matching.refused) {
    const std::string reason = entry.reasons.empty() ? "" : ": " + entry.reasons[0];
    if (entry.is_pair() && ++result.not_comparable == 1)
      result.first_difference = concat(entry.first, " and ", entry.second, reason);
    if (!entry.is_pair() && ++result.left_out == 1) result.first_left_out = entry.first + reason;
  }
  result.holds_no_run = runs.empty();
  result.claims = std::move(report.claims);
  result.notes = std::move(report.notes);
  return result;
}

}  // namespace

std::string run_list(const std::vector<const Run*>& runs) {
  std::string text;
  for (const Run* run : runs) text += (text.empty() ? "" : " ") + run->id;
  return text;
}

Totals totals_of(const Report& report) {
  const auto& runs = report.collection.runs;
  Totals totals{.runs = std::int64_t(runs.size()),
                .sizes = std::int64_t(report.sizes().size()),
                .pairs = std::int64_t(report.pairs.size()),
                .refused = std::ranges::count_if(report.matching.refused, &NotComparable::is_pair)};
  for (const Run& run : runs) {
    totals.done += run.state == RunState::done ? 1 : 0;
    totals.hours += run.own_hours, totals.flops += run.flops - run.inherited.flops;
  }
  return totals;
}

ReportResult write_report(Collection collection, const ReportOptions& options) {
  const fs::path folder = options.output.empty() ? collection.folder / "report" : options.output;
  if (options.output.empty())
    make_own_folder(folder);
  else
    make_folder(folder);
  Report report = analyse(std::move(collection), options);
  if (options.figures) {
    if (options.progress) options.progress("figures");
    add_figures(report, folder / "figures", options.threads);
  } else {
    remove_other_figures(folder / "figures", {});
  }
  if (options.progress) options.progress("page");
  write_tables(report, folder / "tables");
  write_file_atomically(folder / "fits.json", render_json(report));
  write_file_atomically(folder / "report.md", render_markdown(report));
  write_file_atomically(folder / "report.html", render_html(report));
  return result_of(report, folder / "report.html");
}

ReportResult write_report(const fs::path& results, const ReportOptions& options) {
  if (options.progress) options.progress("logs");
  return write_report(collect(results, {.threads = options.threads}), options);
}

}  // namespace metascale
