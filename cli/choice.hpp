// Options that take words of a table.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "core/yaml.hpp"

namespace metascale {

// what: for the help, which also tells the words and `choice` as it is.
template <typename Choice, std::size_t count>
CLI::Option* add_choice(CLI::App& verb, const char* flag, Choice& choice,
                        const Named<Choice> (&names)[count], const std::string& what) {
  std::vector<std::string> words;
  for (const Named<Choice>& name : names) words.push_back(name.name);
  const auto take = [&choice, &names](const std::string& word) {
    for (const Named<Choice>& name : names)
      if (word == name.name) choice = name.value;
  };
  return verb
      .add_option_function<std::string>(flag, take,
                                        fmt::format("{} [{}]", what, name_in(names, choice)))
      ->check(CLI::IsMember(words));
}

// Whether an option that takes several names, none for all, takes this one.
inline bool is_wanted(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace metascale
