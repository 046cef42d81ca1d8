#include "troupe/actors/main.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kj/debug.h"
#include "troupe/actors/authorization.h"
#include "troupe/actors/node.h"
#include "troupe/actors/node_settings.h"
#include "troupe/actors/tracing.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;  // Of settings; far beyond any list of nodes.

NodeDefaults DefaultsHere() {
  std::random_device random;
  return {absl::StrFormat("node-%06x", random() & 0xffffff),
          std::max<size_t>(1, std::thread::hardware_concurrency())};
}

std::vector<std::string> Environment() {
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    out.push_back(*entry);
  }
  return out;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::string text;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  bool failed = file == nullptr;
  char chunk[4096];
  while (!failed && text.size() <= kFileBytesMax) {
    const size_t got = std::fread(chunk, 1, sizeof chunk, file);
    failed = std::ferror(file) != 0;
    if (got == 0) break;
    text.append(chunk, got);
  }
  const int error = errno;
  if (file != nullptr) std::fclose(file);
  if (failed) {
    return absl::UnavailableError(absl::StrCat("cannot read ", path, ": ", std::strerror(error)));
  }
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected at most ", kFileBytesMax, " bytes in ", path));
  }
  return text;
}

absl::StatusOr<GossipKeys> ReadGossipKeys(const std::string& path) {
  auto file = ReadFile(path);
  if (!file.ok()) return file.status();
  auto keys = GossipKeys::Parse(*file);
  if (keys.ok()) return keys;
  return absl::InvalidArgumentError(absl::StrCat(path, " ", std::string(keys.status().message())));
}

// Which setting a node that cannot start should have another value of.
std::string StartComplaint(const absl::Status& status) {
  std::string text(status.message());
  if (absl::IsAlreadyExists(status)) {
    return absl::StrCat(text, "; another program has this port: choose another with --listen");
  }
  if (absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status)) {
    return absl::StrCat(text, " (setting listen)");
  }
  if (absl::IsNotFound(status)) return absl::StrCat(text, " (setting roles)");
  if (absl::IsDataLoss(status) || absl::IsFailedPrecondition(status)) {
    return absl::StrCat(text, " (setting data-dir)");
  }
  return text;
}

}  // namespace

Main::Main(int argc, char** argv) : program_(argc > 0 ? argv[0] : "troupe") {
  program_.erase(0, program_.find_last_of('/') + 1);
  for (int i = 1; i < argc; ++i) arguments_.emplace_back(argv[i]);
}

int Main::Refuse(const std::string& complaint, int code) const {
  std::cerr << program_ << ": " << complaint << std::endl;
  return code;
}

int Main::Run() {
  const SettingSources sources{arguments_, Environment(), ReadFile};
  auto settings = Settings::Read(NodeSettingTable(DefaultsHere()), sources);
  if (!settings.ok()) return Refuse(std::string(settings.status().message()), 2);
  if (settings->request() == Settings::Request::kHelp) {
    std::cout << settings->Help(program_) << std::flush;
    return 0;
  }
  auto node = ToNodeSettings(*settings);
  if (!node.ok()) return Refuse(std::string(node.status().message()), 2);
  if (settings->request() == Settings::Request::kPrint) {
    std::cout << settings->Print() << std::flush;
    return 0;
  }
  if (node->gossip_key_file) {
    auto keys = ReadGossipKeys(*node->gossip_key_file);
    if (!keys.ok()) {
      return Refuse(
          absl::StrCat(std::string(keys.status().message()), " (setting gossip-key-file)"), 2);
    }
    node->node.membership.gossip_keys = std::move(*keys);
  }
  if (auto added = AddInterceptors(*node); !added.ok()) {
    return Refuse(std::string(added.message()), 2);
  }
  std::signal(SIGPIPE, SIG_IGN);  // A peer that is gone is an error of a write, not our end.
  SetStandardErrorLogLevel(node->log_level);
  try {
    return RunNode(*node);
  } catch (const kj::Exception& e) {
    return Refuse(Words(e), 1);
  } catch (const std::exception& e) {
    return Refuse(e.what(), 1);
  }
}

