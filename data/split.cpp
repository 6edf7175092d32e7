#include "data/split.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/json_text.hpp"

namespace metascale {
namespace {

constexpr std::size_t own_split_documents = 100;

constexpr std::array<std::pair<const char*, Split>, 5> words{{{"train", Split::train},
                                                              {"val", Split::validation},
                                                              {"valid", Split::validation},
                                                              {"validation", Split::validation},
                                                              {"test", Split::test}}};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

const Split* split_of_name(const std::string& name) {
  const auto end = std::find_if_not(name.begin(), name.end(), is_letter);
  const std::string word(name.begin(), end);
  for (const auto& [known, split] : words)
    if (word == known) return &split;
  return nullptr;
}

std::uint64_t key_of(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  const auto digest = hash.finish();
  std::uint64_t key = 0;
  for (std::size_t i = 8; i < 16; ++i) key = key << 8 | digest[i];
  return key;
}

}  // namespace

const char* name_of(Split split) {
  switch (split) {
    case Split::train: return "train";
    case Split::validation: return "validation";
    case Split::test: return "test";
  }
  return "?";
}

std::map<Split, std::vector<std::filesystem::path>> find_splits(
    const std::filesystem::path& source, const std::vector<std::filesystem::path>& files) {
  std::map<Split, std::vector<std::filesystem::path>> parts;
  std::vector<std::filesystem::path> others;
  for (const std::filesystem::path& file : files) {
    const std::filesystem::path relative = file.lexically_relative(source);
    const Split* split = relative.empty() ? nullptr : split_of_name(relative.begin()->string());
    (split ? parts[*split] : others).push_back(file);
  }
  if (parts.empty() || (parts.size() == 1 && parts.contains(Split::train))) return {};
  if (!parts.contains(Split::train))
    throw Error(concat(source.string(),
                       ": has files for validation or test, but none whose name "
                       "begins with train"),
                ExitCode::bad_input);
  if (!others.empty())
    throw Error(concat(others.front().string(), ": belongs to no part, while other files of ",
                       source.string(), " are called train, validation or test; name or move it"),
                ExitCode::bad_input);
  return parts;
}

void HashSplit::add(std::string_view text, const std::string& domain) {
  if (++documents_ > most_documents)
    throw Error(concat("a split by hash takes at most ", most_documents,
                       " documents, which fit into memory; give the source a split of its own: "
                       "files or folders called train, validation and test"),
                ExitCode::bad_input);
  entries_[domain].push_back({key_of(text), text.size()});
  if (entries_.size() > most_domains)
    throw Error(concat("the source has more than ", most_domains,
                       " domains; is pile_set_name something else there?"),
                ExitCode::bad_input);
}

Split HashSplit::Borders::of(std::uint64_t key) const {
  if (key < validation) return Split::validation;
  return key < test ? Split::test : Split::train;
}

HashSplit::Borders HashSplit::borders_of(Entries& entries) const {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.key < b.key; });
  double total = 0;
  for (const Entry& entry : entries) total += double(entry.bytes);
  Borders borders;
  double validation = 0, test = 0;
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    const bool same_as_before = i > 0 && entry.key == before;
    before = entry.key;
    if (same_as_before) continue;  // borders lie between keys
    double bytes = 0;
    for (std::size_t j = i; j < entries.size() && entries[j].key == entry.key; ++j)
      bytes += double(entries[j].bytes);
    if (validation < shares_.validation * total) {
      validation += bytes;
      borders.validation = borders.test = entry.key + 1;
    } else if (test < shares_.test * total) {
      test += bytes;
      borders.test = entry.key + 1;
    } else {
      return borders;
    }
  }
  return {};  // too little text to leave any for training: all of it is for training
}

void HashSplit::finish() {
  Entries pool;
  std::vector<std::pair<const Entries*, Borders>> groups;
  for (auto& [domain, entries] : entries_) {
    if (entries.size() >= own_split_documents) {
      groups.emplace_back(&entries, borders_[domain] = borders_of(entries));
    } else {
      pool.insert(pool.end(), entries.begin(), entries.end());
      Entries().swap(entries);
    }
  }
  groups.emplace_back(&pool, pool_ = borders_of(pool));
  find_torn(groups);
  entries_.clear();
}

// Merges the groups, each ascending, so that equal keys meet; it takes memory for the places in
// them, not for their entries. Behind the last border all are for training.
void HashSplit::find_torn(const std::vector<std::pair<const Entries*, Borders>>& groups) {
  struct Place {
    const Entry *at, *end;
    const Borders* borders;
  };
  std::vector<Place> heap;
  std::uint64_t last = 0;
  for (const auto& [entries, borders] : groups) {
    last = std::max(last, borders.test);
    if (!entries->empty())
      heap.push_back({entries->data(), entries->data() + entries->size(), &borders});
  }
  const auto is_behind = [](const Place& a, const Place& b) { return a.at->key > b.at->key; };
  std::make_heap(heap.begin(), heap.end(), is_behind);
  while (!heap.empty() && heap.front().at->key < last) {
    const std::uint64_t key = heap.front().at->key;
    std::array<std::int64_t, all_splits.size()> documents{};  // of this key, by part
    while (!heap.empty() && heap.front().at->key == key) {
      std::pop_heap(heap.begin(), heap.end(), is_behind);
      Place& place = heap.back();
      ++documents[std::size_t(place.borders->of(key))];
      if (++place.at == place.end)
        heap.pop_back();
      else
        std::push_heap(heap.begin(), heap.end(), is_behind);
    }
    if (std::count_if(documents.begin(), documents.end(), [](auto n) { return n > 0; }) > 1) {
      torn_.push_back(key);
    } else {
      validation_ += documents[std::size_t(Split::validation)];
      test_ += documents[std::size_t(Split::test)];
    }
  }
}

std::int64_t HashSplit::documents(Split split) const {
  switch (split) {
    case Split::train: return documents_ - validation_ - test_;
    case Split::validation: return validation_;
    case Split::test: return test_;
  }
  return 0;
}

std::string HashSplit::to_text() const {
  nlohmann::json json = {{"pool", {pool_.validation, pool_.test}},
                         {"domains", nlohmann::json::object()},
                         {"torn", torn_}};
  for (const auto& [domain, borders] : borders_)
    json["domains"][domain] = {borders.validation, borders.test};
  return json.dump();
}

HashSplit HashSplit::from_text(const std::string& text) {
  HashSplit split{Shares{}};
  try {
    const auto json = parse_json_or_throw(text);
    const auto borders = [](const nlohmann::json& pair) {
      return Borders{pair.at(0).get<std::uint64_t>(), pair.at(1).get<std::uint64_t>()};
    };
    split.pool_ = borders(json.at("pool"));
    for (const auto& [domain, pair] : json.at("domains").items())
      split.borders_[domain] = borders(pair);
    split.torn_ = json.at("torn").get<std::vector<std::uint64_t>>();
  } catch (const nlohmann::json::exception& error) {
    throw Error(concat("a stored split is damaged: ", error.what()), ExitCode::bad_input);
  }
  return split;
}

Split HashSplit::of(std::string_view text, const std::string& domain) const {
  const auto own = borders_.find(domain);
  const Borders& borders = own != borders_.end() ? own->second : pool_;
  const std::uint64_t key = key_of(text);
  const Split split = borders.of(key);
  if (split == Split::train) return split;
  return std::binary_search(torn_.begin(), torn_.end(), key) ? Split::train : split;
}

}  // namespace metascale
