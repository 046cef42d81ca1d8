// Operator commands: `troupe recover` and `troupe declare-lost`.
//
// Reads their arguments, has the operator confirm, asks a node, and says what came of it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "troupe/membership/operator_call.h"

namespace troupe {

struct OperatorCommand {
  OperatorRequest request;
  std::vector<std::string> nodes = {"127.0.0.1:7100"};  // Asked one after the other.
  std::string cluster_name = "troupe";
  bool json = false;
  bool confirmed = false;  // --yes
};

extern const char* const kOperatorUsage;

// `name` is recover or declare-lost. Errors: InvalidArgument says what was expected.
absl::StatusOr<OperatorCommand> ReadOperatorCommand(const std::string& name,
                                                    const std::vector<std::string>& arguments);
// What is lost by it, for who has to confirm.
std::string Consequence(const OperatorRequest& request);
std::string ToText(const OperatorRequest& request, const OperatorReply& reply);
std::string ToJson(const OperatorReply& reply);  // One line.

// Asks and prints. Returns the exit code.
int RunOperatorCommand(const OperatorCommand& command);

}  // namespace troupe
