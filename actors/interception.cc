#include "troupe/actors/interception.h"

#include <memory>
#include <utility>

#include "troupe/actors/interceptor.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

class Interception final : public CallHook {
 public:
  Interception(CallInfo info, std::shared_ptr<const Interceptors> interceptors, Host& host)
      : info_(std::move(info)),
        interceptors_(std::move(interceptors)),
        host_(host),
        arrived_(host.clock().Now()) {}

  kj::Maybe<kj::Exception> Before() {
    return kj::runCatchingExceptions([this] {
      for (; passed_ < interceptors_->size(); ++passed_) {
        (*interceptors_)[passed_]->Before(info_);
      }
    });
  }
  const CallMetadata& metadata() const { return info_.metadata; }

  void OnBegin() override { begun_ = host_.clock().Now(); }
  void OnEnd() override { ended_ = host_.clock().Now(); }
  void OnFinish(const CallOutcome& outcome) override {
    const absl::Time now = host_.clock().Now();
    const absl::Time begun = std::min(begun_, now), ended = std::min(ended_, now);
    CallResult result;
    result.error = std::get_if<kj::Exception>(&outcome);
    result.moved = std::holds_alternative<Moved>(outcome);
    result.queued = begun - arrived_;
    result.ran = std::max(ended, begun) - begun;
    result.held = now - std::max(ended, begun);
    while (passed_ > 0) {
      auto failure =
          kj::runCatchingExceptions([&] { (*interceptors_)[--passed_]->After(info_, result); });
      KJ_IF_MAYBE (e, failure) {
        host_.log().Error("an interceptor failed after a call",
                          {{"method", info_.method}, {"error", Words(*e)}});
      }
    }
  }

 private:
  CallInfo info_;
  const std::shared_ptr<const Interceptors> interceptors_;
  Host& host_;
  const absl::Time arrived_;
  absl::Time begun_ = absl::InfiniteFuture();
  absl::Time ended_ = absl::InfiniteFuture();
  size_t passed_ = 0;  // So many have let it pass, and hear of its end.
};

}  // namespace

bool Intercept(InboundCall& call, const ActorType& type, const std::string& method, Host& host,
               const std::string& node) {
  const auto& header = call.header();
  CallInfo info;
  info.actor = header.actor;
  info.type = type.name;
  info.method = method;
  info.node = node;
  info.received = info.metadata = header.metadata;
  const auto* by = std::get_if<ActorCall>(&header.id);
  info.by_actor = by != nullptr || header.by_actor;
  if (by != nullptr) info.caller = by->caller;
  info.time_left = call.deadline() - host.clock().Now();
  info.arrived = host.clock().WallNow();
  info.random = &host.random();
  auto interception = std::make_unique<Interception>(std::move(info), type.interceptors, host);
  auto refusal = interception->Before();
  call.SetMetadata(interception->metadata());
  call.SetHook(std::move(interception));
  KJ_IF_MAYBE (e, refusal) {
    call.Finish(kj::mv(*e));
    return false;
  }
  return true;
}

}  // namespace troupe
