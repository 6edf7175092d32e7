// config.yaml, both ways. One list of fields per structure serves the reader and the writer, so
// that what is written is what is read.
#include "experiments/config.hpp"

#include <fmt/format.h>

#include <cctype>
#include <concepts>
#include <nlohmann/json.hpp>
#include <tuple>

#include "data/mixture.hpp"
#include "experiments/config_tables.hpp"

namespace metascale {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();
constexpr Named<Device> device_names[] = {
    {"cpu", Device::cpu}, {"cuda", Device::cuda}, {"plan", Device::plan}};

// Reads one map. A key may be absent where the default of its field is a valid value.
class Reader {
 public:
  explicit Reader(YamlMap& map) : map_(map) {}

  void integer(const char* key, std::int64_t& value, std::int64_t least = 0,
               std::int64_t most = no_limit) {
    if (const YamlNode* node = find(key, value < least)) value = read_integer(*node, least, most);
  }
  void number(const char* key, double& value, double least, double most) {
    if (const YamlNode* node = find(key, value < least)) value = read_number(*node, least, most);
  }
  void seed(const char* key, std::uint64_t& value) { map_.read(key, value, read_unsigned); }
  void flag(const char* key, bool& value) { map_.read(key, value, read_bool); }
  void late_flag(const char* key, bool& value) { flag(key, value); }
  void probe(const char* key, ProbeSettings& value) {
    map_.read(key, value, [](const YamlNode& node) { return read_probe(node); });
  }
  void text(const char* key, std::string& value) { map_.read(key, value, read_string); }
  void path(const char* key, std::filesystem::path& value) { map_.read(key, value, read_string); }
  template <typename Enum, std::size_t Count>
  void choice(const char* key, Enum& value, const Named<Enum> (&table)[Count]) {
    map_.read(key, value, [&](const YamlNode& node) { return read_choice(node, table); });
  }
  template <std::size_t Count>
  void word(const char* key, std::string& value, const Named<Word> (&table)[Count]) {
    map_.read(key, value, [&](const YamlNode& node) { return read_word(node, table); });
  }
  void integers(const char* key, std::vector<std::int64_t>& value, std::int64_t least) {
    map_.read(key, value, [least](const YamlNode& node) {
      return read_list_of(node, [least](const YamlNode& item) { return read_integer(item, least); });
    });
  }
  void mixture(const char* key, std::string& value) { map_.read(key, value, read_mixture); }
  void words(const char* key, std::map<std::string, std::string>& value) {
    const YamlNode* node = map_.find(key);
    if (!node) return;
    const YamlMap is_map(*node);
    for (std::size_t i = 0; i < node->keys.size(); ++i)
      value[node->keys[i]] = read_string(node->items[i]);
  }
  template <typename Item, typename Body>
  void list(const char* key, std::vector<Item>& value, Body&& body) {
    const YamlNode* node = map_.find(key);
    if (!node) return;
    for (const YamlNode& item : read_list(*node))
      read_map(item, [&](YamlMap& map) {
        Reader inner(map);
        body(inner, value.emplace_back());
      });
  }
  template <typename Body>
  void group(const char* key, Body&& body) {
    const YamlNode* node = map_.find(key);
    YamlNode empty;
    empty.kind = YamlNode::Kind::map;
    if (!node) {
      empty.path = key;
      empty.where = map_.node().where;
    }
    read_map(node ? *node : empty, [&](YamlMap& map) {
      Reader inner(map);
      body(inner);
    });
  }

 private:
  const YamlNode* find(const char* key, bool required) {
    return required ? &map_.at(key) : map_.find(key);
  }
  YamlMap& map_;
};

class Writer {
 public:
  explicit Writer(std::string& out, int indent = 0) : out_(out), indent_(indent) {}

