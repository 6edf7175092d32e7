// Tensors out of files that somebody else may have written.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/safetensors.hpp"
#include "core/tensor.hpp"

namespace metascale {

// Elements of a stored tensor as f64. Throws Error{bad_input} naming file and tensor where it holds
// no floating-point numbers, or one that is not finite.
std::vector<double> read_values(const SafetensorsFile& file, const SafetensorsFile::Entry& entry,
                                const std::filesystem::path& path);

// Throws Error{bad_input} naming file and tensor where one of its values is not finite.
void expect_finite(const std::vector<double>& values, const std::filesystem::path& path,
                   const std::string& name);

// Throws Error{bad_input} naming file and tensor unless this is its shape, extents of 1 not
// counted.
void expect_stored_shape(const SafetensorsFile::Entry& entry, const std::filesystem::path& path,
                         const Shape& shape);

// The values into target (f32 or f64), which has the stored shape.
void read_tensor(const SafetensorsFile& file, const SafetensorsFile::Entry& entry,
                 const std::filesystem::path& path, const Tensor& target);

}  // namespace metascale
