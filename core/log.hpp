// Messages of the main programs: to stderr and, with times, to a file. Rooms below cli print
// nothing; what happens in them comes out as results, errors and events of the run's log.
#pragma once

#include <filesystem>
#include <string>

namespace metascale {

enum class LogLevel { debug, info, warning, error };

struct LogOptions {
  LogLevel level = LogLevel::info;  // what goes to stderr; the file gets everything
  std::filesystem::path file;       // appended to; empty: none
};

// Call once, at the start of main. Throws Error{io} if the file cannot be opened. Colours are used
// on a terminal where NO_COLOR is not set.
void start_logging(const LogOptions& options);
void stop_logging();  // flushes

void log_message(LogLevel level, const std::string& message);
inline void log_info(const std::string& message) { log_message(LogLevel::info, message); }
inline void log_warning(const std::string& message) { log_message(LogLevel::warning, message); }
inline void log_error(const std::string& message) { log_message(LogLevel::error, message); }

}  // namespace metascale