// Around those of the program: what is refused is traced, too.
absl::Status Main::AddInterceptors(const NodeSettings& settings) {
  auto bad = [](const absl::Status& status, const char* setting) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(status.message()), " (setting ", setting, ")"));
  };
  if (settings.permissions_file) {
    auto file = ReadFile(*settings.permissions_file);
    if (!file.ok()) return bad(file.status(), "permissions");
    auto permissions = Permissions::Parse(*file, *settings.permissions_file);
    if (!permissions.ok()) return bad(permissions.status(), "permissions");
    registry_.Intercept(std::make_shared<Authorization>(*std::move(permissions)),
                        Registry::Place::kOutermost);
  }
  if (settings.trace_file) {
    auto spans = FileSpans::Open(*settings.trace_file);
    if (!spans.ok()) return bad(spans.status(), "trace");
    registry_.Intercept(std::make_shared<Tracing>(*std::move(spans)), Registry::Place::kOutermost);
  }
  return absl::OkStatus();
}

// At each SIGHUP. A file that is not right changes nothing.
kj::Promise<int> Main::ReloadKeys(UvMachine& machine, Node& node, const std::string& path) const {
  return machine.OnSignal({SIGHUP}).then([this, &machine, &node, path](int) {
    auto keys = ReadGossipKeys(path);
    absl::Status set = keys.ok() ? node.membership().SetGossipKeys(*keys) : keys.status();
    if (!set.ok()) {
      machine.control().log().Error("gossip keys not changed",
                                    {{"reason", std::string(set.message())}});
    }
    return ReloadKeys(machine, node, path);
  });
}

int Main::RunNode(const NodeSettings& settings) {
  UvMachineOptions options;
  options.node = settings.node.membership.node;
  options.data_directory = settings.data_directory;
  auto machine = UvMachine::Create(std::move(options));
  if (!machine.ok()) {
    return Refuse(absl::StrCat(std::string(machine.status().message()),
                               settings.data_directory ? " (setting data-dir)" : ""),
                  1);
  }
  return RunOn(**machine, settings);
}

int Main::RunOn(UvMachine& machine, const NodeSettings& settings) {
  const Log& log = machine.control().log();
  // From before the start on: who is told to end while joining ends in order, too.
  auto signalled = machine.OnSignal({SIGTERM, SIGINT});
  Node node(machine, registry_, settings.node);
  if (auto started = node.Start(); !started.ok()) return Refuse(StartComplaint(started), 1);
  const auto& membership = settings.node.membership;
  log.Info("listening", {{"address", node.address()}, {"cluster", membership.cluster_name}});

  auto ended = signalled
                   .then([&](int signal) {
                     log.Info("told to end", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
                     return node.Drain(settings.drain_limit);
                   })
                   .then([] { return 0; });
  auto failed = node.Failed().then([] { return 1; },
                                   [&](kj::Exception&& e) {
                                     log.Error("this node has to end", {{"reason", Words(e)}});
                                     return 1;
                                   });
  auto ready = node.Ready().then(
      [&]() -> kj::Promise<int> {
        log.Info("ready",
                 {{"node", membership.node},
                  {"address", membership.advertise.empty() ? node.address() : membership.advertise},
                  {"cluster", membership.cluster_name}});
        return kj::NEVER_DONE;
      },
      [&](kj::Exception&& e) -> kj::Promise<int> {
        log.Error("this node cannot join", {{"reason", Words(e)}});
        return 1;
      });
  kj::Promise<int> reloads = kj::NEVER_DONE;
  if (settings.gossip_key_file) reloads = ReloadKeys(machine, node, *settings.gossip_key_file);
  return ended.exclusiveJoin(kj::mv(failed))
      .exclusiveJoin(kj::mv(reloads))
      .exclusiveJoin(kj::mv(ready))
      .wait(machine.wait_scope());
}

}  // namespace troupe
