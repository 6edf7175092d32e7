#include <hdf5.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/hdf5.hpp"
#include "core/hdf5/library.hpp"

namespace metascale {
namespace {

constexpr std::uint64_t deflate_ratio = 1100;  // deflate reaches at most 1032 to 1
constexpr std::uint64_t max_chunk_bytes = std::uint64_t(256) << 20;
constexpr std::uint64_t max_string_bytes = std::uint64_t(1) << 30;
constexpr std::uint64_t strings_at_once = 64;

herr_t refuse_external_link(const char*, const char*, const char*, const char*, unsigned*, hid_t,
                            void*) {
  return -1;  // a log never names other files; a foreign one must not make us open them
}

Hdf5Handle access_list(hid_t list_class) {
  Hdf5Handle list(H5Pcreate(list_class), H5Pclose);
  H5Pset_elink_cb(list.id(), refuse_external_link, nullptr);
  return list;
}

// Whether every value of the stored type is one of T.
template <typename T>
bool holds(hid_t stored) {
  const std::size_t bytes = H5Tget_size(stored);
  const H5T_class_t kind = H5Tget_class(stored);
  if (std::is_floating_point_v<T>) return kind == H5T_FLOAT && bytes <= sizeof(T);
  if (kind != H5T_INTEGER) return false;
  const bool stored_signed = H5Tget_sign(stored) == H5T_SGN_2;
  if (stored_signed == std::is_signed_v<T>) return bytes <= sizeof(T);
  return !stored_signed && bytes < sizeof(T);
}

std::string name_of_type(hid_t type) {
  const char* kind = "another type";
  switch (H5Tget_class(type)) {
    case H5T_FLOAT: kind = "float"; break;
    case H5T_INTEGER: kind = H5Tget_sign(type) == H5T_SGN_2 ? "int" : "uint"; break;
    case H5T_STRING: return "string";
    default: return kind;
  }
  return concat(kind, 8 * H5Tget_size(type));
}

std::string fixed_string(const char* bytes, std::size_t size) {  // up to the first NUL
  return std::string(bytes, std::find(bytes, bytes + size, '\0'));
}

}  // namespace

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path)
    : Hdf5Reader(path, read_file(path, max_file_bytes)) {}

std::uint64_t Hdf5Reader::most_memory(std::uint64_t file_bytes) {
  constexpr std::uint64_t gib = std::uint64_t(1) << 30;
  return std::min(gib + 64 * std::min(file_bytes, gib), 64 * gib);
}

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path, std::string_view bytes)
    : Hdf5Reader(path, bytes, most_memory(bytes.size())) {}

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path, std::string_view bytes,
                       std::uint64_t memory)
    : path_(path), file_bytes_(bytes.size()), memory_left_(memory) {
  if (bytes.empty()) fail("", "the file is empty");
  const Hdf5Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(list.id(), std::size_t(1) << 20, false);
  // HDF5 promises not to write to the image, and copies it.
  if (H5Pset_file_image(list.id(), const_cast<char*>(bytes.data()), bytes.size()) < 0)
    fail("", hdf5_cause());
  // HDF5 takes files of equal name for the same file, and refuses names that exist on disk.
  const std::string name = concat(path.filename().string(), " (in memory at ", this, ")");
  file_ = Hdf5Handle(H5Fopen(name.c_str(), H5F_ACC_RDONLY, list.id()), H5Fclose);
  if (file_.id() < 0) fail("", concat("not a whole HDF5 file (", hdf5_cause(), ")"));
}

void Hdf5Reader::fail(const std::string& object, const std::string& what) const {
  throw Error(concat(path_.string(), object.empty() ? "" : ": ", object, ": ", what,
                     "; the file is damaged or of another kind: make it or copy it anew"),
              ExitCode::bad_input);
}

// Of the memory that this file may take, before it is taken.
void Hdf5Reader::take(const std::string& object, std::uint64_t count, std::uint64_t bytes) const {
  if (count > memory_left_ / bytes)
    fail(object, concat("its ", count, " elements and what was read before take more memory than ",
                        "a file of ", file_bytes_, " bytes may"));
  memory_left_ -= count * bytes;
}

bool Hdf5Reader::contains(const std::string& name) const {
  const Hdf5Handle links = access_list(H5P_LINK_ACCESS);
  for (std::size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string part = name.substr(0, end);
    if (part != "/" && H5Lexists(file_.id(), part.c_str(), links.id()) <= 0) return false;
    if (end == std::string::npos) return true;
  }
}

