// Scripts of batch jobs. Every text from a sweep file or a path is quoted for who reads it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sweeps/submission.hpp"

namespace metascale {

// The whole script of an array, a task for each element. Paths in it are absolute.
std::string slurm_script(const Submission& submission, const std::filesystem::path& folder);
// What sbatch is told as arguments, too, which go before lines of the script and variables of the
// environment: without these a job would not be found again, or not come back.
std::vector<std::string> own_options(const Submission& submission);
// Whether an option of sbatch in `lines` says what own_options say, or hides the job from us; then
// what to write instead.
std::optional<std::string> own_option_in(const std::string& line);
// Whether it is sbatch's --time, which own_options say where a job has a time of its own.
bool is_time_limit(const std::string& line);
// The script of one job: `lines` at its head, then as above.
std::string template_script(const Submission& submission, const std::filesystem::path& folder,
                            std::size_t task);

// What stands before `metascale train RUN` in the job: of several ranks srun, or the template's
// launcher; then the container's words.
std::vector<std::string> launcher_words(const Submission& submission);

// Fills in {script}, {job}, {name}, {folder}, {hours} (HH:MM:SS), {minutes}, {gpus}, {cpus},
// {ranks}, {nodes} and {memory}; {{ is a brace. Throws Error{usage} for any other.
struct Holes {
  std::string script, job, name;
};
// The first "{...}" that stands for nothing; empty: there is none.
std::string unknown_hole(const std::string& text);
std::string known_holes();  // "{script} {job} ..."
// Of one job of a submission without arrays; unique.
std::string job_name(const Submission& submission, std::size_t task);
std::string filled(const std::string& text, const Submission& submission,
                   const std::filesystem::path& folder, const Holes& holes);

}  // namespace metascale
