// Main: the main() of a program that is a node.
//
//   int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<CounterActor>().Run(); }
//
// Reads the settings (--help lists them), starts the node and runs it until it is told to end:
// SIGTERM or SIGINT hand its shards over and leave the cluster, a second signal ends at once.
// SIGHUP reads the gossip keys again, if there are any.
//
// Threads: the one that calls Run() becomes the control loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "kj/async.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/registry.h"

namespace troupe {

class Node;
class UvMachine;
struct NodeSettings;

class Main {
 public:
  Main(int argc, char** argv);

  template <typename ActorClass>
  Main& Host(ActorTypeOptions options = {}) {
    registry_.Host<ActorClass>(options);
    return *this;
  }
  // With a factory, called on worker loops, for actors that need something of the program.
  template <typename ActorClass>
  Main& Host(std::function<kj::Own<ActorBase>()> make, ActorTypeOptions options = {}) {
    registry_.Host<ActorClass>(std::move(make), options);
    return *this;
  }

  // Runs before and after the calls of this node's actors (interceptor.h).
  Main& Intercept(std::shared_ptr<Interceptor> interceptor) {
    registry_.Intercept(std::move(interceptor));
    return *this;
  }

  // The exit code: 0 after an orderly end, 1 when the node could not start or had to end, 2 when
  // the settings are wrong. What is wrong is said on standard error.
  int Run();

 private:
  int Refuse(const std::string& complaint, int code) const;
  int RunNode(const NodeSettings& settings);
  absl::Status AddInterceptors(const NodeSettings& settings);
  kj::Promise<int> ReloadKeys(UvMachine& machine, Node& node, const std::string& path) const;
  int RunOn(UvMachine& machine, const NodeSettings& settings);

  std::string program_;
  std::vector<std::string> arguments_;
  Registry registry_;
};

}  // namespace troupe
