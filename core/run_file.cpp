#include "core/run_file.hpp"

#include <algorithm>
#include <string_view>
#include <type_traits>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "core/run_file/columns.hpp"
#include "core/seal.hpp"

namespace metascale {
namespace {

constexpr std::string_view hdf5_signature = "\x89HDF\r\n\x1a\n";
constexpr const char* group_names[] = {"/steps",
                                       "/evaluations",
                                       "/evaluations/domains",
                                       "/evaluations/positions",
                                       "/evaluations/segments",
                                       "/events",
                                       "/facts",
                                       "/environment"};
constexpr const char* probe_group = "/evaluations/probes";

bool has_probes(const RunLog& log) {
  return std::any_of(log.evaluations.begin(), log.evaluations.end(),
                     [](const Evaluation& evaluation) { return !evaluation.probes.empty(); });
}

// bool has no type of its own in HDF5 that every reader knows.
template <typename T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;

template <typename Row, typename T>
void write_one(Hdf5Writer& file, const std::string& name, const std::vector<Row>& rows,
               const Column<Row, T>& column) {
  std::vector<Stored<T>> values;
  values.reserve(rows.size());
  for (const Row& row : rows) values.push_back(Stored<T>(row.*column.member));
  if constexpr (std::is_same_v<T, std::string>)
    file.write_strings(name, values);
  else
    file.write(name, values);
  file.attribute(name, "unit", std::string(column.unit));
  file.attribute(name, "deterministic", std::int64_t(column.deterministic));
  file.attribute(name, "description", std::string(column.about));
}

template <typename Row, typename Columns>
void write_table(Hdf5Writer& file, const std::string& group, const std::vector<Row>& rows,
                 const Columns& columns) {
  for_each_column(columns, [&](const auto& column) {
    write_one(file, group + "/" + column.name, rows, column);
  });
}

// Rows that belong to an evaluation: one table for all, with the evaluation's row number beside.
template <typename Row, typename Columns>
void write_parts(Hdf5Writer& file, const std::string& group, const RunLog& log,
                 std::vector<Row> Evaluation::*part, const Columns& columns) {
  std::vector<Row> rows;
  std::vector<std::int64_t> owners;
  for (std::size_t i = 0; i < log.evaluations.size(); ++i) {
    const std::vector<Row>& own = log.evaluations[i].*part;
    rows.insert(rows.end(), own.begin(), own.end());
    owners.insert(owners.end(), own.size(), std::int64_t(i));
  }
  const std::string name = group + "/evaluation";
  file.write(name, owners);
  file.attribute(name, "unit", std::string("1"));
  file.attribute(name, "deterministic", std::int64_t(1));
  file.attribute(name, "description",
                 std::string("row of /evaluations that it belongs to, from 0"));
  write_table(file, group, rows, columns);
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(concat(path.string(), ": ", what,
                     "; rebuild it from the run's journal with 'metascale repair'"),
              ExitCode::bad_input);
}

class TableReader {
 public:
  TableReader(const Hdf5Reader& file, const std::filesystem::path& path)
      : file_(file), path_(path) {}

  template <typename Row, typename Columns>
  std::vector<Row> read(const std::string& group, const Columns& columns) const {
    std::vector<Row> rows;
    bool first = true;
    for_each_column(columns, [&](const auto& column) {
      const std::string name = group + "/" + column.name;
      fill(rows, name, column, first);
      first = false;
    });
    return rows;
  }

  std::vector<std::int64_t> owners(const std::string& group, std::size_t rows,
                                   std::size_t evaluations) const {
    const std::string name = group + "/evaluation";
    auto owners = file_.read<std::int64_t>(name);
    expect_rows(name, owners.size(), rows);
    for (std::size_t i = 0; i < owners.size(); ++i)
      if (owners[i] < (i ? owners[i - 1] : 0) || std::size_t(owners[i]) >= evaluations)
        refuse(path_, concat(name, " is ", owners[i], " in row ", i, ", but there are ",
                             evaluations, " evaluations, in order"));
    return owners;
  }

 private:
  void expect_rows(const std::string& name, std::size_t rows, std::size_t expected) const {
    if (rows != expected)
      refuse(path_,
             concat(name, " has ", rows, " rows, but the columns beside it have ", expected));
  }

  template <typename Row, typename T>
  void fill(std::vector<Row>& rows, const std::string& name, const Column<Row, T>& column,
            bool first) const {
    std::vector<Stored<T>> values;
    if constexpr (std::is_same_v<T, std::string>)
      values = file_.read_strings(name);
    else
      values = file_.read<Stored<T>>(name);
    if (first) rows.resize(values.size());
    expect_rows(name, values.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].*column.member = T(values[i]);
  }

