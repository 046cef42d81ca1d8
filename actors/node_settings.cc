#include "troupe/actors/node_settings.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "troupe/actors/setting_values.h"
#include "troupe/membership/limits.h"
#include "troupe/runtime/socket_address.h"

namespace troupe {
namespace {

constexpr size_t kWorkersMax = 256;  // As Node has it.
constexpr double kScaleMin = 0.1;    // Below it a probe is shorter than a busy loop's pause.
constexpr double kScaleMax = 100;
constexpr absl::Duration kDrainMax = absl::Hours(24);

bool IsNameOrEmpty(const std::string& value) { return value.empty() || IsName(value); }

bool IsDialAddressOrEmpty(const std::string& value) {
  return value.empty() || IsDialAddress(value);
}

bool IsFactor(const std::string& value) {
  char* end = nullptr;
  const double factor = std::strtod(value.c_str(), &end);
  return !value.empty() && *end == '\0' && factor >= kScaleMin && factor <= kScaleMax;
}

bool IsDrainLimit(const std::string& value) {
  absl::Duration limit;
  return absl::ParseDuration(value, &limit) && limit >= absl::ZeroDuration() && limit <= kDrainMax;
}

bool IsSwitch(const std::string& value) { return value == "true" || value == "false"; }

bool IsLogLevel(const std::string& value) {
  return value == "debug" || value == "info" || value == "warning" || value == "error";
}

LogLevel ToLogLevel(const std::string& value) {
  if (value == "debug") return LogLevel::kDebug;
  if (value == "warning") return LogLevel::kWarning;
  return value == "error" ? LogLevel::kError : LogLevel::kInfo;
}

bool IsAnyAddress(const std::string& address) {
  return address.rfind("0.0.0.0:", 0) == 0 || address.rfind("[::]:", 0) == 0;
}

// Numeric addresses only: what a name stands for is not known here.
bool IsElsewhere(const std::string& address) {
  return SocketAddress::Parse(address).ok() && !IsLoopback(address);
}

absl::Status JudgeAddresses(const Settings& settings) {
  const Setting& listen = settings.Find("listen");
  const Setting& advertise = settings.Find("advertise");
  const bool local = IsLoopback(listen.value);
  if (!local && !settings.On("insecure")) {
    return BadSetting(
        listen,
        absl::StrCat(listen.value,
                     " can be reached from other computers, and this version has no TLS yet: "
                     "expected a loopback address such as 127.0.0.1:7100, or the switch --insecure "
                     "in a network "
                     "where everyone is trusted"));
  }
  if (IsAnyAddress(listen.value) && advertise.value.empty()) {
    return BadSetting(listen, absl::StrCat("others cannot dial ", listen.value,
                                           ": expected the setting advertise beside it"));
  }
  if (!local || !advertise.value.empty()) return absl::OkStatus();
  for (const auto& seed : settings.List("join")) {
    if (!IsElsewhere(seed)) continue;
    return BadSetting(
        settings.Find("join"),
        absl::StrCat(
            "the node at ", seed, " cannot dial this one back at ", listen.value,
            ": expected the setting listen to be an address of this computer in that network"));
  }
  return absl::OkStatus();
}

absl::Status JudgeNumbers(const Settings& settings) {
  const Setting& name = settings.Find("name");
  if (!settings.Text("data-dir").empty() && name.origin == SettingOrigin::kDefault) {
    return BadSetting(
        settings.Find("data-dir"),
        "what is kept on disk belongs to one node: expected the setting name beside it");
  }
  if (settings.Number("min-isr") > settings.Number("replicas")) {
    return BadSetting(settings.Find("min-isr"),
                      absl::StrCat("expected at most replicas, which is ",
                                   settings.Text("replicas"), ", got ", settings.Text("min-isr")));
  }
  if (settings.List("roles").size() > kRolesMax) {
    return BadSetting(settings.Find("roles"),
                      absl::StrCat("expected at most ", kRolesMax, " roles"));
  }
  return absl::OkStatus();
}

uint32_t Count(const Settings& settings, std::string_view name) {
  return static_cast<uint32_t>(settings.Number(name));
}

}  // namespace

bool IsLoopback(const std::string& address) {
  auto parsed = SocketAddress::Parse(address);
  if (!parsed.ok()) return false;
  if (parsed->family() == AF_INET) {
    const auto& in = *reinterpret_cast<const sockaddr_in*>(parsed->data());
    return ntohl(in.sin_addr.s_addr) >> 24 == 127;
  }
  if (parsed->family() != AF_INET6) return false;
  const auto& host = reinterpret_cast<const sockaddr_in6*>(parsed->data())->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&host) || (IN6_IS_ADDR_V4MAPPED(&host) && host.s6_addr[12] == 127);
}