  void integer(const char* key, std::int64_t value, std::int64_t = 0, std::int64_t = 0) {
    line(key, fmt::format("{}", value));
  }
  void number(const char* key, double value, double, double) { line(key, yaml_number(value)); }
  void seed(const char* key, std::uint64_t value) { line(key, fmt::format("{}", value)); }
  void flag(const char* key, bool value) { line(key, value ? "true" : "false"); }
  // What came later is left out where it is not set: configurations of before stay as they are.
  void late_flag(const char* key, bool value) {
    if (value) flag(key, value);
  }
  void probe(const char* key, const ProbeSettings& value) {
    if (value.exists()) line(key, to_flow_yaml(value));
  }
  void text(const char* key, const std::string& value) { line(key, yaml_string(value)); }
  void path(const char* key, const std::filesystem::path& value) {
    line(key, yaml_string(value.string()));
  }
  template <typename Enum, std::size_t Count>
  void choice(const char* key, Enum value, const Named<Enum> (&table)[Count]) {
    line(key, name_in(table, value));
  }
  template <std::size_t Count>
  void word(const char* key, const std::string& value, const Named<Word> (&)[Count]) {
    text(key, value);
  }
  void integers(const char* key, const std::vector<std::int64_t>& value, std::int64_t) {
    line(key, fmt::format("[{}]", fmt::join(value, ", ")));
  }
  void mixture(const char* key, const std::string& value) { text(key, value); }
  void words(const char* key, const std::map<std::string, std::string>& value) {
    line(key, value.empty() ? "{}" : "");
    Writer inner(out_, indent_ + 2);
    for (const auto& [name, word] : value) inner.text(yaml_string(name).c_str(), word);
  }
  template <typename Item, typename Body>
  void list(const char* key, const std::vector<Item>& value, Body&& body) {
    line(key, value.empty() ? "[]" : "");
    for (const Item& item : value) {
      Writer inner(out_, indent_ + 4);
      inner.starts_item_ = true;
      body(inner, item);
    }
  }
  template <typename Body>
  void group(const char* key, Body&& body) {
    line(key, "");
    Writer inner(out_, indent_ + 2);
    body(inner);
  }

