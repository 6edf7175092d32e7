#include "analysis/palette.hpp"

#include <array>

namespace metascale {

ArmColour arm_colour(std::size_t arm) {
  static constexpr std::array<ArmColour, 7> colours{{{"#4d5763", "#b4bcc6"},
                                                     {"#0072b2", "#56b4e9"},
                                                     {"#d55e00", "#f0883e"},
                                                     {"#009e73", "#3fc79a"},
                                                     {"#a4508b", "#dd9cc7"},
                                                     {"#b58900", "#f0c846"},
                                                     {"#5b4bb5", "#a99cf0"}}};
  return colours[arm % colours.size()];
}

}  // namespace metascale