std::optional<GossipSecrecy> ToGossipSecrecy(std::string_view mode) {
  if (mode == "required") return GossipSecrecy::kRequired;
  if (mode == "send") return GossipSecrecy::kSend;
  if (mode == "accept") return GossipSecrecy::kAccept;
  return std::nullopt;
}

std::vector<SettingInfo> NodeSettingTable(const NodeDefaults& defaults) {
  using enum SettingKind;
  const std::string workers =
      absl::StrCat(std::clamp<size_t>(defaults.cores, 2, kWorkersMax + 1) - 1);
  const char* const name_shape = "at most 255 letters, digits, '-', '_' and '.'";
  return {
      {"config", kText, "FILE", "", "the path of a TOML file", "A file with settings.", nullptr},
      {"name", kText, "NAME", defaults.name, name_shape,
       "This node's name, unique in the cluster. Drawn at each start if it is not set.", IsName},
      {"cluster", kText, "NAME", "troupe", name_shape,
       "The cluster's name; nodes and clients with another are refused.", IsName},
      {"listen", kText, "HOST:PORT", "127.0.0.1:7100",
       "a numeric address and a port, IPv4:port or [IPv6]:port",
       "Where this node takes connections (TCP) and gossip (UDP). Port 0: any that is free.",
       IsListenAddress},
      {"advertise", kText, "HOST:PORT", "", kDialAddressShape,
       "The address that others dial, if it is not the one listened on.", IsDialAddressOrEmpty},
      {"join", kList, "HOST:PORT,...", "", kDialAddressShape,
       "Nodes of the cluster to join; this node's own address may be among them. Without any, this "
       "node founds a cluster.",
       IsDialAddress},
      {"expect", kNumber, "N", "1", "a number from 1 to 64",
       "Where no cluster is found at the addresses to join, found one as soon as N nodes have met.",
       [](const std::string& v) { return CountWithin(v, 1, 64); }},
      {"data-dir", kText, "PATH", "", "the path of a directory",
       "Keeps this node's identity and its vote here, so that a cluster outlives a restart of most "
       "of "
       "its nodes. Without it all is in memory.",
       nullptr},
      {"zone", kText, "NAME", "", name_shape, "Copies are spread over zones, such as racks.",
       IsNameOrEmpty},
      {"roles", kList, "NAME,...", "", name_shape,
       "What this node is for: it hosts the types of these roles only. Not given: all that the "
       "program hosts.",
       IsName},
      {"workers", kNumber, "N", workers, "a number from 1 to 256",
       "Threads that run actors. By default all cores but one; the same on all nodes is best.",
       [](const std::string& v) { return CountWithin(v, 1, kWorkersMax); }},
      {"replicas", kNumber, "N", "3", "a number from 1 to 16",
       "Copies of each actor's state, on as many nodes. Counts at founding.",
       [](const std::string& v) { return CountWithin(v, 1, kReplicasMax); }},
      {"min-isr", kNumber, "N", "0", "a number from 0 to replicas",
       "Copies that must have a change before it is answered. 0: 2, or 1 while there are only one "
       "or "
       "two nodes. Counts at founding.",
       [](const std::string& v) { return CountWithin(v, 0, kReplicasMax); }},
      {"shards", kNumber, "N", "256", "a number from 1 to 65536",
       "Slices of the key space; the units that move between nodes. Counts at founding, fixed "
       "then.",
       [](const std::string& v) { return CountWithin(v, 1, kShardsMax); }},
      {"profile", kText, "NAME", "lan-fast", "lan-fast, lan, wan or ci",
       "How fast failures are found: in about 1 s, 6 s, 35 s or, for slow machines, 5 s. The same "
       "on "
       "all nodes.",
       [](const std::string& v) { return SwimProfile(v).ok(); }},
      {"scale", kNumber, "FACTOR", "1", "a number from 0.1 to 100",
       "Multiplies all times of the profile.", IsFactor},
      {"trust-refused", kSwitch, "", "false", "true or false",
       "A refused connection counts as proof of death. Only where nothing between the nodes, such "
       "as "
       "a firewall, refuses in their place.",
       IsSwitch},
      {"gossip-key-file", kText, "FILE", "", "the path of a file of gossip keys",
       "Encrypts and authenticates gossip. One key a line, 32 bytes in base64: the first encrypts, "
       "all decrypt. Read again on SIGHUP.",
       nullptr},
      {"gossip-secrecy", kText, "MODE", "required", "required, send or accept",
       "What a gossip key asks for. required: plain gossip is dropped. To go over: all nodes "
       "accept "
       "(send plain, take both), then all send (encrypt, take both), then all required.",
       [](const std::string& v) { return ToGossipSecrecy(v).has_value(); }},
      {"insecure", kSwitch, "", "false", "true or false",
       "Listens on addresses that other computers can reach, without encryption or authentication.",
       IsSwitch},
      {"drain-limit", kText, "DURATION", "30s", "a time from 0s to 24h, such as 30s or 2m",
       "How long turns may delay an end by SIGTERM or SIGINT. The last copy of a shard delays it "
       "as long as it takes. A second signal ends at once.",
       IsDrainLimit},
      {"trace", kText, "FILE", "", "the path of a file",
       "Writes a span for each call that its caller has traced (W3C traceparent), one line of JSON "
       "each.",
       nullptr},
      {"permissions", kText, "FILE", "", "the path of a TOML file of permissions",
       "Refuses calls without a token that allows them. Tokens are secrets that anybody who reads "
       "the network can use.",
       nullptr},
      {"log-level", kText, "LEVEL", "info", "debug, info, warning or error",
       "The least important lines that are logged, to standard error.", IsLogLevel},
  };
}

