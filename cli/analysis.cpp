// metascale report, compare, fit: analysis, read only.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "analysis/compare.hpp"
#include "analysis/export.hpp"
#include "analysis/fit_table.hpp"
#include "analysis/report.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/report_summary.hpp"
#include "cli/signals.hpp"
#include "core/progress.hpp"
#include "core/terminal.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

struct ReportVerb {
  fs::path folder;
  ReportOptions options;
  std::vector<std::string> exports;
  int interval = 10;  // seconds
  bool watch = false, no_figures = false, json = false;
};
struct CompareVerb {
  fs::path first, second;
  CompareOptions options;
  bool json = false;
};
struct FitVerb {
  fs::path table;
  FitTableOptions options;
  bool json = false;
};

// Of the sweep.yaml that `run` left; there is none beside foreign logs. One that cannot be read (of
// another version) does not keep the page from coming.
void apply_sweep_file(const fs::path& folder, ReportOptions& options) {
  const fs::path sweep = folder / "sweep.yaml";
  if (!fs::exists(sweep)) return;
  try {
    apply_analysis(read_definition(sweep).analysis, options);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\nThe report goes on without what `analysis` there says.\n",
               error.what());
  }
}

// Beside the page: report/csv, report/tensorboard, report/wandb.
void export_all(const ReportVerb& verb, const ReportResult& result, int threads) {
  if (verb.exports.empty()) return;
  const Collection collection = collect(verb.folder, {.threads = threads});
  for (const std::string& name : verb.exports) {
    const fs::path folder = result.page.parent_path() / name;
    const ExportResult exported = export_runs(collection, export_format_named(name), folder);
    if (!verb.json) fmt::print("{}: {} runs\n", folder.string(), exported.runs);
    for (const std::string& problem : exported.problems)
      fmt::print(stderr, "{}\n", printable(problem));
  }
}

bool is_sweep_or_run(const fs::path& folder) {
  for (const char* name : {"runs", "run.h5", "journal.jsonl"})
    if (std::error_code error; fs::exists(folder / name, error)) return true;
  return false;
}

