// metascale doctor: what this machine has and lacks.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/command.hpp"
#include "core/build_info.hpp"
#include "core/units.hpp"
#include "kernels/gpu.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

struct DoctorVerb {
  bool json = false;
};
struct Finding {
  std::string what, found, remedy;  // remedy: empty where nothing is missing
};

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string folders = path ? path : "";
  for (std::size_t begin = 0; begin <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    std::error_code error;
    if (fs::is_regular_file(fs::path(folders.substr(begin, end - begin)) / program, error))
      return true;
    begin = end + 1;
  }
  return false;
}

std::string vector_units() {
#if defined(__x86_64__)
  std::string found;
  if (__builtin_cpu_supports("avx2")) found += "AVX2 ";
  if (__builtin_cpu_supports("avx512f")) found += "AVX-512 ";
  if (__builtin_cpu_supports("avx512bf16")) found += "AVX512_BF16 ";
  return found.empty() ? "none beyond SSE2" : found;
#else
  return "not x86: the portable code runs";
#endif
}

std::string openmp_waits() {  // [core/openmp_wait.hpp]
  std::string found;
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"})
    if (const char* value = std::getenv(name))
      found += fmt::format("{}{}={}", found.empty() ? "" : " ", name, value);
  return found.empty() ? "as OpenMP's library does" : found;
}

std::vector<Finding> examine() {
  std::vector<Finding> findings;
  findings.push_back({"cores", fmt::format("{}", std::thread::hardware_concurrency()), ""});
  findings.push_back({"vector units", vector_units(), ""});
  findings.push_back({"OpenMP waits", openmp_waits(), ""});
  std::error_code error;
  const auto space = fs::space(fs::current_path(), error);
  findings.push_back(
      {"free disk here", error ? "unknown" : format_bytes(double(space.available)), ""});
  findings.push_back({"CUDA", cuda::is_linked() ? "built in" : "not built in",
                      cuda::is_linked() ? "" : "runs on the CPU only"});
  const struct {
    const char *program, *used_for;
  } tools[] = {{"gnuplot", "figures"},
               {"python3", "data corpus"},
               {"zstd", "data corpus"},
               {"apt-get", "data corpus"},
               {"dpkg-deb", "data corpus"}};
  for (const auto& tool : tools)
    findings.push_back({tool.program, on_path(tool.program) ? "found" : "missing",
                        on_path(tool.program) ? "" : fmt::format("needed for {}", tool.used_for)});
  for (const auto& [key, value] : build_info()) findings.push_back({key, value, ""});
  return findings;
}

ExitCode run_doctor(const DoctorVerb& verb) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& finding : examine()) {
    rows.push_back({{"what", finding.what}, {"found", finding.found}, {"remedy", finding.remedy}});
    if (!verb.json) fmt::print("{:<18} {:<28} {}\n", finding.what, finding.found, finding.remedy);
  }
  if (verb.json) fmt::print("{}\n", rows.dump(2));
  return ExitCode::good;
}

}  // namespace

void add_doctor_verb(CLI::App& app, Action& action) {
  const auto options = std::make_shared<DoctorVerb>();
  add_verb(app, action, "doctor", "what this machine has and lacks", "metascale doctor", options,
           run_doctor)
      ->add_flag("--json", options->json, "for machines");
}

}  // namespace metascale