 private:
  void line(const char* key, const std::string& value) {
    const std::size_t blanks = std::size_t(indent_) - (starts_item_ ? 2 : 0);
    out_.append(blanks, ' ').append(starts_item_ ? "- " : "").append(key);
    out_.append(value.empty() ? ":" : ": ").append(value).append("\n");
    starts_item_ = false;
  }
  std::string& out_;
  int indent_;
  bool starts_item_ = false;  // of a list
};

// Same: the structure, const for the writer.
template <typename T, typename Same>
concept Of = std::same_as<std::remove_const_t<T>, Same>;

void fields(auto& as, Of<ModelConfig> auto& model) {
  as.choice("architecture", model.architecture, architecture_names);
  as.integer("layers", model.layers, 1, 1000);
  as.integer("width", model.width, 1, 1 << 20);
  as.integer("vocabulary", model.vocabulary, 2, 1 << 26);
  as.integer("head_size", model.head_size, 1, 4096);
  as.integer("heads", model.heads, 0, 1 << 20);
  as.integer("feed_forward", model.feed_forward, 1, 1 << 26);
  as.integer("rank_decay", model.rank_decay, 0, 1 << 20);
  as.integer("rank_rate", model.rank_rate, 0, 1 << 20);
  as.integer("rank_value", model.rank_value, 0, 1 << 20);
  as.integer("rank_gate", model.rank_gate, 0, 1 << 20);
  as.late_flag("doubled_rate", model.doubled_rate);
  as.choice("read_out", model.read_out, read_out_names);
  as.choice("read_state", model.read_state, read_state_names);
  as.number("rho", model.rho, 1e-6, 1);
  as.number("gamma_init", model.gamma_init, -1e3, 1e3);
  as.number("rotary_fraction", model.rotary_fraction, 0, 1);
  as.flag("parallel_residual", model.parallel_residual);
  as.flag("gelu_tanh", model.gelu_tanh);
}

void fields(auto& as, Of<OptimizerConfig> auto& optimizer) {
  as.number("learning_rate", optimizer.learning_rate, 1e-12, 10);
  as.number("final_learning_rate", optimizer.final_learning_rate, 0, 10);
  as.number("beta1", optimizer.beta1, 0, 0.999999);
  as.number("beta2", optimizer.beta2, 0, 0.99999999);
  as.number("epsilon", optimizer.epsilon, 1e-30, 1);
  as.number("weight_decay", optimizer.weight_decay, 0, 100);
  as.number("clip", optimizer.clip, 1e-12, 1e12);
  as.number("new_learning_rate", optimizer.new_learning_rate, 0, 1e3);
  as.number("new_weight_decay", optimizer.new_weight_decay, 0, 1e3);
}

void fields(auto& as, Of<TrainingConfig> auto& training) {
  as.integer("steps", training.steps, 1);
  as.integer("batch_tokens", training.batch_tokens, 1);
  as.integer("micro_batch", training.micro_batch, 1, 1 << 20);
  as.integer("context", training.context, 1, 1 << 24);
  as.choice("precision", training.precision, precision_names);
  as.choice("recompute", training.recompute, recompute_names);
  as.choice("wkv", training.wkv, wkv_form_names);
  as.group("schedule", [&](auto& in) {
    in.choice("kind", training.schedule.kind, schedule_kind_names);
    in.integer("warmup_steps", training.schedule.warmup_steps);
    in.integer("decay_steps", training.schedule.decay_steps);
    in.integer("first_step", training.schedule.first_step);
  });
  as.group("optimizer", [&](auto& in) { fields(in, training.optimizer); });
  as.choice("non_finite", training.non_finite, non_finite_names);
  as.group("spike", [&](auto& in) {
    in.choice("action", training.spike.action, on_spike_names);
    in.number("factor", training.spike.factor, 1, 1e6);
    in.integer("window", training.spike.window, 1, 1 << 16);
  });
  as.group("roll_back", [&](auto& in) {
    in.integer("skip_batches", training.roll_back.skip_batches, 1);
    in.integer("most", training.roll_back.most, 1, 1000);
  });
}

void fields(auto& as, Of<DataConfig> auto& data) {
  as.text("name", data.name);
  as.path("train", data.train);
  as.path("validation", data.validation);
  as.path("test", data.test);
  as.text("tokenizer", data.tokenizer);
  as.word("order", data.order, order_names);
  as.seed("order_seed", data.order_seed);
  as.mixture("mixture", data.mixture);
  as.flag("reset_at_documents", data.reset_at_documents);
  as.probe("probe", data.probe);
}

void fields(auto& as, Of<Ancestor> auto& ancestor) {
  as.text("run", ancestor.run);
  as.integer("step", ancestor.step, 1);
  as.integer("layers", ancestor.layers, 1, 1000);
  as.integer("heads", ancestor.heads, 0, 1 << 20);
  as.integer("feed_forward", ancestor.feed_forward, 1, 1 << 26);
  as.integer("rank_decay", ancestor.rank_decay, 0, 1 << 20);
  as.integer("rank_rate", ancestor.rank_rate, 0, 1 << 20);
  as.integer("rank_value", ancestor.rank_value, 0, 1 << 20);
  as.integer("rank_gate", ancestor.rank_gate, 0, 1 << 20);
  as.integers("insert_after", ancestor.insert_after, 0);
}

void fields(auto& as, Of<RunConfig> auto& run) {
  std::int64_t schema = run.schema;
  as.integer("schema", schema, 1, 1);
  as.text("id", run.id);
  as.text("sweep", run.sweep);
  as.text("arm", run.arm);
  as.text("size", run.size);
  as.text("length", run.length);
  as.choice("role", run.role, role_names);
  as.seed("seed", run.seed);
  as.choice("device", run.device, device_names);
  as.integer("threads", run.threads, 0, 4096);
  as.group("model", [&](auto& in) { fields(in, run.model); });
  as.group("training", [&](auto& in) { fields(in, run.training); });
  as.group("data", [&](auto& in) { fields(in, run.data); });
  as.group("evaluation", [&](auto& in) {
    in.integer("every_steps", run.evaluation.every_steps);
    in.integer("windows", run.evaluation.windows);
    in.integer("final_windows", run.evaluation.final_windows);
    in.word("protocol", run.evaluation.protocol, protocol_names);
  });
  as.group("log", [&](auto& in) {
    in.integer("checkpoint_every", run.log.checkpoint_every);
    in.integer("keep", run.log.keep, 1);
    in.integers("checkpoint_at", run.log.checkpoint_at, 1);
  });
  as.group("parent", [&](auto& in) {
    in.text("run", run.parent.run);
    in.integer("step", run.parent.step);
  });
  as.list("lineage", run.lineage, [](auto& in, auto& ancestor) { fields(in, ancestor); });
  as.words("match", run.match);
}

// ---- what no single key shows

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

void check_run(const Check& check, const RunConfig& run) {
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
  check.that(run.parent.run.empty() == (run.parent.step == 0), "parent",
             "a parent has both a run and a step", "give run and step, or neither");
  for (std::size_t i = 0; i < run.lineage.size(); ++i) {
    const auto& [name, step] = std::tie(run.lineage[i].run, run.lineage[i].step);
    check.that(is_file_name(name) && step > (i ? run.lineage[i - 1].step : 0) && step < run.training.steps,
               "lineage", fmt::format("ancestor {} '{}' ends at step {}", i, name, step),
               fmt::format("name run ids, with steps that rise and stay below {}", run.training.steps));
  }
}

RunConfig run_config_of(const YamlNode& root) {
  RunConfig run;
  read_map(root, [&](YamlMap& map) {
    map.at("schema");
    Reader reader(map);
    fields(reader, run);
  });
  check_run(Check{root}, run);
  return run;
}

}  // namespace

