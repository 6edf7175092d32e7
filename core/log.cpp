#include "core/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <vector>

#include "core/error.hpp"
#include "core/terminal.hpp"

namespace metascale {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::sink_ptr file_sink(const std::filesystem::path& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
    sink->set_level(spdlog::level::debug);
    return sink;
  } catch (const spdlog::spdlog_ex& error) {
    throw Error(
        concat(path.string(), ": ", error.what(), "; its folder must exist and be writable"),
        ExitCode::io);
  }
}

}  // namespace

void start_logging(const LogOptions& options) {
  const auto colours =
      wants_colour(stderr) ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto screen = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colours);
  screen->set_level(to_spdlog(options.level));
  screen->set_pattern("%^%l%$: %v");
  std::vector<spdlog::sink_ptr> sinks = {screen};
  if (!options.file.empty()) sinks.push_back(file_sink(options.file));
  auto logger = std::make_shared<spdlog::logger>("metascale", sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

void stop_logging() { spdlog::default_logger()->flush(); }

void log_message(LogLevel level, const std::string& message) {
  spdlog::default_logger()->log(to_spdlog(level), "{}", message);
}

}  // namespace metascale
