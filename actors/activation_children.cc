// Activation, part eleven: what the children of its object need of it (children.h).
#include <utility>

#include "troupe/actors/activation_turn.h"

namespace troupe {

kj::Promise<Payload> Activation::Parent::CallOut(CallHeader header, Payload params,
                                                 absl::Time deadline) {
  if (self_.stopped_) return Disconnected("the calling actor has been deactivated");
  if (!self_.reading_) self_.reading_ = std::make_unique<ClientSequence>(self_.host_.RandomId());
  header.id = self_.reading_->Next();
  header.by_actor = true;
  return self_.caller_.Call(std::move(header), std::move(params), deadline, self_.reading_.get());
}

void Activation::Parent::RunLater(kj::Function<void()> work) {
  if (closed_) return work();
  self_.tasks_.add(kj::evalLater(kj::mv(work)));
}

ParentSide::Within Activation::Parent::CallsWithin() const {
  const auto* turn = self_.turn_.get();
  return turn == nullptr ? Within()
                         : Within{turn->frame.chain, turn->frame.deadline, turn->frame.metadata};
}

ParentSide& Activation::AsParent() {
  if (!parent_) parent_ = std::make_unique<Parent>(*this);
  return *parent_;
}

}  // namespace troupe
