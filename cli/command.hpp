// The verbs of the program. Each lives in cli/<verb>.cpp: it declares its options, calls one room,
// prints.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "core/error.hpp"

namespace metascale {

// What main does once the command line is read.
using Action = std::function<ExitCode()>;

void add_sweep_verbs(CLI::App& app, Action& action);     // check plan run logs
void add_status_verb(CLI::App& app, Action& action);     // status
void add_batch_verbs(CLI::App& app, Action& action);     // submit launch retry cancel
void add_train_verbs(CLI::App& app, Action& action);     // train repair
void add_data_verbs(CLI::App& app, Action& action);      // data inspect|verify|convert and the next
void add_prepare_verbs(CLI::App& data, Action& action);  // data corpus|prepare
void add_encode_verbs(CLI::App& data, Action& action);   // data encode|decode
void add_analysis_verbs(CLI::App& app, Action& action);  // report compare fit
void add_bench_verbs(CLI::App& app, Action& action);     // bench
void add_grow_verb(CLI::App& app, Action& action);       // grow
void add_exchange_verbs(CLI::App& app, Action& action);  // export import
void add_generate_verb(CLI::App& app, Action& action);   // generate
void add_show_verb(CLI::App& app, Action& action);       // show
void add_eval_verb(CLI::App& app, Action& action);       // eval
void add_probe_verb(CLI::App& app, Action& action);      // probe
void add_doctor_verb(CLI::App& app, Action& action);     // doctor

// A verb with its help, an example under it, and its action.
template <typename Options>
CLI::App* add_verb(CLI::App& parent, Action& action, const char* name, const char* what,
                   const char* example, std::shared_ptr<Options> options,
                   ExitCode (*run)(const Options&)) {
  CLI::App* verb = parent.add_subcommand(name, what);
  verb->footer(std::string("Example:\n  ") + example);
  verb->callback([&action, options, run] { action = [options, run] { return run(*options); }; });
  return verb;
}

}  // namespace metascale
