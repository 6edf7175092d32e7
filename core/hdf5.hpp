// HDF5 files, read and written through the few things that we use. Names are paths in the file:
// "/steps/loss". HDF5 itself is not thread-safe: a reader or writer holds a process-wide lock as
// long as it lives, so keep it short and destroy it on the thread that made it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace metascale {

// An HDF5 identifier, closed with the handle. (hid_t is an int64 since HDF5 1.10; hdf5.h stays out
// of this header.)
class Hdf5Handle {
 public:
  using Close = int (*)(std::int64_t);
  Hdf5Handle() = default;
  Hdf5Handle(std::int64_t id, Close close) : id_(id), close_(close) {}
  ~Hdf5Handle() { reset(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept;
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept;
  std::int64_t id() const { return id_; }
  bool reset();  // closes; false if the library could not

 private:
  std::int64_t id_ = -1;
  Close close_ = nullptr;
};

// Keeps HDF5 from printing, and other threads out of it, while it lives.
class Hdf5Session {
 public:
  Hdf5Session();
  ~Hdf5Session();
  Hdf5Session(const Hdf5Session&) = delete;
  Hdf5Session& operator=(const Hdf5Session&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  void* handler_ = nullptr;  // the error handler found, put back at the end
  void* handler_data_ = nullptr;
};

struct Hdf5Array {
  std::vector<std::int64_t> extents;  // empty: a scalar
  std::vector<double> values;         // row-major
};

// A file as it was when opened: read into memory at once, so no lock is taken on it and a writer
// may replace it meanwhile. Every function throws Error{bad_input} naming file, object and cause;
// sizes told by the file are checked against what it really stores before memory is allocated. As
// that may be packed a thousandfold, all that is read of a file has a limit, too.
class Hdf5Reader {
 public:
  static constexpr std::uint64_t max_file_bytes = std::uint64_t(4) << 30;
  // Of memory, for all that is read of a file of that size: 1 GiB and 64 times the file, at most
  // 64 GiB. The log of 10^7 steps takes 0.8 GB.
  static std::uint64_t most_memory(std::uint64_t file_bytes);

  explicit Hdf5Reader(const std::filesystem::path& path);  // Error{io} if it cannot be opened
  // bytes: the content of the file at path, read before.
  Hdf5Reader(const std::filesystem::path& path, std::string_view bytes);
  Hdf5Reader(const std::filesystem::path& path, std::string_view bytes, std::uint64_t memory);

  bool contains(const std::string& name) const;
  std::vector<std::string> groups(const std::string& group = "/") const;    // children's names
  std::vector<std::string> datasets(const std::string& group = "/") const;  // the same
  std::vector<std::int64_t> extents(const std::string& dataset) const;

  // All elements, row-major. T: double, float, int32, int64, uint64, uint8. The stored type must be
  // of the same kind (float or integer); a narrower T is refused, so that no value changes.
  template <typename T>
  std::vector<T> read(const std::string& dataset) const;
  Hdf5Array read_array(const std::string& dataset) const;  // of any number type, as double
  std::vector<std::string> read_strings(const std::string& dataset) const;
  std::string read_string(const std::string& dataset) const;  // a scalar

  bool has_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> attributes(const std::string& object) const;  // names, sorted
  std::string attribute_string(const std::string& object, const std::string& name) const;
  double attribute_double(const std::string& object, const std::string& name) const;
  std::int64_t attribute_int(const std::string& object, const std::string& name) const;

 private:
  [[noreturn]] void fail(const std::string& object, const std::string& what) const;
  void take(const std::string& object, std::uint64_t count, std::uint64_t bytes) const;
  Hdf5Handle open_dataset(const std::string& name) const;
  Hdf5Handle open_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> children(const std::string& group, bool want_groups) const;
  std::vector<std::string> strings_of(const std::string& what, std::int64_t type,
                                      std::int64_t space, std::int64_t source,
                                      bool is_attribute) const;
  void read_number(const std::string& object, const std::string& name, std::int64_t memory_type,
                   void* value) const;

  Hdf5Session session_;  // first: the handles are closed before the lock is given back
  std::filesystem::path path_;
  std::uint64_t file_bytes_ = 0;
  mutable std::uint64_t memory_left_ = 0;  // a session is of one thread
  Hdf5Handle file_;
};

// Builds a file in memory: its bytes, written atomically by the caller, are a file that HDF5 1.8
// and later read; equal content gives equal bytes. So a full disk is met by our own write, not
// inside HDF5.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::string& name);  // for messages

  void create_group(const std::string& name);  // its parent must exist
  // One dimension, chunked, shuffled and deflated. T as in Hdf5Reader::read.
  template <typename T>
  void write(const std::string& dataset, const std::vector<T>& values);
  void write_strings(const std::string& dataset, const std::vector<std::string>& values);
  void write_string(const std::string& dataset, const std::string& value);  // a scalar
  void attribute(const std::string& object, const std::string& name, const std::string& value);
  void attribute(const std::string& object, const std::string& name, std::int64_t value);
  void attribute(const std::string& object, const std::string& name, double value);
  std::string finish();  // the file's bytes; the writer is closed

 private:
  [[noreturn]] void fail(const std::string& object, const std::string& what) const;
  void write_column(const std::string& dataset, std::int64_t type, std::size_t type_bytes,
                    std::size_t count, const void* values);
  void write_attribute(const std::string& object, const std::string& name, std::int64_t type,
                       const void* value);

  Hdf5Session session_;
  std::string name_;
  Hdf5Handle file_;
};

}  // namespace metascale
