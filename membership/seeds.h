// Seeds: the addresses that a node is told to join by, and what became of trying them.
//
// Names are resolved to all their addresses, again and again while there is no map. Our own address
// is none; problems are said at once, then at growing intervals.
//
// Single loop.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kj/async.h"
#include "kj/function.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/self.h"

namespace troupe {

class Seeds final : private kj::TaskSet::ErrorHandler {
 public:
  // `changed` is called with all addresses to try.
  Seeds(Self& self, kj::Function<void(std::vector<std::string>)> changed);
  KJ_DISALLOW_COPY(Seeds);

  void Start(std::vector<std::string> extra);  // `extra`: addresses known from the data directory.
  void Stop() { stopped_ = true; }             // Joined: names are resolved no more.

  // True when no seed is, or may turn out to be, another node.
  bool none() const { return unresolved_.empty() && addresses_.empty(); }
  void OnProblem(const std::string& address, const ControlLinks::Visit& visit);

 private:
  struct Problem {
    std::string text;
    absl::Time say_at;
    absl::Duration wait;
  };

  void taskFailed(kj::Exception&& exception) override;
  kj::Promise<void> Resolve(std::string seed, absl::Duration again_in);
  void Say(const std::string& seed, const std::string& text);

  Self& self_;
  kj::Function<void(std::vector<std::string>)> changed_;
  std::set<std::string> unresolved_;
  std::set<std::string> addresses_;
  std::set<std::string> ourselves_;
  std::map<std::string, Problem> problems_;
  bool stopped_ = false;
  kj::TaskSet tasks_;
};

}  // namespace troupe