  const Hdf5Reader& file_;
  const std::filesystem::path& path_;
};

template <typename Row, typename Columns>
void read_parts(const TableReader& tables, const std::string& group, RunLog& log,
                std::vector<Row> Evaluation::*part, const Columns& columns) {
  const std::vector<Row> rows = tables.read<Row>(group, columns);
  const auto owners = tables.owners(group, rows.size(), log.evaluations.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    (log.evaluations[std::size_t(owners[i])].*part).push_back(rows[i]);
}

void check_order(const std::filesystem::path& path, const RunLog& log) {
  for (std::size_t i = 0; i < log.steps.size(); ++i)
    if (log.steps[i].step <= (i ? log.steps[i - 1].step : 0))
      refuse(path, concat("/steps/step is ", log.steps[i].step, " in row ", i,
                          "; steps start at 1 and increase"));
  for (const Evaluation& evaluation : log.evaluations)
    for (const SegmentRow& segment : evaluation.segments)
      if (segment.domain < 0 || std::size_t(segment.domain) >= evaluation.domains.size())
        refuse(path, concat("/evaluations/segments/domain is ", segment.domain, " where there are ",
                            evaluation.domains.size(), " domains"));
}

std::map<std::string, std::string> read_words(const Hdf5Reader& file, const std::string& group) {
  std::map<std::string, std::string> words;
  for (const std::string& name : file.attributes(group))
    words[name] = file.attribute_string(group, name);
  return words;
}

void write_words(Hdf5Writer& file, const std::string& group,
                 const std::map<std::string, std::string>& words) {
  for (const auto& [name, value] : words) file.attribute(group, name, value);
}

std::string to_bytes(const std::filesystem::path& path, const RunLog& log) {
  Hdf5Writer file(path.string());
  file.attribute("/", "schema", std::int64_t(log.schema));
  file.attribute("/", "program", std::string("metascale"));
  file.attribute("/", "run_id", log.run_id);
  file.write_string("/configuration", log.configuration);
  for (const char* group : group_names) file.create_group(group);
  write_words(file, "/facts", log.facts);
  write_words(file, "/environment", log.environment);
  write_table(file, "/steps", log.steps, step_columns);
  write_table(file, "/evaluations", log.evaluations, evaluation_columns);
  write_parts(file, "/evaluations/domains", log, &Evaluation::domains, domain_columns);
  write_parts(file, "/evaluations/positions", log, &Evaluation::positions, position_columns);
  write_parts(file, "/evaluations/segments", log, &Evaluation::segments, segment_columns);
  write_table(file, "/events", log.events, event_columns);
  if (has_probes(log)) {  // logs of texts are as they were before there were probes
    file.create_group(probe_group);
    write_parts(file, probe_group, log, &Evaluation::probes, probe_columns);
    file.attribute("/", "probes", std::int64_t(1));
  }
  return file.finish();
}

}  // namespace

void write_run_file(const std::filesystem::path& path, const RunLog& log) {
  std::string bytes = to_bytes(path, log);
  append_seal(bytes);
  write_file_atomically(path, bytes);
}

RunLog read_run_file(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, Hdf5Reader::max_file_bytes, Links::refuse);
  std::string_view content = bytes;
  // HDF5 1.10 can crash on damaged files, so it gets to see only bytes that are as they were
  // written.
  if (take_seal(content, path) == Seal::absent)
    refuse(path,
           content.substr(0, hdf5_signature.size()) == hdf5_signature
               ? "its last bytes, the seal, are missing: it was cut, or changed by another tool"
               : "this is no HDF5 file");
  const Hdf5Reader file(path, content);
  if (!file.has_attribute("/", "schema") || !file.has_attribute("/", "run_id"))
    refuse(path,
           "an HDF5 file, but not the log of a run: it has no attribute 'schema' or 'run_id'");
  const std::int64_t schema = file.attribute_int("/", "schema");
  if (schema != run_file_schema)
    throw Error(concat(path.string(), ": written in schema ", schema, ", but this program reads ",
                       run_file_schema, "; use the metascale that wrote it"),
                ExitCode::bad_input);
  RunLog log;
  log.run_id = file.attribute_string("/", "run_id");
  log.configuration = file.read_string("/configuration");
  log.facts = read_words(file, "/facts");
  log.environment = read_words(file, "/environment");
  const TableReader tables(file, path);
  log.steps = tables.read<StepRow>("/steps", step_columns);
  log.evaluations = tables.read<Evaluation>("/evaluations", evaluation_columns);
  read_parts(tables, "/evaluations/domains", log, &Evaluation::domains, domain_columns);
  read_parts(tables, "/evaluations/positions", log, &Evaluation::positions, position_columns);
  read_parts(tables, "/evaluations/segments", log, &Evaluation::segments, segment_columns);
  log.events = tables.read<Event>("/events", event_columns);
  if (file.has_attribute("/", "probes"))
    read_parts(tables, probe_group, log, &Evaluation::probes, probe_columns);
  check_order(path, log);
  return log;
}

}  // namespace metascale
