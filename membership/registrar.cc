#include "troupe/membership/registrar.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr char kIdentityRecord[] = "identity";
constexpr size_t kNoncesMax = 1024;  // Starts; of a map older than so many ours is a copy.
constexpr absl::Duration kTryLimit = absl::Seconds(5);
constexpr absl::Duration kWaitMin = absl::Milliseconds(50);
constexpr absl::Duration kWaitMax = absl::Seconds(2);
constexpr absl::Duration kDiskTryPause = absl::Seconds(1);
// An old process of our name that is refused to be replaced for so long is no mere leftover.
constexpr absl::Duration kLeftover = absl::Seconds(3);

absl::Status Damaged(const absl::Status& status) {
  return absl::DataLossError(
      absl::StrCat("record \"identity\" of the data directory: ", std::string(status.message())));
}

}  // namespace

Registrar::Registrar(Self& self, MapStore& maps, RegisterShell& shell, Unfit unfit)
    : self_(self), maps_(maps), shell_(shell), unfit_(kj::mv(unfit)), tasks_(*this) {}

void Registrar::taskFailed(kj::Exception&& exception) {
  self_.log().Error("registering failed", {{"error", Words(exception)}});
}

// ---- The disk.

absl::Status Registrar::Load() {
  auto* directory = self_.machine.data_directory();
  if (directory == nullptr) return absl::OkStatus();
  auto record = directory->Read(kIdentityRecord);
  if (!record.ok()) return record.status();
  if (!record->has_value()) {
    self_.storage = self_.host.RandomId();
    return absl::OkStatus();
  }
  std::string node;
  uint64_t birth = 0;
  auto read = codec::Parse<control::Identity>(**record, [&](control::Identity::Reader in) {
    self_.storage = codec::ReadId(in.getStorage());
    node = std::string(in.getNode().cStr());
    birth = in.getBirth();
    for (auto nonce : in.getNonces()) nonces_.push_back(codec::ReadId(nonce));
    return absl::OkStatus();
  });
  if (!read.ok()) return Damaged(read);
  if (self_.storage.IsZero()) return Damaged(absl::InvalidArgumentError("it has no storage id"));
  if (node != self_.name()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data directory is that of node ", node, ", this is node ", self_.name(),
                     ": start it as ", node, ", or on an empty directory"));
  }
  // The original may have voted since it was copied, whether it lives or not.
  if (birth != 0 && directory->Birth() != 0 && birth != directory->Birth()) {
    self_.log().Warning(
        "the data directory was copied or moved to here: it gets a storage id of its own, and the "
        "vote of the original is lost with it",
        {{"original", self_.storage.ToString()}});
    self_.storage = self_.host.RandomId();
    nonces_.clear();
  }
  return absl::OkStatus();
}

kj::Promise<void> Registrar::WriteIdentity() {
  auto* directory = self_.machine.data_directory();
  if (directory == nullptr) return kj::READY_NOW;
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::Identity>();
  codec::WriteId(self_.storage, out.initStorage());
  out.setNode(self_.name().c_str());
  out.setBirth(directory->Birth());
  auto list = out.initNonces(static_cast<unsigned>(nonces_.size()));
  for (unsigned i = 0; i < list.size(); ++i) codec::WriteId(nonces_[i], list[i]);
  return directory->Write(kIdentityRecord, codec::ToBytes(message));
}

kj::Promise<void> Registrar::Prepare() {
  nonces_.push_back(self_.nonce);
  if (nonces_.size() > kNoncesMax) nonces_.erase(nonces_.begin());
  return WriteUntilDone().then([this] { prepared_ = true; });
}

kj::Promise<void> Registrar::WriteUntilDone() {
  return WriteIdentity().catch_([this](kj::Exception&& e) {
    if (self_.Now() >= say_at_) {
      self_.log().Error("the data directory cannot be written: this node joins when it can be",
                        {{"error", Words(e)}});
      say_at_ = self_.Now() + absl::Seconds(10);
    }
    return self_.host.timer().afterDelay(KjWait(kDiskTryPause)).then([this] {
      return WriteUntilDone();
    });
  });
}

// A directory that was copied or restored does not know what its storage id was registered with.
bool Registrar::StorageIsOurs() const {
  if (self_.storage.IsZero()) return true;
  for (const NodeEntry& node : maps_.map()->nodes) {
    if (node.storage != self_.storage) continue;
    if (std::find(nonces_.begin(), nonces_.end(), node.nonce) == nonces_.end()) return false;
  }
  return true;
}

// ---- The register.

bool Registrar::OnNewMap() {
  if (!prepared_ || self_.leaving) return false;
  const NodeEntry* entry = maps_.map()->FindNode(self_.name());
  const bool ours = entry != nullptr && entry->nonce == self_.nonce;
  if (self_.boot != 0) {
    if (!ours && entry != nullptr && entry->boot > self_.boot && !superseded_) {
      superseded_ = true;
      self_.log().Error("another process has taken over this node's name",
                        {{"our_boot", self_.boot}, {"its_boot", entry->boot}});
    }
    return false;
  }
  if (!ours) {
    if (!trying_) {
      trying_ = true;
      tasks_.add(Try());
    }
    return false;
  }
  self_.boot = entry->boot;
  self_.log().Info("registered", {{"boot", self_.boot}});
  return true;
}

Register Registrar::Command() const {
  Register command;
  command.node = self_.name();
  command.nonce = self_.nonce;
  command.addresses = {self_.address};
  command.zone = self_.options.zone;
  command.roles = self_.options.roles;
  command.storage = self_.storage;
  command.types = self_.options.types;
  if (const NodeEntry* entry = maps_.map()->FindNode(self_.name())) {
    command.replaces = entry->boot;
    command.holds_data_lock = !self_.storage.IsZero() && entry->storage == self_.storage;
  }
  return command;
}

kj::Promise<void> Registrar::Try() {
  if (self_.boot != 0 || self_.leaving) return kj::READY_NOW;
  if (!StorageIsOurs()) {
    self_.log().Warning("the data directory is a copy: it gets a storage id of its own");
    self_.storage = self_.host.RandomId();
    shell_.BecomeNewVoter();
    return WriteUntilDone().then([this] { return Try(); });
  }
  auto command = Command();
  auto tried = shell_.Execute(command, kTryLimit);
  return tried.then([this, command](absl::Status&& status) -> kj::Promise<void> {
    if (self_.boot != 0) return kj::READY_NOW;
    if (absl::IsInvalidArgument(status)) {  // No try of this process will be another's.
      unfit_(std::string(status.message()));
      return kj::READY_NOW;
    }
    if (!status.ok()) Explain(status, command);
    wait_ = std::clamp(wait_ * 2, kWaitMin, kWaitMax);
    return self_.host.timer().afterDelay(KjWait(wait_)).then([this] { return Try(); });
  });
}

void Registrar::Explain(const absl::Status& status, const Register& command) {
  const absl::Time now = self_.Now();
  const bool lives = absl::IsPermissionDenied(status);
  refused_since_ = lives ? std::min(refused_since_, now) : absl::InfiniteFuture();
  if (now < say_at_) return;
  const std::string reason(status.message());
  if (lives && now - refused_since_ > kLeftover) {
    self_.log().Error("two nodes with one name: choose another --name, or end the other process",
                      {{"name", self_.name()}, {"boot_of_other", command.replaces}});
    say_at_ = now + absl::Seconds(10);
  } else {
    self_.log().Info("not registered yet", {{"reason", reason}});
    say_at_ = now + absl::Seconds(1);
  }
}

}  // namespace troupe
