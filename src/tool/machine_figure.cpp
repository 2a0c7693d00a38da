#include "tool/machine_figure.hpp"

#include <algorithm>

namespace acre::tool {

figure summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {values.front(), median, values.back(), values.size()};
}

}  // namespace acre::tool
