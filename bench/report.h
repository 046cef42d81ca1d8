// Report: the results of a run, as a table and as one line of JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

struct Result {
  std::string name;  // "rpc/16B/sequential/over_capnp"
  double value = 0;
  std::string unit;
  std::optional<double> target;  // At most this; none: for information.
  std::string detail;            // For the table: spread, what was compared.
  bool met() const { return !target || value <= *target; }
};

class Report {
 public:
  // A heading that says what follows and how it was measured.
  void Begin(const std::string& heading);
  void Say(const std::string& text);
  void Add(Result result);

  bool all_met() const;
  std::string Json() const;

 private:
  std::vector<Result> results_;
};
