#include "analysis/fit_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/fitting/health.hpp"
#include "analysis/render_json.hpp"
#include "analysis/support/csv.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// As programs write what is not there: an empty cell, nan in any case and with a sign, NA, N/A.
bool is_missing(std::string text) {
  for (char& letter : text) letter = char(std::tolower(static_cast<unsigned char>(letter)));
  if (text.starts_with('+') || text.starts_with('-')) return text.substr(1) == "nan";
  return text.empty() || text == "nan" || text == "na" || text == "n/a";
}

// A number, or nothing for a missing one: such rows are left out with a note.
std::optional<double> number_at(const Csv& table, const CsvRow& row, std::size_t column) {
  const std::string& text = row.cells[column];
  if (is_missing(text)) return std::nullopt;
  double value = 0;
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || stop != text.data() + text.size())
    throw Error(concat(table.file, ":", row.line, ": ", table.columns[column], ": '", text,
                       "' is not a number"),
                ExitCode::bad_input);
  return value;
}

bool held_out_at(const Csv& table, const CsvRow& row, const FitTableOptions& options) {
  if (options.role.empty()) return false;
  const std::string& role = row.cells[table.column(options.role)];
  if (role != "fit" && role != "held_out")
    throw Error(concat(table.file, ":", row.line, ": ", options.role, ": '", role,
                       "' is no role; give fit or held_out"),
                ExitCode::bad_input);
  return role == "held_out";
}

struct Row {
  const CsvRow* row;
  std::vector<double> x;
  double loss;
};

// Rows that options.where takes and whose numbers are all there.
std::vector<Row> rows_of(const Csv& table, const std::vector<std::string>& columns,
                         const FitTableOptions& options, std::vector<std::string>& notes) {
  std::string name, value;
  if (!options.where.empty()) {
    const std::size_t sign = options.where.find('=');
    if (sign == std::string::npos)
      throw Error(concat("'", options.where, "' is no condition; give column=value"),
                  ExitCode::usage);
    name = options.where.substr(0, sign), value = options.where.substr(sign + 1);
  }
  std::vector<Row> rows;
  for (const CsvRow& row : table.rows) {
    if (!name.empty() && row.cells[table.column(name)] != value) continue;
    Row taken{&row, {}, 0};
    bool complete = true;
    for (const std::string& column : columns) {
      const auto found = number_at(table, row, table.column(column));
      complete = complete && found.has_value();
      taken.x.push_back(found.value_or(0));
    }
    const auto loss = number_at(table, row, table.column(options.loss));
    taken.loss = loss.value_or(0);
    if (complete && loss)
      rows.push_back(std::move(taken));
    else
      notes.push_back(concat("line ", row.line, " lacks a number and was left out"));
  }
  return rows;
}

// Among them isoflop, which is no LawKind.
LawKind known_law(const std::string& name) {
  try {
    return law_named(name);
  } catch (const Error& error) {
    throw Error(concat(error.what(), ", or isoflop"), error.code);
  }
}

std::vector<std::string> columns_of(const FitTableOptions& options) {
  std::vector<std::string> given;
  for (const std::string& column : {options.parameters, options.tokens, options.flops})
    if (!column.empty()) given.push_back(column);
  if (options.law == "isoflop") {
    if (options.flops.empty() || options.parameters.empty())
      throw Error("the law isoflop takes the columns --flops and --parameters", ExitCode::usage);
    return {options.flops, options.parameters};
  }
  const Law& form = law(known_law(options.law));
  if (form.variables == 2) {
    if (options.parameters.empty() || options.tokens.empty())
      throw Error(concat("the law ", options.law, " takes the columns --parameters and --tokens"),
                  ExitCode::usage);
    return {options.parameters, options.tokens};
  }
  if (given.size() != 1)
    throw Error(
        concat("the law ", options.law,
               " takes exactly one of --parameters, --tokens and --flops, ",
               "and what it is to predict as --loss, be it a size (--flops c --loss n_star)"),
        ExitCode::usage);
  return given;
}

// Rows of one x are runs of one cell, unless a column says which are: an arm's rows are fitted
// apart from the other's.
std::string cell_at(const std::vector<double>& x) {
  std::string cell;
  for (const double value : x) cell += exact(value) + " ";
  return cell;
}

Objective objective_of(const FitTableOptions& options) {
  if (options.objective.empty())
    return options.law == "isoflop" ? Objective::squared
                                    : default_objective(law_named(options.law));
  if (options.objective == "huber") return Objective::huber_log;
  if (options.objective == "squared_log") return Objective::squared_log;
  if (options.objective == "squared") return Objective::squared;
  throw Error(
      concat("there is no objective '", options.objective, "'; give huber, squared_log or squared"),
      ExitCode::usage);
}

