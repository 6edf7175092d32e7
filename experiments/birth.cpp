#include "experiments/birth.hpp"

#include <algorithm>

#include "experiments/growth.hpp"
#include "experiments/lineage.hpp"
#include "experiments/models/model.hpp"

namespace metascale {

Births births_of(const RunConfig& run) {
  Births births;
  const ParameterList own = parameters_of(run.model);
  for (const auto& entry : own.entries()) births[entry.spec.name] = {{.block = entry.spec.shape}};
  // Backwards from the run's own tensors to what each was in the generations before.
  std::map<std::string, std::string> names;  // now -> in generation i
  for (const auto& [name, generations] : births) names[name] = name;
  for (std::size_t i = run.lineage.size(); i-- > 0;) {
    const Growth growth(model_of_generation(run, i), model_of_generation(run, i + 1),
                        run.lineage[i].insert_after, 0);
    const ParameterList parents = parameters_of(model_of_generation(run, i));
    for (auto& [name, source] : names) {
      auto& generations = births[name];
      if (source.empty()) continue;
      source = growth.source(source);
      const Shape block = source.empty() ? Shape{} : parents.find(source).spec.shape;
      if (block == generations.front().block) continue;
      generations.front().birth = run.lineage[i].step;
      if (!source.empty()) generations.insert(generations.begin(), Generation{.block = block});
    }
  }
  std::erase_if(births, [](const auto& item) {
    return item.second.size() == 1 && item.second[0].birth == 0;
  });
  return births;
}

std::vector<AgeSpan> age_spans(const Shape& shape, const std::vector<Generation>& generations) {
  if (shape.rank < 1 || shape.rank > 2)
    throw Error(concat("a grown tensor of shape ", shape, ": only vectors and matrices grow"));
  const std::int64_t rows = shape.rank == 2 ? shape[0] : 1, columns = shape[shape.rank - 1];
  std::vector<AgeSpan> spans;
  const auto add = [&](std::int64_t count, std::int64_t birth) {
    if (count == 0) return;
    if (!spans.empty() && spans.back().birth == birth) {
      spans.back().count += count;
      return;
    }
    spans.push_back({spans.empty() ? 0 : spans.back().begin + spans.back().count, count, birth});
  };
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t done = 0;
    for (const Generation& generation : generations) {
      const Shape& block = generation.block;
      if (shape.rank == 2 && row >= block[0]) continue;
      const std::int64_t width = std::max(done, block[block.rank - 1]);
      add(width - done, generation.birth);
      done = width;
    }
    add(columns - done, generations.empty() ? 0 : generations.back().birth);
  }
  return spans;
}

}  // namespace metascale
