#include "troupe/actors/generated.h"

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"

namespace troupe {

kj::Promise<Payload> CallOrigin::Refuse(kj::Exception&& why) { return kj::mv(why); }

OutCall::OutCall(const AnyRef& ref, uint64_t interface_id, uint16_t method_id,
                 absl::Duration deadline)
    : ref_(ref), interface_id_(interface_id), method_id_(method_id), deadline_(deadline) {}

kj::Promise<Payload> OutCall::SendMessage() {
  if (ref_.origin_.get() == nullptr) {
    return Failed("a ref that refers to nobody was called; refs come from Get() or from others");
  }
  Payload payload;
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] { payload = message_.Take(); })) {
    return Share(ref_.origin_)->Refuse(kj::mv(*e));
  }
  CallOptions options = ref_.options_;
  if (!options.deadline && deadline_ > absl::ZeroDuration()) options.deadline = deadline_;
  return Share(ref_.origin_)
      ->Call(ref_.actor_, interface_id_, method_id_, std::move(payload), options);
}

}  // namespace troupe
