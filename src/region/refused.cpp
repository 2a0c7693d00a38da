#include <acre/region/refused.hpp>

#include <cstdio>

namespace acre::region {

refused::refused(failure why) noexcept : why_(why) {
  std::snprintf(text_, sizeof text_, "the region has no memory to give: %s (error %d)", why.call,
                why.number);
}

}  // namespace acre::region
