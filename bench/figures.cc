#include "figures.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

double Quantile(std::vector<double> values, double at) {
  if (values.empty()) return 0;
  const double last = static_cast<double>(values.size()) - 1;
  // The nearest rank: a value that was measured, never one between two.
  const auto rank = static_cast<size_t>(std::ceil(at * (last + 1)));
  const size_t index = std::min(rank == 0 ? 0 : rank - 1, values.size() - 1);
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(index), values.end());
  return values[index];
}

std::string Spread(const std::vector<double>& values) {
  return absl::StrFormat("%.4g [%.4g..%.4g]", Median(values), Least(values), Most(values));
}
