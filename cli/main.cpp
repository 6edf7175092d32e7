// metascale: one program, many verbs.
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <new>
#include <string_view>
#include <system_error>

#include "cli/command.hpp"
#include "core/build_info.hpp"
#include "core/openmp_wait.hpp"
#include "core/terminal.hpp"

using namespace metascale;

namespace {

// Verbs that compute for long on several threads, or start such; doctor tells how these wait.
bool is_long(int argc, char** argv) {
  constexpr std::string_view verbs[] = {"run",   "train",    "bench", "eval",
                                        "probe", "generate", "doctor"};
  return argc > 1 && std::find(std::begin(verbs), std::end(verbs), argv[1]) != std::end(verbs);
}

bool is_training(int argc, char** argv) {
  constexpr std::string_view verbs[] = {"run", "train", "launch", "bench"};
  return argc > 1 && std::find(std::begin(verbs), std::end(verbs), argv[1]) != std::end(verbs);
}

int call(int argc, char** argv) {
  CLI::App app(
      "metascale: matched language-model pretraining experiments, and which architecture "
      "scales better");
  app.set_version_flag("--version", "metascale " + build_info().at("version") + " (" +
                                        build_info().at("commit") + ")");
  app.require_subcommand(1);
  app.footer("Start with: metascale run sweeps/quick.yaml");
  Action action;
  for (const auto add :
       {add_sweep_verbs, add_status_verb, add_batch_verbs, add_train_verbs, add_data_verbs,
        add_analysis_verbs, add_bench_verbs, add_eval_verb, add_probe_verb, add_doctor_verb,
        add_grow_verb, add_exchange_verbs, add_generate_verb, add_show_verb})
    add(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : int(ExitCode::usage);
  }
  return int(action());
}

int complain(ExitCode code, const char* what, const char* before = "metascale: ") {
  print_printable_line(stderr, before, what);  // unlike fmt's, throws nothing; may quote a file
  return int(code);
}

// Of what a verb printed and a full disk did not take, nothing else tells.
int complain_of_stdout(int error_number) {
  const std::string why =
      error_number ? ": " + std::generic_category().message(error_number) : std::string();
  const std::string text =
      concat("standard output: cannot be written", why,
             "; what was printed is not whole: free some space, or send it elsewhere");
  return complain(ExitCode::io, text.c_str());
}

// A verb's own failure counts more than the loss of what it said about it.
int with_flushed_stdout(int code) {
  const int failed = std::fflush(stdout) != 0 ? errno : 0;
  if (!failed && !std::ferror(stdout)) return code;
  const int lost = complain_of_stdout(failed);
  return code == 0 ? lost : code;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error of a write, as a full disk is
  try {
    if (is_long(argc, argv)) shorten_openmp_waits(argv);
    return with_flushed_stdout(call(argc, argv));
  } catch (const Error& error) {
    return complain(error.code, error.what());
  } catch (const std::bad_alloc&) {
    return complain(
        ExitCode::run_failed,
        is_training(argc, argv)
            ? "out of memory; lower training.micro_batch, or set training.recompute: block"
            : "out of memory; give it less at once, or a machine with more");
  } catch (const std::system_error& error) {  // fmt's, of a print, or the file system's
    if (std::ferror(stdout)) return complain_of_stdout(error.code().value());
    return complain(ExitCode::internal, error.what(), "metascale: internal error: ");
  } catch (const std::exception& error) {
    return complain(ExitCode::internal, error.what(), "metascale: internal error: ");
  }
}