std::vector<std::string> Hdf5Reader::children(const std::string& group, bool want_groups) const {
  const Hdf5Handle access = access_list(H5P_GROUP_ACCESS), links = access_list(H5P_LINK_ACCESS);
  const Hdf5Handle opened(H5Gopen2(file_.id(), group.c_str(), access.id()), H5Gclose);
  if (opened.id() < 0) fail(group, concat("cannot open this group (", hdf5_cause(), ")"));
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  if (H5Literate(opened.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) < 0)
    fail(group, concat("cannot list this group (", hdf5_cause(), ")"));
  std::erase_if(names, [&](const std::string& name) {
    const Hdf5Handle child(H5Oopen(opened.id(), name.c_str(), links.id()), H5Oclose);
    return H5Iget_type(child.id()) != (want_groups ? H5I_GROUP : H5I_DATASET);
  });
  return names;
}

std::vector<std::string> Hdf5Reader::groups(const std::string& group) const {
  return children(group, true);
}

std::vector<std::string> Hdf5Reader::datasets(const std::string& group) const {
  return children(group, false);
}

Hdf5Handle Hdf5Reader::open_dataset(const std::string& name) const {
  const Hdf5Handle access = access_list(H5P_DATASET_ACCESS);
  Hdf5Handle dataset(H5Dopen2(file_.id(), name.c_str(), access.id()), H5Dclose);
  if (dataset.id() < 0) fail(name, concat("cannot open this dataset (", hdf5_cause(), ")"));
  return dataset;
}

namespace {

// What is wrong with a dataset's claims about its size, or nothing: what the file stores must be
// able to hold as many elements.
std::string complaint_about_size(hid_t dataset, std::uint64_t file_bytes) {
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose), type(H5Dget_type(dataset), H5Tclose);
  const Hdf5Handle list(H5Dget_create_plist(dataset), H5Pclose);
  if (space.id() < 0 || type.id() < 0 || list.id() < 0) return hdf5_cause();
  if (H5Pget_external_count(list.id()) > 0) return "its data stand in another file";
  const hssize_t count = H5Sget_simple_extent_npoints(space.id());
  const std::uint64_t element_bytes = H5Tget_size(type.id());
  const std::uint64_t stored = H5Dget_storage_size(dataset);
  if (count < 0 || element_bytes == 0) return "its size cannot be read";
  if (stored > file_bytes)
    return concat("it claims ", stored, " stored bytes, but the file has ", file_bytes);
  const bool chunked = H5Pget_layout(list.id()) == H5D_CHUNKED;
  const std::uint64_t capacity = stored * (chunked ? deflate_ratio : 1);
  if (std::uint64_t(count) > capacity / element_bytes)
    return concat("it claims ", count, " elements of ", element_bytes, " bytes, but stores ",
                  stored, " bytes");
  if (!chunked) return "";
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = H5Pget_chunk(list.id(), H5S_MAX_RANK, extents.data());
  std::uint64_t chunk_bytes = element_bytes;
  for (int axis = 0; axis < rank; ++axis) {
    const hsize_t extent = extents[std::size_t(axis)];
    if (extent > max_chunk_bytes / chunk_bytes) return "its chunks are absurdly large";
    chunk_bytes *= std::max<hsize_t>(extent, 1);
  }
  return "";
}

std::size_t product(const std::vector<std::int64_t>& extents) {
  std::size_t count = 1;
  for (const std::int64_t extent : extents) count *= std::size_t(extent);
  return count;
}

}  // namespace

std::vector<std::int64_t> Hdf5Reader::extents(const std::string& name) const {
  const Hdf5Handle dataset = open_dataset(name);
  const std::string complaint = complaint_about_size(dataset.id(), file_bytes_);
  if (!complaint.empty()) fail(name, complaint);
  const Hdf5Handle space(H5Dget_space(dataset.id()), H5Sclose);
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr);
  if (rank < 0) fail(name, hdf5_cause());
  return {extents.begin(), extents.begin() + rank};
}

