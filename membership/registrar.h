// Registrar: gets this process its boot, and keeps what the disk must know about who we are.
//
// With a data directory the record "identity" has the storage id and the nonces that may have been
// registered with it, written before each try (docs/protocol.md P1.2 to P1.5).
//
// Single loop. Tries until it is done, or told that it can never be; says in the log why it is not
// done yet.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/register_shell.h"
#include "troupe/membership/self.h"

namespace troupe {

class Registrar final : private kj::TaskSet::ErrorHandler {
 public:
  // `unfit` is told why when this process can be no member; it asks no more then.
  using Unfit = kj::Function<void(const std::string& why)>;
  Registrar(Self& self, MapStore& maps, RegisterShell& shell, Unfit unfit);
  KJ_DISALLOW_COPY(Registrar);

  // Reads the record, or draws a storage id. DataLoss: damaged; InvalidArgument: another node's.
  absl::Status Load();
  // Resolves when the disk knows this process; nothing may be registered or founded before. A disk
  // that cannot be written is tried until it can.
  kj::Promise<void> Prepare();

  // True when this map is the first that has this very process as a member: `self.boot` is set.
  bool OnNewMap();

 private:
  void taskFailed(kj::Exception&& exception) override;
  kj::Promise<void> WriteIdentity();
  kj::Promise<void> WriteUntilDone();
  bool StorageIsOurs() const;
  kj::Promise<void> Try();
  Register Command() const;
  void Explain(const absl::Status& status, const Register& command);

  Self& self_;
  MapStore& maps_;
  RegisterShell& shell_;
  Unfit unfit_;
  std::vector<Id128> nonces_;
  bool trying_ = false;
  bool prepared_ = false;
  bool superseded_ = false;
  absl::Duration wait_ = absl::ZeroDuration();
  absl::Time refused_since_ = absl::InfiniteFuture();
  absl::Time say_at_ = absl::InfinitePast();
  kj::TaskSet tasks_;
};

}  // namespace troupe
