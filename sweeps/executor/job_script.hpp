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
// All that sbatch is told, in the script's lines and as arguments, too: these go before variables
// of the environment, by which a job might run elsewhere, not be found again, or not come back.
std::vector<std::string> sbatch_options(const Submission& submission,
                                        const std::filesystem::path& folder);
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
