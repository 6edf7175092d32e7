// What hdf5_reader.cpp and hdf5_writer.cpp share: the only places that see HDF5's own API.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "core/hdf5.hpp"

namespace metascale {

static_assert(std::is_same_v<hid_t, std::int64_t>, "core/hdf5.hpp says so; HDF5 1.10 or later");

// What HDF5 found wrong, innermost first; must be called before any other call of the library.
std::string hdf5_cause();

Hdf5Handle hdf5_string_type();  // variable length, UTF-8

template <typename T>
hid_t hdf5_type() {
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint64_t>) return H5T_NATIVE_UINT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
}

}  // namespace metascale
