// History: what clients asked of actors, when, and what they were told.
//
// Pure; not thread-safe. Recorded by whoever drives the clients, of a simulated or of a real
// cluster, and judged by linearizability.h.
//
// As text it is JSON, one operation a line, in the order of invocation:
//   {"client":"c1","object":"k3","call":"add","args":["1"],"invoked":1000,"returned":2500,
//    "outcome":"ok","result":"5"}
// client: whoever makes one call after another, or several at once; for the reader only.
// object: the actor. Each is judged by itself.
// call, args, result: as the model has them (linearizability.h); all texts, at most 64 KiB each.
// invoked, returned: nanoseconds of a clock that all clients of the history share; returned is
//   absent when the outcome is "unknown".
// outcome: "ok"; "refused": it is certain that nothing was done; "unknown": it took effect once, at
//   some time after it was invoked, or never. A time limit, or an end of the client, is "unknown".
// Members that are not named here are skipped. Errors: InvalidArgument, with the line's number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace troupe::sim {

enum class Outcome : uint8_t { kOk, kRefused, kUnknown };

struct Operation {
  std::string client;
  std::string object;
  std::string call;
  std::vector<std::string> arguments;
  int64_t invoked = 0;
  int64_t returned = 0;  // Of no meaning when the outcome is unknown.
  Outcome outcome = Outcome::kUnknown;
  std::string result;
  friend bool operator==(const Operation&, const Operation&) = default;
};
// For people: `c1 add(1) = 5 [1.0us, 2.5us]`.
std::string Describe(const Operation& operation);

class History {
 public:
  using Number = size_t;  // Names an operation of this history.

  // Moments are made strictly rising in the order of the calls to this class: in virtual time much
  // happens at one instant, and its order counts.
  Number Invoke(absl::Time now, std::string client, std::string object, std::string call,
                std::vector<std::string> arguments);
  void Return(absl::Time now, Number number, std::string result);
  void Refuse(absl::Time now, Number number);
  // What is never said to have returned is unknown.

  const std::vector<Operation>& operations() const { return operations_; }
  size_t size() const { return operations_.size(); }
  std::map<std::string, std::vector<Operation>> ByObject() const;

  std::string ToJsonLines() const;
  static absl::StatusOr<History> FromJsonLines(std::string_view text);

 private:
  int64_t Moment(absl::Time now);

  std::vector<Operation> operations_;
  int64_t last_ = 0;
};

}  // namespace troupe::sim
