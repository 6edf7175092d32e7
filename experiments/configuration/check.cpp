#include "experiments/configuration/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <tuple>

#include "core/yaml.hpp"
#include "experiments/lineage.hpp"
#include "experiments/plan.hpp"
#include "kernels/wkv7.hpp"

namespace metascale {
namespace {

constexpr std::int64_t most_channels = 1 << 22;  // so that no count of parameters overflows

struct Check {
  const YamlNode& root;

  // `at`: "training.batch_tokens"; the error stands at its line, or at the file's first.
  void that(bool good, std::string_view at, const std::string& wrong,
            const std::string& right) const {
    if (good) return;
    const YamlNode* node = &root;
    for (std::size_t begin = 0; node && begin <= at.size();) {
      const std::size_t end = std::min(at.find('.', begin), at.size());
      node = node->find(at.substr(begin, end - begin));
      begin = end + 1;
    }
    YamlNode place;
    place.where = node ? (node->key_where.line ? node->key_where : node->where) : root.where;
    place.path = std::string(at);
    throw yaml_error(place, wrong, right);
  }
};

bool is_file_name(const std::string& text) {
  if (text.size() > 200 || text.starts_with('.')) return false;
  for (const char c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) &&
        std::string_view("._-").find(c) == std::string_view::npos)
      return false;
  return true;
}

void check_model(const Check& check, const ModelConfig& model) {
  check.that(model.width % model.head_size == 0, "model.head_size",
             fmt::format("head_size {} does not divide width {}", model.head_size, model.width),
             "choose a head size that divides the width");
  check.that(model.architecture != Architecture::transformer_pp || model.head_size % 2 == 0,
             "model.head_size", fmt::format("{} is odd", model.head_size),
             "channels of a head are turned in pairs: choose an even head size");
  check.that(!is_recurrent(model) || model.head_size <= wkv7_max_head, "model.head_size",
             fmt::format("{} is too large", model.head_size),
             fmt::format("the time mix has heads of at most {} channels", wkv7_max_head));
  check.that(model.heads * model.head_size <= most_channels, "model.heads",
             fmt::format("{} heads of {} are too many", model.heads, model.head_size),
             fmt::format("they may have {} channels together", most_channels));
}

void check_training(const Check& check, const TrainingConfig& training) {
  check.that(
      training.batch_tokens % training.context == 0, "training.batch_tokens",
      fmt::format("{} is no multiple of context {}", training.batch_tokens, training.context),
      fmt::format("write {}", std::max<std::int64_t>(1, training.batch_tokens / training.context) *
                                  training.context));
  const std::int64_t windows = training.batch_tokens / training.context;
  check.that(
      windows % training.micro_batch == 0, "training.micro_batch",
      fmt::format("{} does not divide the {} windows of a batch", training.micro_batch, windows),
      "choose a divisor of batch_tokens / context");
  const ScheduleConfig& schedule = training.schedule;
  check.that(schedule.warmup_steps <= training.steps, "training.schedule.warmup_steps",
             fmt::format("{} of {} steps", schedule.warmup_steps, training.steps),
             "a run cannot warm up for longer than it lasts");
  check.that(schedule.decay_steps == 0 || schedule.kind == ScheduleKind::wsd,
             "training.schedule.decay_steps",
             fmt::format("a {} schedule has no decay phase of its own", name_of(schedule.kind)),
             "write 0, or kind: wsd");
  check.that(schedule.first_step + schedule.warmup_steps + schedule.decay_steps <= training.steps,
             "training.schedule.decay_steps",
             fmt::format("{} warm-up and {} decay steps in {}", schedule.warmup_steps,
                         schedule.decay_steps, training.steps - schedule.first_step),
             "shorten one of them");
  check.that(training.optimizer.final_learning_rate <= training.optimizer.learning_rate,
             "training.optimizer.final_learning_rate",
             fmt::format("{} is above the peak {}", training.optimizer.final_learning_rate,
                         training.optimizer.learning_rate),
             "the rate decays: write at most the peak");
}

void check_probe(const Check& check, const RunConfig& run) {
  const ProbeSettings& probe = run.data.probe;
  if (!probe.exists()) return;
  check.that(run.data.train.empty() && run.data.validation.empty() && run.data.test.empty(),
             "data.train", "a probe makes its data itself", "name token files, or a probe");
  check.that(run.model.vocabulary >= vocabulary_of(probe), "model.vocabulary",
             fmt::format("{} ids are too few for the probe {}", run.model.vocabulary,
                         name_of(probe.config.task)),
             fmt::format("write {} or more", vocabulary_of(probe)));
  try {
    check_lengths(probe, run.training.context);
  } catch (const Error& error) {
    const Location& where = check.root.find("data")->find("probe")->where;
    throw Error(fmt::format("{}:{}: data.probe: {}", where.file, where.line, error.what()),
                error.code);
  }
}

}  // namespace

void check_run(const YamlNode& root, const RunConfig& run) {
  const Check check{root};
  for (const auto& [key, text] : {std::pair<const char*, const std::string&>{"id", run.id},
                                  {"sweep", run.sweep},
                                  {"arm", run.arm},
                                  {"size", run.size},
                                  {"length", run.length},
                                  {"parent.run", run.parent.run}})
    check.that(is_file_name(text), key, fmt::format("'{}' cannot be part of a file name", text),
               "use letters, digits, '.', '_' and '-'");
  check.that(run.device != Device::plan, "device", "a run cannot be trained on 'plan'",
             "write cpu or cuda");
  check_model(check, run.model);
  check_training(check, run.training);
  check_probe(check, run);
  for (const std::int64_t step : run.log.checkpoint_at)
    check.that(step <= run.training.steps, "log.checkpoint_at",
               fmt::format("step {} of {}", step, run.training.steps), "name steps of this run");
  check.that(run.parent.run.empty() == (run.parent.step == 0) || grows_from_parent(run), "parent",
             "a parent has both a run and a step", "give run and step, or neither");
  for (std::size_t i = 0; i < run.lineage.size(); ++i) {
    const auto& [name, step] = std::tie(run.lineage[i].run, run.lineage[i].step);
    check.that(  // only an import is an ancestor that no step was made in
        is_file_name(name) && step > (i ? run.lineage[i - 1].step : -1) &&
            step < run.training.steps,
        "lineage", fmt::format("ancestor {} '{}' ends at step {}", i, name, step),
        fmt::format("name run ids, with steps that rise and stay below {}", run.training.steps));
  }
}

}  // namespace metascale
