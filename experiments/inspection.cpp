#include "experiments/inspection.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "experiments/growth.hpp"
#include "experiments/lineage.hpp"
#include "experiments/models/model.hpp"

namespace metascale {
namespace {

constexpr double histogram_range = 4;  // root mean squares

// "blocks.3.att.w0" -> "blocks.*.att.w0"
std::string group_of(const std::string& name) {
  std::string group;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    const bool number = !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) {
      return std::isdigit(c) != 0;
    });
    group += (group.empty() ? "" : ".") + (number ? "*" : part);
    begin = end + 1;
  }
  return group;
}

// The numbers of the tensors given, taken together.
TensorSummary summary_of(const std::string& name, const std::vector<Tensor>& tensors) {
  TensorSummary summary{.name = name, .tensors = std::int64_t(tensors.size())};
  summary.histogram.assign(histogram_bins, 0);
  const auto each = [&](auto&& body) {
    for (const Tensor& tensor : tensors)
      with_float_type(tensor.dtype, [&]<typename T>() {
        for (std::int64_t i = 0; i < tensor.size(); ++i) body(double(tensor.pointer<T>()[i]));
      });
  };
  double sum = 0, squares = 0;
  summary.least = HUGE_VAL, summary.most = -HUGE_VAL;
  each([&](double value) {
    sum += value, squares += value * value, ++summary.elements;
    summary.least = std::min(summary.least, value), summary.most = std::max(summary.most, value);
  });
  const double count = double(std::max<std::int64_t>(1, summary.elements));
  summary.norm = std::sqrt(squares);
  summary.mean = sum / count;
  summary.rms = std::sqrt(squares / count);
  const double width = summary.rms > 0 ? 2 * histogram_range * summary.rms / histogram_bins : 1;
  constexpr int middle = histogram_bins / 2;
  each([&](double value) {
    const double bin = std::floor(value / width) + middle;
    ++summary.histogram[std::size_t(std::clamp(bin, 0.0, double(histogram_bins - 1)))];
  });
  return summary;
}

Tensor tensor_of(const LoadedModel& model, const ParameterList::Entry& entry) {
  return model.memory.tensor(model.memory.values, entry);
}

const ParameterList::Entry* find(const ParameterList& list, const std::string& name) {
  const auto& entries = list.entries();
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const auto& entry) { return entry.spec.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

double element(const Tensor& tensor, std::int64_t index) {
  return with_float_type(tensor.dtype,
                         [&]<typename T>() { return double(tensor.pointer<T>()[index]); });
}

TensorDifference difference_of(const std::string& name, const Tensor& a, const Tensor& b) {
  TensorDifference difference{.name = name};
  if (a.shape != b.shape) difference.shapes = concat(a.shape, " and ", b.shape);
  if (a.shape.rank != b.shape.rank || a.shape.rank < 1 || a.shape.rank > 2) return difference;
  const bool matrix = a.shape.rank == 2;
  const int last = a.shape.rank - 1;
  const std::int64_t rows = matrix ? std::min(a.shape[0], b.shape[0]) : 1;
  const std::int64_t columns = std::min(a.shape[last], b.shape[last]);
  double squares = 0, scale = 0;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column) {
      const double x = element(a, row * a.shape[last] + column);
      const double y = element(b, row * b.shape[last] + column);
      squares += (x - y) * (x - y), scale += x * x;
      difference.changed += x != y;
    }
  difference.relative = std::sqrt(scale > 0 ? squares / scale : squares);
  return difference;
}

bool is_equal(const TensorDifference& difference) {
  return difference.shapes.empty() && difference.changed == 0;
}

}  // namespace

ModelSummary summarise(const LoadedModel& model) {
  ModelSummary summary;
  std::vector<std::string> order;
  std::map<std::string, std::vector<Tensor>> groups;
  std::vector<Tensor> all;
  for (const auto& entry : model.list.entries()) {
    const Tensor tensor = tensor_of(model, entry);
    summary.tensors.push_back(summary_of(entry.spec.name, {tensor}));
    summary.tensors.back().shape = entry.spec.shape;
    const std::string group = group_of(entry.spec.name);
    if (!groups.contains(group)) order.push_back(group);
    groups[group].push_back(tensor);
    all.push_back(tensor);
  }
  for (const std::string& group : order) summary.groups.push_back(summary_of(group, groups[group]));
  summary.all = summary_of("all", all);
  return summary;
}

std::map<std::string, std::string> names_in_ancestor(const RunConfig& run,
                                                     const RunConfig& ancestor) {
  std::map<std::string, std::string> names;
  const auto& lineage = run.lineage;
  const auto from = std::find_if(lineage.begin(), lineage.end(),
                                 [&](const Ancestor& each) { return each.run == ancestor.id; });
  if (from == lineage.end() || from->layers != ancestor.model.layers) return names;
  const ParameterList list = parameters_of(run.model);
  for (const auto& entry : list.entries()) names[entry.spec.name] = entry.spec.name;
  for (std::size_t i = lineage.size(); i-- > std::size_t(from - lineage.begin());) {
    const Growth growth(model_of_generation(run, i), model_of_generation(run, i + 1),
                        lineage[i].insert_after, 0);
    for (auto& [name, source] : names)
      if (!source.empty()) source = growth.source(source);
  }
  return names;
}

std::vector<TensorDifference> differences(const LoadedModel& a, const LoadedModel& b,
                                          const std::map<std::string, std::string>& names_in_a) {
  std::map<std::string, const ParameterList::Entry*> others;  // by name in a
  std::vector<TensorDifference> found, new_ones;
  for (const auto& entry : b.list.entries()) {
    const auto known = names_in_a.find(entry.spec.name);
    const std::string& name = known == names_in_a.end() ? entry.spec.name : known->second;
    if (find(a.list, name))
      others[name] = &entry;
    else
      new_ones.push_back({.name = entry.spec.name, .shapes = "only in the second"});
  }
  for (const auto& entry : a.list.entries()) {
    const std::string& name = entry.spec.name;
    if (!others.contains(name)) {
      found.push_back({.name = name, .shapes = "only in the first"});
      continue;
    }
    found.push_back(difference_of(name, tensor_of(a, entry), tensor_of(b, *others[name])));
    if (others[name]->spec.name != name) found.back().other_name = others[name]->spec.name;
  }
  found.insert(found.end(), new_ones.begin(), new_ones.end());
  std::stable_partition(found.begin(), found.end(),
                        [](const TensorDifference& difference) { return !is_equal(difference); });
  return found;
}

}  // namespace metascale
