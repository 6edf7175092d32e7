// Folders that are counted in their order: attempts/0001, submissions/0002.
#pragma once

#include <filesystem>
#include <vector>

namespace metascale {

std::filesystem::path numbered_folder(const std::filesystem::path& parent, int number);
// The numbers in parent, rising. Links, and whatever has another name, are none of ours; nothing
// where parent is one.
std::vector<int> numbered_folders(const std::filesystem::path& parent);
// The number of such a folder; 0: it has another name.
int number_of(const std::filesystem::path& folder);
// Makes the next one by mkdir(2), so that each is made once; returns its number. Throws Error{io},
// Error{bad_input} where parent is a symbolic link or no number is left.
int make_numbered_folder(const std::filesystem::path& parent);

}  // namespace metascale
