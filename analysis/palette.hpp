// Colours of arms, for page and figures: the colour-blind safe set of Okabe and Ito (2008), darkest
// contrasts first, with lighter twins for dark paper.
#pragma once

#include <cstddef>

namespace metascale {

struct ArmColour {
  const char* light;  // on white paper
  const char* dark;   // on dark paper
};
ArmColour arm_colour(std::size_t arm);  // repeats after seven

}  // namespace metascale
