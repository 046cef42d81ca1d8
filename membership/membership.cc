#include "troupe/membership/membership.h"

#include <utility>

#include "troupe/membership/membership_impl.h"
#include "troupe/rpc/status.h"

namespace troupe {

Membership::Membership(Machine& machine, MembershipOptions options, Watcher& watcher)
    : impl_(std::make_unique<Impl>(machine, std::move(options), watcher)) {}

Membership::~Membership() noexcept(false) = default;

absl::Status Membership::Start(const std::string& address) { return impl_->Start(address); }

void Membership::OnControlLink(kj::Own<Link> link) { impl_->links.Accept(kj::mv(link)); }

Introduction Membership::Introduce() const { return impl_->self.Introduce(); }

std::optional<RefusalReason> Membership::JudgePeer(const Introduction& theirs) {
  return impl_->JudgePeer(theirs);
}

SharedMap Membership::map() const { return impl_->maps.map(); }
Boot Membership::boot() const { return impl_->self.boot; }
std::string Membership::coordinator() const { return impl_->CoordinatorName(); }
VoterId Membership::voter() const { return impl_->self.voter(); }
const AcceptorState& Membership::acceptor() const { return impl_->shell.acceptor(); }

std::vector<MemberView> Membership::members() const {
  std::vector<MemberView> out;
  for (const Member& member : impl_->gossip.swim().Members()) {
    out.push_back(
        {member.id.name, member.id.boot, std::string(ToString(member.state)), member.rpc_address});
  }
  return out;
}

kj::Promise<void> Membership::Submit(Command command, absl::Duration limit) {
  return impl_->shell.Execute(std::move(command), limit)
      .then([](absl::Status&& status) -> kj::Promise<void> {
        if (!status.ok()) return ToException(status);
        return kj::READY_NOW;
      });
}

kj::Promise<SharedMap> Membership::Confirm() { return impl_->Confirm(); }

void Membership::OnEvidence(const std::string& node, Boot boot, Evidence evidence) {
  impl_->OnEvidence(node, boot, evidence);
}

void Membership::OnTraffic(const std::string& node, Boot boot) { impl_->OnTraffic(node, boot); }

absl::Status Membership::SetGossipKeys(GossipKeys keys) {
  return impl_->gossip.SetKeys(std::move(keys));
}
GossipSealCounters Membership::gossip_seal() const { return impl_->gossip.seal().counters(); }

kj::Promise<void> Membership::Leave(absl::Duration patience) { return impl_->Leave(patience); }
bool Membership::IsAlone() const { return impl_->IsAlone(); }
void Membership::SayStays(const std::string& why) { impl_->SayStays(why); }

std::string Membership::notice() const { return impl_->notice; }
void Membership::SetNotice(std::string notice) { impl_->notice = std::move(notice); }

}  // namespace troupe