std::string health_text(const std::vector<std::string>& problems, bool bootstrapped) {
  if (problems.empty()) return concat("health      ", health_words(problems, bootstrapped), "\n");
  std::string text = "health      RED: not to be trusted as it stands\n";
  for (const std::string& problem : problems) text += "  - " + problem + "\n";
  return text;
}

std::string range_text(const Interval& range) {
  return range.known() ? fmt::format("   [{:.4g}, {:.4g}]", range.low, range.high) : "";
}

// Predictions come before coefficients, which are nearly collinear.
std::string prediction_text(const Prediction& ahead) {
  std::string text =
      fmt::format("predicts    {:.6g}{}   at ", ahead.value, range_text(ahead.interval));
  if (ahead.x.size() == 1) return text + fmt::format("{:.4g}, twice the largest x\n", ahead.x[0]);
  return text + fmt::format("N {:.4g}, D {:.4g}, twice the largest\n", ahead.x[0], ahead.x[1]);
}

std::string text_of(const Fit& fit) {
  std::string text =
      fmt::format("law         {}\npoints      {}\n", name_of(fit.kind), fit.points.size());
  text += prediction_text(predict_ahead(fit));
  for (std::size_t i = 0; i < fit.coefficients.size(); ++i) {
    text += fmt::format("{:<12}{:.6g}{}\n", law(fit.kind).names[i], fit.coefficients[i],
                        range_text(fit.intervals.empty() ? Interval{} : fit.intervals[i]));
  }
  text += fmt::format("objective   {:.6g}\nworst       {:.3f} % of the loss\n", fit.objective,
                      100 * fit.worst_residual);
  if (law(fit.kind).variables == 2) {
    const double flops = largest_flops(fit);
    const Allocation best = allocate(fit, flops);
    text += fmt::format("optimal     N* {:.4g}, D* {:.4g} at C = {:.3g}; N* ~ C^{:.3f}\n",
                        best.parameters, best.tokens, flops, best.parameters_exponent);
  }
  for (const HeldOut& point : fit.held_out)
    text += fmt::format("held out    {}: {:.6f} predicted, {:.6f} measured, {:+.4f} %\n",
                        point.label, point.predicted, point.measured, 100 * point.error());
  return text + health_text(fit.problems, !fit.replicates.empty());
}

// 0 and infinity stand where draws have their minimum at the edge of the profile.
std::string optimum_range(const Interval& range) {
  if (!range.known()) return "";
  const auto end = [](double value) {
    return value == 0 || std::isinf(value) ? "unbounded" : fmt::format("{:.4g}", value);
  };
  return fmt::format("[{}, {}]", end(range.low), end(range.high));
}

std::string text_of(const IsoflopFit& fit) {
  std::string text = "law         isoflop\n";
  if (std::isfinite(fit.exponent)) {
    const double flops = 2 * fit.budgets.back().flops;
    text += fmt::format("predicts    N* {:.4g}{}   at C = {:.3g}, twice the largest\n",
                        fit.predict(flops), range_text(fit.predict_interval(flops)), flops);
  }
  for (const IsoflopBudget& budget : fit.budgets) {
    const bool fitted = std::isfinite(budget.parameters);
    text += fmt::format("C {:<10.3g}N* {:<12}{:<24}loss {:<10}{}\n", budget.flops,
                        fitted ? fmt::format("{:.5g}", budget.parameters) : "-",
                        optimum_range(budget.interval),
                        fitted ? fmt::format("{:.5f}", budget.loss) : "-",
                        budget.problem.empty() ? "" : "refused: " + budget.problem);
  }
  text += std::isfinite(fit.exponent)
              ? fmt::format("exponent    {:.4f}{}   N* = {:.4g} C^exponent\n", fit.exponent,
                            range_text(fit.interval), fit.coefficient)
              : "exponent    -\n";
  return text + health_text(fit.problems, !fit.replicates.empty());
}

std::string text_of(const JointReport& joint) {
  const JointFit& fit = joint.fit;
  std::string text = fmt::format("law         chinchilla, {} and {} with one E, alpha and beta\n",
                                 joint.first_arm, joint.second_arm);
  const auto add = [&](const std::string& name, double value, const Interval& range) {
    text += fmt::format("{:<12}{:.6g}{}\n", name, value, range_text(range));
  };
  text += prediction_text(fit.ahead[0]) + prediction_text(fit.ahead[1]);
  for (std::size_t i = 0; i < JointFit::names.size(); ++i)
    add(JointFit::names[i], fit.coefficients[i],
        fit.intervals.empty() ? Interval{} : fit.intervals[i]);
  add("A ratio", fit.ratio_a, fit.interval_a), add("B ratio", fit.ratio_b, fit.interval_b);
  text += fmt::format("objective   {:.6g}; alone {:.6g}\nworst       {:.3f} % of the loss\n",
                      fit.objective, fit.separate_objective, 100 * fit.worst_residual);
  if (std::isfinite(fit.p_value))
    text += fmt::format("p           {:.3f}   that one law gives arms as unlike\n", fit.p_value);
  return text + health_text(fit.problems, !fit.intervals.empty());
}

