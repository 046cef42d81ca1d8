#include "troupe/testing/local_node.h"

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/log.h"

namespace troupe::testing {
namespace {

// A test's output is its own, unless something is wrong.
class WarningsOnly final : public LogSink {
 public:
  bool Wants(LogLevel level) const override { return level >= LogLevel::kWarning; }
  void Write(LogLevel level, std::string_view node, std::string_view event,
             std::initializer_list<LogField> fields) override {
    StandardErrorLog().Write(level, node, event, fields);
  }
};

}  // namespace

LocalNode::~LocalNode() noexcept {
  client_ = nullptr;
  node_ = nullptr;
  machine_ = nullptr;
  std::error_code ignored;
  if (!data_directory_.empty()) std::filesystem::remove_all(data_directory_, ignored);
}

void LocalNode::RequireNotStarted() const {
  if (node_.get() == nullptr) return;
  kj::throwFatalException(
      Failed("LocalNode: Host() comes before the first Get(): what a node "
             "hosts is settled when it starts"));
}

void LocalNode::Start() {
  if (node_.get() != nullptr) return;
  static WarningsOnly log;
  UvMachineOptions machine_options{.node = "test", .log = &log};
  if (registry_.FindDurable() != nullptr) {
    data_directory_ = (std::filesystem::temp_directory_path() / "troupe-test-XXXXXX").string();
    if (mkdtemp(data_directory_.data()) == nullptr) {
      kj::throwFatalException(Failed(absl::StrCat("LocalNode: cannot make ", data_directory_, ": ",
                                                  std::system_category().message(errno))));
    }
    machine_options.data_directory = data_directory_;
  }
  auto machine = UvMachine::Create(std::move(machine_options));
  if (!machine.ok()) kj::throwFatalException(ToException(machine.status()));
  machine_ = std::move(*machine);
  NodeOptions options;
  options.workers = workers_;
  options.membership.node = "test";
  options.membership.listen = "127.0.0.1:0";
  options.membership.config.shards = 4;
  node_ = kj::heap<Node>(*machine_, registry_, options);
  if (auto started = node_->Start(); !started.ok()) kj::throwFatalException(ToException(started));
  auto failure = kj::runCatchingExceptions(
      [this] { node_->Ready().exclusiveJoin(node_->Failed()).wait(machine_->wait_scope()); });
  KJ_IF_MAYBE (e,
               failure) {  // Such as hosting nothing: it would not be ready however long we wait.
    node_ = nullptr;
    machine_ = nullptr;
    kj::throwFatalException(kj::mv(*e));
  }
  client_ = kj::heap<Client>(machine_->control(), ClientOptions{.nodes = {node_->address()}});
}

Client& LocalNode::client() {
  Start();
  return *client_;
}

Node& LocalNode::node() {
  Start();
  return *node_;
}

UvMachine& LocalNode::machine() {
  Start();
  return *machine_;
}

void LocalNode::ThrowStillWaiting(absl::Duration limit) const {
  kj::throwFatalException(Overloaded(
      absl::StrCat("Await: no answer after ", absl::FormatDuration(limit),
                   ", in which each call with the usual deadline would have ended: what is "
                   "awaited is no call, or has a deadline of its own")));
  KJ_UNREACHABLE;
}

}  // namespace troupe::testing
