// Tensors out of files that somebody else may have written.
#pragma once

#include <filesystem>
#include <vector>

#include "core/safetensors.hpp"
#include "core/tensor.hpp"

namespace metascale {

// Elements of a stored tensor as f64. Throws Error{bad_input} naming file and tensor where it holds
// no floating-point numbers, or one that is not finite.
std::vector<double> read_values(const SafetensorsFile& file, const SafetensorsFile::Entry& entry,
                                const std::filesystem::path& path);

// The same into target (f32 or f64), whose shape must be the stored one, extents of 1 not counted.
void read_tensor(const SafetensorsFile& file, const SafetensorsFile::Entry& entry,
                 const std::filesystem::path& path, const Tensor& target);

}  // namespace metascale