// The two arms' points, that of the first row first.
JointReport fit_arms(const Csv& table, const std::vector<Row>& rows,
                     const std::vector<FitPoint>& points, const FitTableOptions& options,
                     const FitOptions& fit_options) {
  std::vector<std::string> names;
  std::vector<std::vector<FitPoint>> arms;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string& name = rows[i].row->cells[table.column(options.arm)];
    const std::size_t arm =
        std::size_t(std::find(names.begin(), names.end(), name) - names.begin());
    if (arm == names.size()) names.push_back(name), arms.emplace_back();
    arms[arm].push_back(points[i]);
  }
  if (names.size() != 2)
    throw Error(concat(table.file, ": ", options.arm, ": names ", names.size(),
                       " arms, and a joint fit takes two; choose rows with --where, or fit each "
                       "arm alone"),
                ExitCode::bad_input);
  return {names[0], names[1], fit_jointly(arms[0], arms[1], fit_options)};
}

// What a law has no use for is refused, lest a row seem held out that is fitted.
void check_columns(const FitTableOptions& options) {
  if (options.law == "isoflop" && !options.role.empty())
    throw Error(
        "the law isoflop predicts no held-out rows; leave out --role, or choose rows with "
        "--where",
        ExitCode::usage);
  if (options.fit.draws > 0 && options.fit.draws < fewest_draws)
    throw Error(concat("--draws ", options.fit.draws, ": an interval has no ends of so few; give ",
                       fewest_draws, " or more, or 0 for none"),
                ExitCode::usage);
  if (options.nearest && options.law != "isoflop")
    throw Error(concat("--nearest chooses the sizes of an isoflop parabola; --law is ", options.law,
                       ", which has none"),
                ExitCode::usage);
  if (options.arm.empty()) return;
  if (options.law != "chinchilla")
    throw Error(concat("--arm fits two arms under the law chinchilla; --law is ", options.law),
                ExitCode::usage);
  if (!options.role.empty())
    throw Error(
        "--arm predicts no held-out rows; leave out --role, or fit each arm alone with "
        "--where",
        ExitCode::usage);
}

}  // namespace

bool FitTableResult::healthy() const {
  return joint ? joint->fit.healthy() : fit ? fit->healthy() : isoflop->healthy();
}

std::string FitTableResult::text() const {
  std::string words = joint ? text_of(*joint) : fit ? text_of(*fit) : text_of(*isoflop);
  for (const std::string& note : notes) words += "note        " + note + "\n";
  return words;
}

std::string FitTableResult::json() const { return render_fit_json(*this); }

FitTableResult fit_table(const std::filesystem::path& path, const FitTableOptions& options) {
  const std::vector<std::string> columns = columns_of(options);
  const Objective objective = objective_of(options);
  check_columns(options);
  const Csv table = read_csv(path);
  FitTableResult result{options.law, {}, {}, {}, {}};
  const std::vector<Row> rows = rows_of(table, columns, options, result.notes);
  if (options.law == "isoflop") {
    std::vector<IsoflopPoint> points;
    for (const Row& row : rows) points.push_back({row.x[0], row.x[1], row.loss});
    if (const double spread = merge_budgets(points); spread > 0)
      result.notes.push_back(
          fmt::format("FLOPs within {:.0f} % of the cheapest row's are one budget, at their "
                      "geometric mean; rows of one differ by up to {:.2g} %",
                      100 * same_budget, 100 * spread));
    const std::size_t nearest = options.nearest.value_or(IsoflopOptions{}.nearest);
    result.isoflop = fit_isoflop(points, {nearest, options.fit});
    return result;
  }
  std::vector<FitPoint> points;
  for (const Row& row : rows) {
    const auto cell_of = [&](const std::string& column) {
      return row.row->cells[table.column(column)];
    };
    points.push_back(
        {options.label.empty() ? concat("line ", row.row->line) : cell_of(options.label),
         options.cell.empty() ? cell_at(row.x) : cell_of(options.cell), row.x, row.loss,
         held_out_at(table, *row.row, options)});
  }
  FitOptions fit_options = options.fit;
  fit_options.objective = objective;
  if (options.arm.empty()) {
    result.fit = fit_law(law_named(options.law), points, fit_options);
    if (!result.fit->no_influence.empty()) result.notes.push_back(result.fit->no_influence);
  } else
    result.joint = fit_arms(table, rows, points, options, fit_options);
  return result;
}

}  // namespace metascale
