#include <hdf5.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "core/hdf5/library.hpp"

namespace metascale {
namespace {

constexpr hsize_t rows_per_chunk = 8192;
constexpr std::size_t growth_bytes = std::size_t(4) << 20;  // of the file in memory

// The same bytes for the same content: no times of creation.
Hdf5Handle dataset_list() {
  Hdf5Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(list.id(), false);
  return list;
}

}  // namespace

Hdf5Writer::Hdf5Writer(const std::string& name) : name_(name) {
  const Hdf5Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(list.id(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  H5Pset_fapl_core(list.id(), growth_bytes, false);
  // HDF5 takes files of equal name for the same file.
  const std::string unique = concat(name, " (in memory at ", this, ")");
  file_ = Hdf5Handle(H5Fcreate(unique.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, list.id()), H5Fclose);
  if (file_.id() < 0) fail("", concat("cannot create it (", hdf5_cause(), ")"));
}

void Hdf5Writer::fail(const std::string& object, const std::string& what) const {
  throw Error(concat(name_, object.empty() ? "" : ": ", object, ": ", what,
                     "; HDF5 built it in memory: is there enough?"),
              ExitCode::internal);
}

void Hdf5Writer::create_group(const std::string& name) {
  const Hdf5Handle list(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_obj_track_times(list.id(), false);
  const Hdf5Handle group(H5Gcreate2(file_.id(), name.c_str(), H5P_DEFAULT, list.id(), H5P_DEFAULT),
                         H5Gclose);
  if (group.id() < 0) fail(name, concat("cannot create this group (", hdf5_cause(), ")"));
}

void Hdf5Writer::write_column(const std::string& name, std::int64_t type, std::size_t type_bytes,
                              std::size_t count, const void* values) {
  const hsize_t rows = count, unlimited = H5S_UNLIMITED;
  // Small columns get small chunks, since a chunk is stored (if packed) whole.
  const hsize_t chunk = std::clamp<hsize_t>(rows, 1, rows_per_chunk);
  const Hdf5Handle list = dataset_list();
  H5Pset_chunk(list.id(), 1, &chunk);
  if (type_bytes > 1) H5Pset_shuffle(list.id());
  H5Pset_deflate(list.id(), 4);
  const Hdf5Handle space(H5Screate_simple(1, &rows, &unlimited), H5Sclose);
  Hdf5Handle dataset(
      H5Dcreate2(file_.id(), name.c_str(), type, space.id(), H5P_DEFAULT, list.id(), H5P_DEFAULT),
      H5Dclose);
  if (dataset.id() < 0) fail(name, concat("cannot create this dataset (", hdf5_cause(), ")"));
  if (count > 0 && H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
    fail(name, concat("cannot write this dataset (", hdf5_cause(), ")"));
  if (!dataset.reset()) fail(name, concat("cannot write this dataset (", hdf5_cause(), ")"));
}

template <typename T>
void Hdf5Writer::write(const std::string& name, const std::vector<T>& values) {
  write_column(name, hdf5_type<T>(), sizeof(T), values.size(), values.data());
}

template void Hdf5Writer::write(const std::string&, const std::vector<double>&);
template void Hdf5Writer::write(const std::string&, const std::vector<float>&);
template void Hdf5Writer::write(const std::string&, const std::vector<std::int32_t>&);
template void Hdf5Writer::write(const std::string&, const std::vector<std::int64_t>&);
template void Hdf5Writer::write(const std::string&, const std::vector<std::uint64_t>&);
template void Hdf5Writer::write(const std::string&, const std::vector<std::uint8_t>&);

void Hdf5Writer::write_strings(const std::string& name, const std::vector<std::string>& values) {
  std::vector<const char*> pointers;
  for (const std::string& value : values) pointers.push_back(value.c_str());
  const Hdf5Handle type = hdf5_string_type();
  write_column(name, type.id(), sizeof(char*), pointers.size(), pointers.data());
}

void Hdf5Writer::write_string(const std::string& name, const std::string& value) {
  const Hdf5Handle type = hdf5_string_type(), list = dataset_list();
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle dataset(H5Dcreate2(file_.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT,
                                      list.id(), H5P_DEFAULT),
                           H5Dclose);
  const char* pointer = value.c_str();
  if (dataset.id() < 0 ||
      H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, &pointer) < 0)
    fail(name, concat("cannot write this string (", hdf5_cause(), ")"));
}

void Hdf5Writer::write_attribute(const std::string& object, const std::string& name,
                                 std::int64_t type, const void* value) {
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle attribute(H5Acreate_by_name(file_.id(), object.c_str(), name.c_str(), type,
                                               space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  if (attribute.id() < 0 || H5Awrite(attribute.id(), type, value) < 0)
    fail(object + "@" + name, concat("cannot write this attribute (", hdf5_cause(), ")"));
}

void Hdf5Writer::attribute(const std::string& object, const std::string& name,
                           const std::string& value) {
  const Hdf5Handle type = hdf5_string_type();
  const char* pointer = value.c_str();
  write_attribute(object, name, type.id(), &pointer);
}

void Hdf5Writer::attribute(const std::string& object, const std::string& name, std::int64_t value) {
  write_attribute(object, name, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::attribute(const std::string& object, const std::string& name, double value) {
  write_attribute(object, name, H5T_NATIVE_DOUBLE, &value);
}

std::string Hdf5Writer::finish() {
  if (H5Fflush(file_.id(), H5F_SCOPE_LOCAL) < 0) fail("", hdf5_cause());
  const ssize_t size = H5Fget_file_image(file_.id(), nullptr, 0);
  if (size <= 0) fail("", hdf5_cause());
  std::string bytes(std::size_t(size), '\0');
  if (H5Fget_file_image(file_.id(), bytes.data(), bytes.size()) != size) fail("", hdf5_cause());
  if (!file_.reset()) fail("", hdf5_cause());
  return bytes;
}

}  // namespace metascale
