// Options of sbatch that people write as `launch.slurm.lines`.
#pragma once

#include <optional>
#include <string>

namespace metascale {

// An option as one word, as it is handed over: without blanks at its ends, and "--name value" and
// "-n value" as "--name=value" and "-nvalue". A value keeps the blanks in it.
std::string one_word(const std::string& line);

// What to write instead of a line that is another option for sbatch than is meant; nothing: it is
// not.
std::optional<std::string> mended_option(const std::string& line);

// The following take what one_word gives.

bool looks_like_option(const std::string& word);
// Whether it says what submit tells sbatch, or hides the job from us; then what to write instead.
std::optional<std::string> own_option_in(const std::string& word);
// Whether it is --time, which submit tells sbatch where a job has a time of its own.
bool is_time_limit(const std::string& word);

}  // namespace metascale
