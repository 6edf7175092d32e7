// What the page's sections are built of. Ids, labels of controls and links are taken as they are;
// all else is escaped.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "analysis/tables.hpp"

namespace metascale {

std::string table_or(const Table& table, const std::string& otherwise);
std::string folded(const std::string& summary, const std::string& body);
std::string chart(const char* id, const std::string& label, const char* size = "");
// Where the numbers of a chart stand: the table on the page and its file.
std::string source_of(const char* table, const char* words);
// A list to choose from; options: value and words.
std::string choice(const char* id, const char* label,
                   const std::vector<std::pair<std::string, std::string>>& options);
std::string toggle(const char* id, const char* label, bool on);

}  // namespace metascale
