#include "core/hdf5.hpp"

#include <hdf5.h>

#include <utility>

#include "core/hdf5/library.hpp"

namespace metascale {
namespace {

// HDF5 keeps state of its own for the whole process, so its lock is one for the process, too.
std::recursive_mutex& library_lock() {
  static std::recursive_mutex lock;  // one per process
  return lock;
}

}  // namespace

std::string hdf5_cause() {
  std::string text;
  const auto take_first = [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
    auto& found = *static_cast<std::string*>(out);
    if (found.empty() && error->desc) found = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &text);
  return text.empty() ? "HDF5 gives no reason" : text;
}

Hdf5Handle hdf5_string_type() {
  Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

Hdf5Handle::Hdf5Handle(Hdf5Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)), close_(other.close_) {}

Hdf5Handle& Hdf5Handle::operator=(Hdf5Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(close_, other.close_);
  return *this;
}

bool Hdf5Handle::reset() {
  const std::int64_t id = std::exchange(id_, -1);
  return id < 0 || close_(id) >= 0;
}

Hdf5Session::Hdf5Session() : lock_(library_lock()) {
  H5E_auto2_t handler = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &handler, &handler_data_);
  handler_ = reinterpret_cast<void*>(handler);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Session::~Hdf5Session() {
  H5Eset_auto2(H5E_DEFAULT, reinterpret_cast<H5E_auto2_t>(handler_), handler_data_);
}

}  // namespace metascale