template <typename T>
std::vector<T> Hdf5Reader::read(const std::string& name) const {
  const std::size_t count = product(extents(name));
  take(name, count, sizeof(T));
  std::vector<T> values(count);
  const Hdf5Handle dataset = open_dataset(name);
  const Hdf5Handle type(H5Dget_type(dataset.id()), H5Tclose);
  if (!holds<T>(type.id()))
    fail(name, concat("stored as ", name_of_type(type.id()), ", but ", sizeof(T) * 8, "-bit ",
                      std::is_floating_point_v<T> ? "floats" : "integers", " are expected"));
  if (!values.empty() &&
      H5Dread(dataset.id(), hdf5_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    fail(name, concat("cannot read this dataset (", hdf5_cause(), ")"));
  return values;
}

template std::vector<double> Hdf5Reader::read(const std::string&) const;
template std::vector<float> Hdf5Reader::read(const std::string&) const;
template std::vector<std::int32_t> Hdf5Reader::read(const std::string&) const;
template std::vector<std::int64_t> Hdf5Reader::read(const std::string&) const;
template std::vector<std::uint64_t> Hdf5Reader::read(const std::string&) const;
template std::vector<std::uint8_t> Hdf5Reader::read(const std::string&) const;

Hdf5Array Hdf5Reader::read_array(const std::string& name) const {
  Hdf5Array array{extents(name), {}};
  take(name, product(array.extents), sizeof(double));
  array.values.resize(product(array.extents));
  const Hdf5Handle dataset = open_dataset(name);
  const Hdf5Handle type(H5Dget_type(dataset.id()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type.id());
  if (kind != H5T_FLOAT && kind != H5T_INTEGER)
    fail(name, concat("stored as ", name_of_type(type.id()), ", but numbers are expected"));
  if (!array.values.empty() && H5Dread(dataset.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL,
                                       H5P_DEFAULT, array.values.data()) < 0)
    fail(name, concat("cannot read this dataset (", hdf5_cause(), ")"));
  return array;
}

namespace {

// Where strings come from: a dataset is read in parts, an attribute at once.
struct StringSource {
  hid_t id, type, space;
  bool is_attribute;

  bool read(hid_t memory_type, hid_t memory_space, void* to) const {
    return (is_attribute ? H5Aread(id, memory_type, to)
                         : H5Dread(id, memory_type, memory_space, space, H5P_DEFAULT, to)) >= 0;
  }
};

// Takes part of the strings over; returns what is wrong, or nothing.
std::string take_strings(const StringSource& source, hsize_t count, std::uint64_t& total,
                         std::vector<std::string>& strings) {
  const Hdf5Handle memory_space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  if (H5Tis_variable_str(source.type) <= 0) {
    const std::size_t size = H5Tget_size(source.type);
    if (size > max_string_bytes / count) return "its strings are absurdly long";
    std::vector<char> bytes(size * count);
    if (!source.read(source.type, memory_space.id(), bytes.data())) return hdf5_cause();
    for (hsize_t i = 0; i < count; ++i) {
      strings.push_back(fixed_string(bytes.data() + i * size, size));
      total += strings.back().size();
    }
    return total > max_string_bytes ? "its strings are absurdly long" : "";
  }
  const Hdf5Handle type = hdf5_string_type();  // the character set must be the stored one
  H5Tset_cset(type.id(), H5Tget_cset(source.type));
  std::vector<char*> pointers(count, nullptr);
  const bool good = source.read(type.id(), memory_space.id(), pointers.data());
  const std::string complaint = good ? "" : hdf5_cause();
  for (const char* pointer : pointers) {
    if (!good) break;
    strings.emplace_back(pointer ? pointer : "");
    total += strings.back().size();
  }
  H5Dvlen_reclaim(type.id(), memory_space.id(), H5P_DEFAULT, pointers.data());
  return total > max_string_bytes ? "its strings are absurdly long" : complaint;
}

}  // namespace

std::vector<std::string> Hdf5Reader::strings_of(const std::string& what, std::int64_t type,
                                                std::int64_t space, std::int64_t id,
                                                bool is_attribute) const {
  if (H5Tget_class(type) != H5T_STRING)
    fail(what, concat("stored as ", name_of_type(type), ", but strings are expected"));
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  const bool scalar = H5Sget_simple_extent_type(space) == H5S_SCALAR;
  if (points < 0 || (is_attribute && points != 1)) fail(what, "one string is expected");
  take(what, std::uint64_t(points), sizeof(std::string));
  const StringSource source{id, type, space, is_attribute};
  std::vector<std::string> strings;
  std::uint64_t total = 0;
  // All may name the same bytes of the file, and HDF5 makes a copy for each.
  const hsize_t most = std::clamp<hsize_t>(max_string_bytes / file_bytes_, 1, strings_at_once);
  for (hsize_t begin = 0; begin < hsize_t(points); begin += most) {
    const hsize_t count = std::min<hsize_t>(most, hsize_t(points) - begin);
    if (!scalar && H5Sselect_hyperslab(space, H5S_SELECT_SET, &begin, nullptr, &count, nullptr) < 0)
      fail(what, hdf5_cause());
    const std::string complaint = take_strings(source, count, total, strings);
    if (!complaint.empty()) fail(what, concat("cannot read these strings (", complaint, ")"));
  }
  take(what, total, 1);
  return strings;
}

std::vector<std::string> Hdf5Reader::read_strings(const std::string& name) const {
  if (extents(name).size() > 1) fail(name, "it has more than one dimension");
  const Hdf5Handle dataset = open_dataset(name);
  const Hdf5Handle type(H5Dget_type(dataset.id()), H5Tclose);
  const Hdf5Handle space(H5Dget_space(dataset.id()), H5Sclose);
  return strings_of(name, type.id(), space.id(), dataset.id(), false);
}

std::string Hdf5Reader::read_string(const std::string& name) const {
  std::vector<std::string> strings = read_strings(name);
  if (strings.size() != 1) fail(name, concat("one string is expected, not ", strings.size()));
  return std::move(strings[0]);
}

bool Hdf5Reader::has_attribute(const std::string& object, const std::string& name) const {
  const Hdf5Handle links = access_list(H5P_LINK_ACCESS);
  return H5Aexists_by_name(file_.id(), object.c_str(), name.c_str(), links.id()) > 0;
}

std::vector<std::string> Hdf5Reader::attributes(const std::string& object) const {
  const Hdf5Handle links = access_list(H5P_LINK_ACCESS);
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  if (H5Aiterate_by_name(file_.id(), object.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add,
                         &names, links.id()) < 0)
    fail(object, concat("cannot list the attributes (", hdf5_cause(), ")"));
  std::sort(names.begin(), names.end());
  return names;
}

Hdf5Handle Hdf5Reader::open_attribute(const std::string& object, const std::string& name) const {
  const Hdf5Handle links = access_list(H5P_LINK_ACCESS);
  Hdf5Handle attribute(
      H5Aopen_by_name(file_.id(), object.c_str(), name.c_str(), H5P_DEFAULT, links.id()), H5Aclose);
  if (attribute.id() < 0)
    fail(object + "@" + name, concat("no such attribute (", hdf5_cause(), ")"));
  return attribute;
}

std::string Hdf5Reader::attribute_string(const std::string& object, const std::string& name) const {
  const Hdf5Handle attribute = open_attribute(object, name);
  const Hdf5Handle type(H5Aget_type(attribute.id()), H5Tclose);
  const Hdf5Handle space(H5Aget_space(attribute.id()), H5Sclose);
  auto strings = strings_of(object + "@" + name, type.id(), space.id(), attribute.id(), true);
  return std::move(strings[0]);
}

void Hdf5Reader::read_number(const std::string& object, const std::string& name,
                             std::int64_t memory_type, void* value) const {
  const Hdf5Handle attribute = open_attribute(object, name);
  const Hdf5Handle type(H5Aget_type(attribute.id()), H5Tclose);
  const Hdf5Handle space(H5Aget_space(attribute.id()), H5Sclose);
  const std::string what = object + "@" + name;
  if (H5Sget_simple_extent_npoints(space.id()) != 1) fail(what, "one number is expected");
  const bool wants_integer = H5Tget_class(memory_type) == H5T_INTEGER;
  const H5T_class_t kind = H5Tget_class(type.id());
  if (kind != H5T_INTEGER && (wants_integer || kind != H5T_FLOAT))
    fail(what, concat("stored as ", name_of_type(type.id()), ", but ",
                      wants_integer ? "an integer" : "a number", " is expected"));
  if (H5Aread(attribute.id(), memory_type, value) < 0) fail(what, hdf5_cause());
}

double Hdf5Reader::attribute_double(const std::string& object, const std::string& name) const {
  double value = 0;
  read_number(object, name, H5T_NATIVE_DOUBLE, &value);
  return value;
}

std::int64_t Hdf5Reader::attribute_int(const std::string& object, const std::string& name) const {
  std::int64_t value = 0;
  read_number(object, name, H5T_NATIVE_INT64, &value);
  return value;
}

}  // namespace metascale