// "results/quick, results/pile": sweeps right below a folder, which is likely what was meant.
std::string sweeps_below(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (std::error_code ignored; fs::is_directory(entry.path() / "runs", ignored))
      names.insert(entry.path().string());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void refuse_folder_of_sweeps(const fs::path& folder) {
  if (is_sweep_or_run(folder)) return;
  const std::string sweeps = sweeps_below(folder);
  if (!sweeps.empty())
    throw Error(fmt::format("{}: no sweep here (no folder 'runs'), but below it; give one of {}",
                            folder.string(), sweeps),
                ExitCode::usage);
}

ExitCode run_report(const ReportVerb& verb) {
  refuse_folder_of_sweeps(verb.folder);
  for (const std::string& name : verb.exports) export_format_named(name);  // known before the work
  ReportOptions options = verb.options;
  apply_sweep_file(verb.folder, options);
  options.threads = int(std::max(1u, std::thread::hardware_concurrency()));
  options.figures = !verb.no_figures;
  if (verb.watch) options.refresh_seconds = verb.interval;
  if (verb.watch) catch_stop_signals();
  const auto write = [&] {
    StatusLine line;
    options.progress = [&](const std::string& stage) { line.show(stage); };
    ReportResult result = write_report(verb.folder, options);
    options.progress = nullptr;  // it knows the line, which ends here
    return result;
  };
  do {
    const ReportResult result = write();
    print_report(result, verb.json);
    if (result.holds_no_run)
      fmt::print(stderr, "{}: holds no run, and the page says so; give results/<sweep>\n",
                 verb.folder.string());
    export_all(verb, result, options.threads);
    for (int i = 0; verb.watch && i < 10 * verb.interval && stop_request() == StopRequest::none;
         ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (verb.watch && stop_request() == StopRequest::none);
  if (options.refresh_seconds > 0) {  // nobody makes the page anew from here on
    options.refresh_seconds = 0;
    write();
  }
  return ExitCode::good;
}

ExitCode run_compare(const CompareVerb& verb) {
  const CompareResult result = compare(verb.first, verb.second, verb.options);
  fmt::print("{}\n", verb.json ? result.json() : printable(result.text()));
  return result.exit_code();
}

ExitCode run_fit(const FitVerb& verb) {
  FitTableOptions options = verb.options;
  options.fit.threads = int(std::max(1u, std::thread::hardware_concurrency()));
  FitTableResult result;
  {
    Progress progress;
    // -1 until the first draw or row: a fit without bootstrap shows none.
    int draws = -1, rows = -1;
    options.fit.progress = [&](int done, int of) {
      if (draws < 0) draws = progress.add("bootstrap");
      progress.update(draws, double(done) / of, fmt::format("{} of {} draws", done, of));
    };
    options.fit.influence_progress = [&](int done, int of) {
      if (rows < 0) rows = progress.add("influence");
      progress.update(rows, double(done) / of, fmt::format("without {} of {} rows", done, of));
    };
    result = fit_table(verb.table, options);
    for (const int bar : {draws, rows})
      if (bar >= 0) progress.finish(bar, "");
  }
  fmt::print("{}\n", verb.json ? result.json() : printable(result.text()));
  return ExitCode::good;
}

// CLI11's own check prints the whole of the largest number.
CLI::Validator not_negative() {
  return CLI::Validator(
      [](const std::string& text) {
        return text.starts_with('-') ? "'" + text + "' is negative" : std::string();
      },
      "NONNEGATIVE");
}

std::string not_empty(const std::string& text) {
  return text.empty() ? "is empty; give for example \"meta_state < transformer\"" : "";
}

void add_report_verb(CLI::App& app, Action& action) {
  const auto report = std::make_shared<ReportVerb>();
  CLI::App* verb = add_verb(app, action, "report", "write report.html, tables and figures",
                            "metascale report results/quick", report, run_report);
  verb->add_option("folder", report->folder, "results/<sweep>")->required();
  verb->add_option("--out", report->options.output, "folder of the report [<folder>/report]");
  verb->add_flag("--watch", report->watch, "again and again, until INT; the page reloads itself");
  verb->add_option("--interval", report->interval, "seconds between two reports of --watch [10]")
      ->check(CLI::Range(1, 86400));
  verb->add_flag("--no-figures", report->no_figures,
                 "without gnuplot figures; removes earlier ones");
  verb->add_option("--export", report->exports, "every step also for: csv | tensorboard | wandb")
      ->delimiter(',');
  verb->add_flag("--json", report->json, "for machines");
}

void add_compare_verb(CLI::App& app, Action& action) {
  const auto compare = std::make_shared<CompareVerb>();
  CLI::App* verb = add_verb(
      app, action, "compare", "two runs, or two evaluations of eval --out, paired by document",
      "metascale compare RUN_A RUN_B --assert \"meta_state < transformer\"", compare, run_compare);
  verb->add_option("first", compare->first, "run folder, or file of eval --out")->required();
  verb->add_option("second", compare->second, "the same")->required();
  verb->add_option("--assert", compare->options.assertion, "exit code 4 where it does not hold")
      ->check(not_empty);
  verb->add_flag("--trim-to-shortest", compare->options.trim_to_shortest,
                 "runs still going: at the last step of both");
  verb->add_flag("--json", compare->json, "for machines");
}

void add_fit_verb(CLI::App& app, Action& action) {
  const auto fit = std::make_shared<FitVerb>();
  CLI::App* verb =
      add_verb(app, action, "fit", "a scaling law on anybody's table",
               "metascale fit table.csv --law chinchilla --parameters n --tokens d --loss loss",
               fit, run_fit);
  FitTableOptions& options = fit->options;
  verb->add_option("table", fit->table, "CSV with a header line")
      ->required()
      ->check(CLI::ExistingPath);
  verb->add_option("--law", options.law, "power | loglog | chinchilla | tied | isoflop");
  verb->add_option("--parameters", options.parameters, "column of parameters");
  verb->add_option("--tokens", options.tokens, "column of tokens");
  verb->add_option("--flops", options.flops, "column of FLOPs");
  verb->add_option("--loss", options.loss, "column of losses");
  verb->add_option("--role", options.role, "column that says fit or held_out");
  verb->add_option("--label", options.label, "column that names a row");
  verb->add_option("--cell", options.cell,
                   "column alike in rows that differ by seed only [rows of one x]");
  verb->add_option("--arm", options.arm, "chinchilla: column of two arms, fitted under one law");
  verb->add_option("--where", options.where, "column=value: only these rows");
  verb->add_option("--objective", options.objective, "huber | squared_log | squared");
  verb->add_option("--nearest", options.nearest, "isoflop: sizes of each parabola; 0: all")
      ->check(not_negative());
  verb->add_option("--draws", options.fit.draws,
                   "of the bootstrap, 40 or more; 0: no intervals [2000]")
      ->check(not_negative());
  verb->add_option("--seed", options.fit.seed, "of the bootstrap")->check(not_negative());
  verb->add_flag("--json", fit->json, "for machines");
}

}  // namespace

void add_analysis_verbs(CLI::App& app, Action& action) {
  add_report_verb(app, action);
  add_compare_verb(app, action);
  add_fit_verb(app, action);
}

}  // namespace metascale