absl::StatusOr<NodeSettings> ToNodeSettings(const Settings& settings) {
  if (auto judged = JudgeAddresses(settings); !judged.ok()) return judged;
  if (auto judged = JudgeNumbers(settings); !judged.ok()) return judged;
  NodeSettings out;
  auto& membership = out.node.membership;
  membership.cluster_name = settings.Text("cluster");
  membership.node = settings.Text("name");
  membership.listen = settings.Text("listen");
  membership.advertise = settings.Text("advertise");
  membership.seeds = settings.List("join");
  membership.expect = Count(settings, "expect");
  membership.zone = settings.Text("zone");
  membership.roles = settings.List("roles");
  membership.config.replicas = Count(settings, "replicas");
  membership.config.min_isr_setting = Count(settings, "min-isr");
  membership.config.shards = Count(settings, "shards");
  auto profile = SwimProfile(settings.Text("profile"));
  if (!profile.ok()) return profile.status();
  membership.swim = profile->Scaled(settings.Number("scale"));
  if (auto valid = membership.swim.Validate(); !valid.ok()) {
    return BadSetting(settings.Find("scale"), std::string(valid.message()));
  }
  membership.trust_refused = settings.On("trust-refused");
  membership.gossip_secrecy = *ToGossipSecrecy(settings.Text("gossip-secrecy"));
  if (!settings.Text("gossip-key-file").empty()) {
    out.gossip_key_file = settings.Text("gossip-key-file");
  }
  out.node.workers = Count(settings, "workers");
  if (!settings.Text("data-dir").empty()) out.data_directory = settings.Text("data-dir");
  if (!settings.Text("trace").empty()) out.trace_file = settings.Text("trace");
  if (!settings.Text("permissions").empty()) out.permissions_file = settings.Text("permissions");
  out.log_level = ToLogLevel(settings.Text("log-level"));
  absl::ParseDuration(settings.Text("drain-limit"), &out.drain_limit);
  return out;
}

}  // namespace troupe
