#include "experiments/not_finite.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <set>

namespace metascale {
namespace {

std::string readable(const std::string& mangled) {
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr), std::free);
  const std::string whole = name ? name.get() : mangled;
  return whole.substr(whole.rfind(':') + 1);
}

class Search {
 public:
  Search(const Tape& tape, const Queue& queue) : tape_(tape), queue_(queue) {}

  void look(std::size_t step) {
    if (!found_.empty()) return;
    tape_.visit(step, [&](const char*, const Tensor& tensor, Use use) {
      if (use == Use::read) look_at_parameter(tensor);
    });
    tape_.visit(step, [&](const char* field, const Tensor& tensor, Use use) {
      const bool is_result = use == Use::write || use == Use::add;
      if (!is_result || !found_.empty() || is_finite(tensor)) return;
      found_ = fmt::format("the first number that is not finite is in {}.{}, operator {} of {}",
                           readable(tape_.operators()[step]), field, step + 1, tape_.step_count());
      if (!parameter_.empty()) found_ += fmt::format(", behind the parameter {}", parameter_);
    });
  }
  const std::string& found() const { return found_; }

 private:
  void look_at_parameter(const Tensor& tensor) {
    const std::string name = tape_.parameter_name(tensor);
    if (name.empty()) return;
    parameter_ = name;
    if (found_.empty() && looked_at_.insert(name).second && !is_finite(tensor))
      found_ = fmt::format("the parameter {} itself holds numbers that are not finite", name);
  }

  bool is_finite(const Tensor& tensor) {
    bytes_.resize(tensor.bytes());
    copy_to_host(queue_, bytes_.data(), static_cast<const std::byte*>(tensor.data), bytes_.size());
    const auto all = [&]<typename T>(const T* values) {
      return std::all_of(values, values + tensor.size(),
                         [](T value) { return std::isfinite(double(value)); });
    };
    switch (tensor.dtype) {
      case Dtype::f64: return all(reinterpret_cast<const double*>(bytes_.data()));
      case Dtype::f32: return all(reinterpret_cast<const float*>(bytes_.data()));
      case Dtype::bf16: return all(reinterpret_cast<const bfloat16*>(bytes_.data()));
      case Dtype::i32: return true;
    }
    return true;
  }

  const Tape& tape_;
  const Queue& queue_;
  std::vector<std::byte> bytes_;
  std::string parameter_, found_;  // parameter_: the last that was read
  std::set<std::string> looked_at_;
};

}  // namespace

std::string first_not_finite(Program& program, Queue& queue) {
  Search search(program.tape(), queue);
  program.execute(queue, [&](std::size_t step) { search.look(step); });
  return search.found();
}

}  // namespace metascale