std::string read_mixture(const YamlNode& node) {
  std::string text;
  if (node.kind == YamlNode::Kind::map) {
    nlohmann::json json = nlohmann::json::object();
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const YamlMap is_map(node.items[i]);
      for (std::size_t k = 0; k < node.items[i].keys.size(); ++k)
        json[node.keys[i]][node.items[i].keys[k]] = read_number(node.items[i].items[k], 0, 1e12);
    }
    text = json.dump();
  } else {
    text = read_string(node);
  }
  try {
    return to_text(parse_mixture(text));
  } catch (const Error& error) {
    throw yaml_error(node, error.what(), "write as_stored, or see data.mixture in docs/sweep-file.md");
  }
}

RunConfig read_run_config(const std::filesystem::path& path) {
  return run_config_of(read_yaml(path));
}

RunConfig parse_run_config(const std::string& text, const std::string& file_name) {
  return run_config_of(parse_yaml(text, file_name));
}

std::string to_yaml(const RunConfig& config) {
  std::string out;
  Writer writer(out);
  fields(writer, config);
  return out;
}

std::string final_split(const RunConfig& config) {
  const bool is_probe = config.data.probe.exists();
  if (is_probe ? config.role == Role::run : !config.data.test.empty()) return "test";
  return is_probe || !config.data.validation.empty() ? "validation" : "";
}

const char* name_of(Architecture architecture) { return name_in(architecture_names, architecture); }
const char* name_of(ReadOut read_out) { return name_in(read_out_names, read_out); }
const char* name_of(ReadState read_state) { return name_in(read_state_names, read_state); }
const char* name_of(ScheduleKind kind) { return name_in(schedule_kind_names, kind); }
const char* name_of(Precision precision) { return name_in(precision_names, precision); }
const char* name_of(Recompute recompute) { return name_in(recompute_names, recompute); }
const char* name_of(WkvForm form) { return name_in(wkv_form_names, form); }
const char* name_of(NonFinite policy) { return name_in(non_finite_names, policy); }
const char* name_of(OnSpike action) { return name_in(on_spike_names, action); }
const char* name_of(Role role) { return name_in(role_names, role); }

}  // namespace metascale
