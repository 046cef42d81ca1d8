// Figures: what is said about a set of measurements.
#pragma once

#include <string>
#include <vector>

// The value that a share `at` (0 to 1) of the values does not exceed; 0 if there are none.
double Quantile(std::vector<double> values, double at);
inline double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }
inline double Least(std::vector<double> values) { return Quantile(std::move(values), 0); }
inline double Most(std::vector<double> values) { return Quantile(std::move(values), 1); }

// "12.3 [10.1..15.0]": median, least and most.
std::string Spread(const std::vector<double>& values);
