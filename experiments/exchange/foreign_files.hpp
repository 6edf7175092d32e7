// The safetensors files of one model: one file, or several that an index names.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/safetensors.hpp"

namespace metascale::exchange {

class ForeignFiles {
 public:
  // source: a .safetensors file, or a folder. Throws Error{usage} for a .pth or .bin, with the
  // command that converts it; Error{bad_input} for an index that names what is no file of the
  // folder.
  explicit ForeignFiles(const std::filesystem::path& source);

  std::vector<std::string> names() const;
  const SafetensorsFile::Entry* find(const std::string& name) const;  // nullptr: none
  const SafetensorsFile::Entry& at(const std::string& name) const;    // Error{bad_input}: none
  std::vector<double> values(const std::string& name) const;
  const std::filesystem::path& source() const { return source_; }

 private:
  struct Place {
    std::size_t file;
    const SafetensorsFile::Entry* entry;
  };
  void open(const std::filesystem::path& path);
  std::filesystem::path source_;
  std::vector<std::filesystem::path> paths_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;
};

}  // namespace metascale::exchange
